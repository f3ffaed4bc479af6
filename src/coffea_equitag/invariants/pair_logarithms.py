"""The logarithms ln kT, ln z, ln ΔR and ln m² of pairs of constituents: the pair features of Particle Transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["PAIR_LOGARITHMS", "pair_kinematics", "pair_logarithms"]

#: The features, in their order.
PAIR_LOGARITHMS = ("ln kT", "ln z", "ln ΔR", "ln m²")

#: What kT, z, ΔR and m² are at least, as in the official code.
_FLOOR = 1e-8

#: Keeps logarithms and their derivatives finite.
_TINY = 1e-30


def pair_kinematics(p4_N4: Tensor, mass2_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rapidity, pT and φ (N,) of constituents, of their momenta and masses squared; the energies are not used."""
    _, px, py, pz = p4_N4.unbind(1)
    pt2 = px.square() + py.square()
    transverse2 = (mass2_N + pt2).clamp(min=_TINY**2)
    # from the mass, since the energy of a light constituent may be given with single precision
    y = torch.copysign(torch.log(pz.abs() + torch.sqrt(transverse2 + pz.square())) - 0.5 * torch.log(transverse2), pz)
    return y, torch.sqrt(pt2.clamp(min=_TINY**2)), torch.atan2(py, px)


def pair_logarithms(
    p4_N4: Tensor, gram_Q: Tensor, first: Tensor, second: Tensor, place: Tensor, diagonal: Tensor
) -> Tensor:
    """Logarithms of kT, z, ΔR and m² of the given pairs; differentiable.

    With the rapidity y: ΔR² = Δy² + Δφ², kT = min(pT_i, pT_j) ΔR, z = min(pT_i, pT_j)/(pT_i + pT_j), and m² =
    m_i² + m_j² + 2 p_i·p_j from the stable products, where (p_i + p_j)² would lose its digits. Each of them is at least
    1e-8.

    Parameters
    ----------
    p4_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz), GeV; E is not used.
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j in the square layout, GeV².
    first, second : Tensor of int64, shape (T,)
        Rows of i and j.
    place : Tensor of int64, shape (T,)
        Index of (i, j) in the square layout.
    diagonal : Tensor of int64, shape (N,)
        Index of (i, i) in the square layout.

    Returns
    -------
    Tensor of float64, shape (T, 4)
        Of momenta in GeV.
    """
    mass2 = gram_Q[diagonal]
    y, pt, phi = pair_kinematics(p4_N4, mass2)
    d_phi = phi[first] - phi[second]
    d_phi = d_phi - 2 * math.pi * torch.round(d_phi / (2 * math.pi))
    delta2 = (y[first] - y[second]).square() + d_phi.square()
    softer = torch.minimum(pt[first], pt[second])
    z = softer / (pt[first] + pt[second]).clamp(min=_FLOOR)
    m2 = mass2[first] + mass2[second] + 2 * gram_Q[place]
    # from squares: the derivative of the square root is infinite for constituents with one direction
    kt, delta = (0.5 * torch.log(values.clamp(min=_FLOOR**2)) for values in (softer.square() * delta2, delta2))
    return torch.stack([kt, torch.log(z.clamp(min=_FLOOR)), delta, torch.log(m2.clamp(min=_FLOOR))], dim=1)
