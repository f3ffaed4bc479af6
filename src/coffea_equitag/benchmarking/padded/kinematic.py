"""The seven kinematic features of PFN and ParticleNet in plain torch on padded momenta."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...jets.ragged import RaggedJets
from .masking import pad

__all__ = ["kinematic_form"]


def kinematic_form(jets: RaggedJets, mask: Tensor, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Function that computes the features (J, width, 7) from padded momenta (E, pT, η, φ) in `dtype`.

    Definitions as in `invariants.kinematic_features`; padding gets zeros.
    """
    angles = _polar(jets.p4[:, 1:]) if jets.polar is None else jets.polar
    own = pad(torch.column_stack([jets.p4[:, 0], angles]).to(dtype), mask)
    own[..., :2][~mask] = 1.0
    axis = torch.column_stack([jets.jet_p4[:, 0], _polar(jets.jet_p4[:, 1:])]).to(dtype)[:, None]
    here = mask[..., None].to(dtype)

    def features() -> Tensor:
        log_energy, log_pt = own[..., 0].log(), own[..., 1].log()
        d_eta, d_phi = own[..., 2] - axis[..., 2], own[..., 3] - axis[..., 3]
        d_phi = torch.remainder(d_phi + math.pi, 2 * math.pi) - math.pi
        logarithms = torch.stack(
            [
                (log_pt - 1.7) * 0.7,
                (log_energy - 2.0) * 0.7,
                (log_pt - axis[..., 1].log() + 4.7) * 0.7,
                (log_energy - axis[..., 0].log() + 4.7) * 0.7,
                (torch.hypot(d_eta, d_phi) - 0.2) * 4.0,
            ],
            dim=-1,
        )
        return torch.cat([logarithms.clamp(-5.0, 5.0), d_eta[..., None], d_phi[..., None]], dim=-1) * here

    return features


def _polar(momenta: Tensor) -> Tensor:
    px, py, pz = momenta.T
    pt = torch.hypot(px, py)
    return torch.column_stack([pt, torch.asinh(pz / pt), torch.atan2(py, px)])
