"""The seven kinematic features of a constituent in a frame of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["frame_features"]

#: Of pT/E: below it a momentum lies along the z axis, or is rounding, and has neither φ nor more of η.
_LEAST_SLOPE = 1e-7
#: GeV.
_LEAST_ENERGY = 1e-12
_LEAST_SQUARE = 1e-10


def frame_features(p4_N4: Tensor, jet_N4: Tensor) -> Tensor:
    """Seven features of momenta relative to their jet, each pair seen in a frame of its own; differentiable.

    (log pT − 1.7)·0.7, (log E − 2)·0.7, (log pT/pT_jet + 4.7)·0.7, (log E/E_jet + 4.7)·0.7, Δφ, −Δη, (ΔR − 0.2)·4 in
    LLoCa's order and with its signs. They are finite for every momentum, 0 and along the z axis included.

    Parameters
    ----------
    p4_N4, jet_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) of each constituent and of its jet, in the constituent's frame; GeV.

    Returns
    -------
    Tensor of float64, shape (N, 7)
    """
    (log_pt, log_energy, eta, phi), (jet_log_pt, jet_log_energy, jet_eta, jet_phi) = _polar(p4_N4), _polar(jet_N4)
    d_phi = torch.remainder(phi - jet_phi + math.pi, 2 * math.pi) - math.pi
    d_eta = jet_eta - eta
    delta_r = (d_phi.square() + d_eta.square()).clamp(min=_LEAST_SQUARE).sqrt()
    columns = [
        (log_pt - 1.7) * 0.7,
        (log_energy - 2.0) * 0.7,
        (log_pt - jet_log_pt + 4.7) * 0.7,
        (log_energy - jet_log_energy + 4.7) * 0.7,
        d_phi,
        d_eta,
        (delta_r - 0.2) * 4.0,
    ]
    return torch.stack(columns, dim=1)


def _polar(p4_N4: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log pT, log E, η and φ."""
    energy, px, py, pz = p4_N4.unbind(1)
    energy = energy.clamp(min=_LEAST_ENERGY)
    least = _LEAST_SLOPE * energy.detach()
    along = px.square() + py.square() < least.square()
    # replaced before the root and the angle, neither of which has a derivative at 0
    px, py = torch.where(along, least, px), torch.where(along, 0.0, py)
    pt = (px.square() + py.square()).sqrt()
    return torch.log(pt), torch.log(energy), torch.asinh(pz / pt), torch.atan2(py, px)
