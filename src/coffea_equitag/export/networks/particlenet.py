"""ParticleNet on padded jets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...invariants.neighbours import Neighbours
from ...layers.edge_conv import EdgeConv
from ...models.particlenet import ParticleNet
from ..neighbours import by_pt, friend_scalars, nearest
from ..padded_jets import PaddedJets
from ..padded_squares import per_row
from ..pair_products import pair_products

__all__ = ["outputs", "outputs_of"]


def outputs(model: ParticleNet, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes)."""
    jets = by_pt(jets)
    features, points = (values.view(*jets.size, -1) for values in model.features_and_points(jets.rows()))
    return outputs_of(model, jets, features, points)


def outputs_of(model: ParticleNet, jets: PaddedJets, features: Tensor, points: Tensor) -> Tensor:
    """Logits (J, n_classes) of jets in order of pT, given features (J, W, F) and points (J, W, 2)."""
    pairwise, nodewise = model.options["pairwise"], model.options["nodewise"]
    gram = pair_products(jets) if pairwise == "mass" or nodewise else jets.mass.new_zeros(1)
    nodes = []
    if model.node_patch is not None:
        nodes.append(model.node_patch(friend_scalars(nodewise, jets, model.options["friends"], gram)))
    x, found = per_row(model.input_norm, features), []
    blocks: list[Any] = list(model.blocks)
    for layer, (block, k) in enumerate(zip(blocks, model.neighbours, strict=True)):
        place, exists = nearest(points if layer == 0 else x, jets, k)
        edges = _edges(place, exists, jets)
        pairs = _pair_features(model, layer, edges, jets, gram) if pairwise else None
        if model.options["phantom_neighbours"]:
            exists = torch.ones_like(exists)
        x = _convolved(block, torch.cat([x, *nodes], dim=2), edges, pairs, exists)
        found.append(x)
    if model.fusion is not None:
        x = per_row(model.fusion, torch.cat(found, dim=2))
    logits: Tensor = model.head(jets.mean(x))
    return logits


def _edges(place: Tensor, exists: Tensor, jets: PaddedJets) -> Neighbours:
    """Edges between the rows of all jets, k for each; those that do not exist come from a row beyond the last."""
    (j, w), row = jets.size, torch.arange(jets.size[0])[:, None, None] * jets.size[1]
    own = torch.arange(w)[None, :, None]
    return Neighbours(
        receiver=(row + own).expand_as(place).flatten(),
        sender=torch.where(exists, row + place, j * w).flatten(),
        place=((row + own) * w + place).flatten(),
        diagonal=(row * w + own * (w + 1)).flatten(),
        offsets=torch.zeros(1, dtype=torch.int64),
    )


def _pair_features(model: ParticleNet, layer: int, edges: Neighbours, jets: PaddedJets, gram: Tensor) -> Tensor:
    p4_N4 = jets.p4.flatten(0, 1)
    real = replace(edges, sender=edges.sender.clamp(max=p4_N4.shape[0] - 1))
    return model.pair_features(layer, real, p4_N4, gram.flatten())


def _convolved(block: EdgeConv, x: Tensor, edges: Neighbours, pairs: Tensor | None, exists: Tensor) -> Tensor:
    rows = x.flatten(0, 1)
    messages = torch.relu(block.norms[0](block.first(rows, edges, pairs)))
    for linear, norm in zip(block.linears[1:], block.norms[1:], strict=True):
        messages = torch.relu(norm(linear(messages)))
    messages = messages.view(*exists.shape, messages.shape[1])
    number = exists.sum(2, keepdim=True).clamp(min=1).to(messages)
    mean = torch.where(exists[..., None], messages, 0.0).sum(2) / number
    shortcut = x if isinstance(block.shortcut, nn.Identity) else per_row(block.shortcut, x)
    return torch.relu(shortcut + mean)
