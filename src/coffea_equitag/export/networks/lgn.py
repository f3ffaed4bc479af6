"""LGN on padded jets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...layers import lgn_invariants as invariants
from ...layers.lorentz_tensors import LorentzTensors
from ...layers.pairs import Pairs
from ...layers.saturation import saturated
from ...models.beams import BEAMS
from ...models.lgn import LGN
from ..padded_jets import PaddedJets
from ..pair_products import pair_products
from ..rest_frame import rest_frame

__all__ = ["outputs"]


def outputs(model: LGN, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes), or momenta (J, 4)."""
    nodes, scale = jets, model.options["scale"]
    if model.options["beams"]:
        beams = jets.p4.new_tensor(BEAMS)
        nodes = jets.prepend(beams, beams.new_ones(len(beams)))
    gram = pair_products(nodes)
    frame = rest_frame(nodes, gram)
    features = _tensors(model, nodes, scale * frame.p4.flatten(0, 1), scale**2 * _differences(gram))
    if model.output == "momentum":
        moved = frame.to_laboratory(_momentum(model, features, nodes))
        return saturated(moved, torch.finfo(model.dtype).max).to(model.dtype)
    rows = invariants.by_level(features, model.norms_of_levels()).permute(1, 2, 0).flatten(1)
    logits: Tensor
    head: Any = model.head
    if model.options["top"] == "pmlp":
        latent = head.of_nodes(saturated(rows).to(model.dtype))
        logits = head.of_jets(nodes.sum(latent.view(*nodes.size, latent.shape[1])))
    else:
        logits = head(saturated(nodes.sum(rows.view(*nodes.size, rows.shape[1]))).to(model.dtype))
    return logits


def _differences(gram: Tensor) -> Tensor:
    """(p_i − p_j)²: (J·W·W,)."""
    square = gram.diagonal(dim1=1, dim2=2)
    return (square[:, :, None] + square[:, None] - 2 * gram).flatten()


def _tensors(model: LGN, nodes: PaddedJets, p4_N4: Tensor, square_Q: Tensor) -> list[LorentzTensors]:
    """Features before the first level and after each, shapes (2, J·W, C, d); 0 in the padding, for all sums."""
    (j, w), real = nodes.size, nodes.real.flatten()[:, None, None]
    row = torch.arange(j)[:, None] * w
    diagonal = (row * w + torch.arange(w) * (w + 1)).flatten()
    none = torch.zeros(1, dtype=torch.int64)
    pairs = Pairs(receiver=none, sender=none, place=none, diagonal=diagonal, offsets=none, runs=((j, w),))

    def masked(tensors: LorentzTensors) -> LorentzTensors:
        return tensors.map(lambda part: torch.where(real, part, 0.0))

    features = [masked(model.first_tensors(p4_N4, model.scalars(nodes.rows())))]
    for level in model.levels:
        features.append(masked(level(features[-1], p4_N4, square_Q, pairs)))
    return features


def _momentum(model: LGN, features: list[LorentzTensors], nodes: PaddedJets) -> Tensor:
    """Re Σ w v over channels, levels and nodes: (J, 4) in GeV."""
    mixed = model.mixed_vectors(features)
    return nodes.sum(mixed.view(*nodes.size, 4)) / float(model.options["scale"])
