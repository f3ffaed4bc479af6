"""The seven kinematic inputs of PFN and ParticleNet."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..ragged import RaggedJets

__all__ = ["kinematic_features", "relative_angles"]


def relative_angles(jets: RaggedJets) -> tuple[Tensor, Tensor]:
    """Δη and Δφ (in [−π, π)) of each constituent from its jet's axis, shapes (N,), float64."""
    jet = torch.repeat_interleave(jets.jet_p4, jets.counts, dim=0)
    d_phi = torch.atan2(jets.p4[:, 2], jets.p4[:, 1]) - torch.atan2(jet[:, 2], jet[:, 1])
    d_phi = torch.remainder(d_phi + math.pi, 2 * math.pi) - math.pi
    return _eta(jets.p4) - _eta(jet), d_phi


def kinematic_features(jets: RaggedJets) -> Tensor:
    """Seven inputs a constituent.

    (log pT − 1.7)·0.7, (log E − 2)·0.7, (log pT/pT_jet + 4.7)·0.7, (log E/E_jet + 4.7)·0.7, (ΔR − 0.2)·4, each
    clipped to ±5, then Δη and Δφ from the jet axis; GeV (Qu, Gouskos, arXiv:1902.08570, Table 1).

    Returns
    -------
    Tensor of float64, shape (N, 7)
    """
    jet = torch.repeat_interleave(jets.jet_p4, jets.counts, dim=0)
    pt, jet_pt = torch.hypot(jets.p4[:, 1], jets.p4[:, 2]), torch.hypot(jet[:, 1], jet[:, 2])
    energy, jet_energy = jets.p4[:, 0], jet[:, 0]
    d_eta, d_phi = relative_angles(jets)
    scaled = torch.stack(
        [
            (_log(pt) - 1.7) * 0.7,
            (_log(energy) - 2.0) * 0.7,
            (_log(pt) - _log(jet_pt) + 4.7) * 0.7,
            (_log(energy) - _log(jet_energy) + 4.7) * 0.7,
            (torch.hypot(d_eta, d_phi) - 0.2) * 4.0,
        ],
        dim=1,
    ).clamp(-5.0, 5.0)
    return torch.cat([scaled, d_eta[:, None], d_phi[:, None]], dim=1)


def _eta(p4: Tensor) -> Tensor:
    # a particle exactly along the beam has no pseudorapidity: a large one stands for it
    pt = torch.hypot(p4[:, 1], p4[:, 2]).clamp(min=1e-30)
    return torch.asinh(p4[:, 3] / pt)


def _log(values: Tensor) -> Tensor:
    return torch.log(values.clamp(min=1e-30))
