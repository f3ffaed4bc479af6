"""ParticleNet in plain torch on padded jets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...jets.ragged import RaggedJets
from ...layers.edge_conv import EdgeConv
from ...models.particlenet import ParticleNet
from .kinematic import kinematic_form
from .masking import masked_norm, pad, real
from .patches import friend_form, pair_form

__all__ = ["padded"]


def padded(model: ParticleNet, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """ParticleNet on jets padded to `width`, as usually implemented.

    Graphs from topk on a matrix of distances, edges [x_i, x_j − x_i] gathered into one array, 1 × 1 convolutions; masks
    exclude padding from graphs (unless it is wanted there, for phantom neighbours), statistics and means. Features
    other than the usual ones are given.
    """
    phantoms = bool(model.options["phantom_neighbours"])
    # there must be as much padding as phantoms are looked for
    width = max(width, 1 + max(model.neighbours)) if phantoms else width
    mask = real(jets, width)
    inputs = _inputs(model, jets, mask)
    blocks: list[Any] = list(model.blocks)
    options, patches, dtype = model.options, [*model.pair_patches] or [None] * len(blocks), model.dtype
    pair_scalars = pair_form(options["pairwise"], jets, mask, dtype)
    groups = friend_form(options["nodewise"], options["friends"], jets, mask, dtype)
    here, counts = mask[..., None].to(model.dtype), jets.counts[:, None].clamp(min=1)

    def run() -> Tensor:
        features, points = inputs()
        x, outputs = _normed(model.input_norm, features, mask) * here, []
        pairs = pair_scalars() if options["pairwise"] else x
        nodes = [] if model.node_patch is None else [model.node_patch(groups()) * here]
        for block, patch, k in zip(blocks, patches, model.neighbours, strict=True):
            neighbours, exist = _graph(points, mask, min(k, width - 1))
            further = [] if patch is None else [patch(pairs.gather(2, neighbours)[..., None])]
            x = torch.cat([x, *nodes], dim=-1)
            x = points = _convolution(block, x, neighbours, further, exist, mask, phantoms) * here
            outputs.append(x)
        if model.fusion is not None:
            linear, norm, relu = model.fusion
            x = relu(_normed(norm, linear(torch.cat(outputs, dim=2)), mask)) * here
        logits: Tensor = model.head(x.sum(1) / counts)
        return logits

    return run


def _inputs(model: ParticleNet, jets: RaggedJets, mask: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    """Features (J, W, F) and points (J, W, 2): computed if they are the usual ones, else given."""
    if model.options["inputs"] == "kinematic" and not model.options["mirrored"]:
        kinematic = kinematic_form(jets, mask, model.dtype)

        def computed() -> tuple[Tensor, Tensor]:
            features = kinematic()
            return features, features[..., 5:7]

        return computed
    features, points = (pad(values.to(model.dtype), mask) for values in model.features_and_points(jets))
    return lambda: (features, points)


def _normed(norm: nn.Module, values: Tensor, mask: Tensor) -> Tensor:
    return masked_norm(norm, values, mask) if isinstance(norm, nn.BatchNorm1d) else values


def _graph(points: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Neighbours (J, W, k) of each padded constituent, and a mask of those that exist."""
    square = points.square().sum(2)
    distance = square[:, :, None] + square[:, None] - 2 * points @ points.mT
    distance = distance.masked_fill(torch.eye(distance.shape[1], dtype=torch.bool, device=mask.device), torch.inf)
    found = distance.masked_fill(~mask[:, None], torch.inf).topk(k, dim=2, largest=False)
    return found.indices, found.values.isfinite() & mask[..., None]


def _convolution(
    block: EdgeConv, x: Tensor, neighbours: Tensor, further: list[Tensor], exist: Tensor, mask: Tensor, phantoms: bool
) -> Tensor:
    jets, width, channels = x.shape
    index = neighbours.flatten(1)[..., None].expand(-1, -1, channels)
    others = x.gather(1, index).view(jets, width, -1, channels)
    if phantoms:
        others, exist = others * exist[..., None].to(others), mask[..., None].expand_as(exist)
    own = x[:, :, None].expand_as(others)
    edges = torch.cat([own, others - own, *further], dim=-1)
    for linear, norm in zip(block.linears, block.norms, strict=True):
        assert isinstance(norm, nn.BatchNorm1d)
        edges = torch.relu(masked_norm(norm, linear(edges), exist))
    mean = (edges * exist[..., None].to(edges)).sum(2) / exist.sum(2)[..., None].clamp(min=1)
    short = x
    if isinstance(block.shortcut, nn.Sequential):
        linear, norm = block.shortcut
        assert isinstance(norm, nn.BatchNorm1d)
        short = masked_norm(norm, linear(x), mask)
    return torch.relu(short + mean)
