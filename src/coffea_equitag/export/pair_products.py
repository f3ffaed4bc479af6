"""p_i·p_j of all pairs of padded jets, by the formulas of `invariants.minkowski` in plain torch operations."""

from __future__ import annotations

import torch
from torch import Tensor

from .padded_jets import PaddedJets

__all__ = ["pair_products"]


def pair_products(jets: PaddedJets) -> Tensor:
    """p_i·p_j with m_i² on the diagonal: (J, W, W), float64, GeV²; 0 in the padding.

    The cross product of Cartesian components is that of float64, without the compiled code's fused operations: nearly
    collinear pairs at an angle θ have a relative error of 10⁻¹⁶/θ, where the compiled code has 10⁻¹⁶.
    """
    k = jets.references
    angular = _angular_cartesian(jets.p4, jets.p4)
    if jets.polar is not None:
        own = _angular_polar(jets.polar)
        angular = torch.cat([angular[:, :k], torch.cat([angular[:, k:, :k], own], dim=2)], dim=1) if k else own
    energy, mass = jets.p4[..., 0], jets.mass
    size = jets.p4[..., 1:].square().sum(2).sqrt()
    below = energy[:, :, None] * energy[:, None] + size[:, :, None] * size[:, None]
    heavy = (mass[:, :, None] * energy[:, None]).square() + (size[:, :, None] * mass[:, None]).square()
    products = torch.where(below == 0, 0.0, heavy / torch.where(below == 0, 1.0, below) + angular)
    itself = torch.eye(jets.size[1], dtype=torch.bool)
    products = torch.where(itself, mass.square()[:, None], products)
    return torch.where(jets.real[:, :, None] & jets.real[:, None], products, 0.0)


def _angular_polar(polar: Tensor) -> Tensor:
    """P_i P_j (1 − cos θ_ij) from (pT, η, φ): (J, W, W)."""
    pt, eta, phi = polar.unbind(2)
    s = _sinh(0.5 * (eta[:, :, None] - eta[:, None]))
    t = torch.sin(0.5 * (phi[:, :, None] - phi[:, None]))
    return 2 * pt[:, :, None] * pt[:, None] * (s * s + t * t)


def _sinh(x: Tensor) -> Tensor:
    """Sinh x to rounding: a series where the difference of exponentials would cancel, and no special function."""
    square = x * x
    series = 1.0 + square / 6 * (1 + square / 20 * (1 + square / 42 * (1 + square / 72 * (1 + square / 110))))
    grown = torch.exp(x.abs())
    return torch.where(x.abs() < 0.25, x * series, torch.sign(x) * 0.5 * (grown - 1 / grown))


def _angular_cartesian(left: Tensor, right: Tensor) -> Tensor:
    """P_i P_j (1 − cos θ_ij) from the components of (J, V, 4) and (J, W, 4): (J, V, W)."""
    (ax, ay, az), (bx, by, bz) = left[:, :, None, 1:].unbind(3), right[:, None, :, 1:].unbind(3)
    cosine = ax * bx + ay * by + az * bz
    size = left[..., 1:].square().sum(2).sqrt()[:, :, None] * right[..., 1:].square().sum(2).sqrt()[:, None]
    across = (ay * bz - az * by).square() + (az * bx - ax * bz).square() + (ax * by - ay * bx).square()
    near = cosine > 0
    return torch.where(near, across / torch.where(near, size + cosine, 1.0), size - cosine)
