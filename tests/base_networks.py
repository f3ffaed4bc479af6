"""LorentzNet_base's inputs, and jets that are hard for its patches."""

from __future__ import annotations

import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.invariants.friends import friend_scalars
from coffea_equitag.invariants.pair_scalars import PAIRWISE
from coffea_equitag.invariants.weaver_variables import kinematic_features
from coffea_equitag.layers.psi import psi
from gpu import device_of

__all__ = ["PAIRWISE", "directions", "inputs"]


def inputs(model, jets):
    """What ``model.network`` takes."""
    products, patch = eqt.invariants.gram(jets), model.options["nodewise"]
    return {
        "vectors": jets.p4,
        "scalars": torch.cat([kinematic_features(jets), psi(jets.mass)[:, None]], dim=1).float(),
        "offsets": jets.offsets,
        "products": products,
        "groups": friend_scalars(patch, jets, model.options["friends"], products) if patch else None,
    }


def directions(backend):
    """Constituents of one direction, on both sides of φ = ±π, along the beam, at rest, and a pair of them."""
    momenta = torch.tensor(
        [
            [3, 4, 5],
            [6, 8, 10],
            [-2, 1e-4, 1],
            [-3, -1e-4, 1],
            [-2, 0, 1],
            [-2, -0.0, 1],
            [0, 0, 7],
            [0, 0, -9],
            [0] * 3,
        ],
        dtype=torch.float64,
    )
    p4 = torch.cat([(momenta.square().sum(1, keepdim=True) + 0.02).sqrt(), momenta], dim=1)
    return RaggedJets.from_momenta(p4, torch.tensor([0, 7, 9])).to(device_of(backend))
