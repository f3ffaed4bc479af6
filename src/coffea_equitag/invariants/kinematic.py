"""The seven kinematic variables of PFN and ParticleNet, by torch; compiled: `kinematic_rows`."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..jets.ragged import RaggedJets

__all__ = ["kinematic_variables", "relative_angles"]


def relative_angles(jets: RaggedJets) -> tuple[Tensor, Tensor]:
    """Δη and Δφ (in [−π, π]) of each constituent relative to its jet's axis, shapes (N,), float64.

    Constituents with the same (η, φ) get bit-identical angles, whatever the axis.
    """
    return _constituents(jets).angles_from(_of(jets.jet_p4).repeated(jets.counts))


def kinematic_variables(jets: RaggedJets, mirrored: bool = False) -> dict[str, Tensor]:
    """What the features are made of, by weaver's names: float64, shape (N,) each; GeV.

    With `mirrored`, Δη has the sign of the jet's η: a jet and its mirror image look the same.
    """
    own, jet = _constituents(jets), _of(jets.jet_p4).repeated(jets.counts)
    d_eta, d_phi = own.angles_from(jet)
    return {
        "part_pt_log": own.log_pt,
        "part_e_log": own.log_energy,
        "part_logptrel": own.log_pt - jet.log_pt,
        "part_logerel": own.log_energy - jet.log_energy,
        "part_deltaR": torch.sqrt(d_eta.square() + d_phi.square()),
        "part_deta": torch.where(jet.eta < 0, -d_eta, d_eta) if mirrored else d_eta,
        "part_dphi": d_phi,
    }


class _Momenta(NamedTuple):
    """Momenta as logarithms and angles, shapes (N,) each."""

    log_pt: Tensor
    log_energy: Tensor
    eta: Tensor
    phi: Tensor

    def repeated(self, counts: Tensor) -> _Momenta:
        """Repeat the values of each jet for all of its constituents; those of a single jet are for all as they are."""
        if len(counts) == 1:
            return self
        jet = torch.repeat_interleave(counts)
        return _Momenta(*(column[jet] for column in self))

    def angles_from(self, axis: _Momenta) -> tuple[Tensor, Tensor]:
        """Δη and Δφ relative to an axis."""
        d_phi = self.phi - axis.phi
        return self.eta - axis.eta, d_phi - 2 * math.pi * torch.round(d_phi / (2 * math.pi))


def _constituents(jets: RaggedJets) -> _Momenta:
    if jets.polar is None or "reference" in jets.columns:  # beams have no (pT, η, φ)
        return _of(jets.p4)
    pt, eta, phi = jets.polar.T
    return _Momenta(_log(pt), _log(jets.p4[:, 0]), eta, phi)


def _of(p4: Tensor) -> _Momenta:
    energy, px, py, pz = p4.T
    pt2 = px.square() + py.square()
    log_pt = _log(torch.sqrt(pt2))
    # asinh(pz/pT), three times faster; exactly along the beam, a large number replaces infinity
    eta = torch.copysign(_log(pz.abs() + torch.sqrt(pt2 + pz.square())) - log_pt, pz)
    return _Momenta(log_pt, _log(energy), eta, torch.atan2(py, px))


def _log(values: Tensor) -> Tensor:
    return torch.log(values.clamp(min=1e-30))
