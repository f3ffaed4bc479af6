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
from .masking import masked_norm, real

__all__ = ["padded"]


def padded(model: ParticleNet, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """ParticleNet on jets padded to `width`, without patches, as usually implemented.

    Graphs from topk on a matrix of distances, edges [x_i, x_j − x_i] gathered into one array, 1 × 1 convolutions; masks
    exclude padding from graphs, statistics and means.
    """
    mask = real(jets, width)
    kinematic = kinematic_form(jets, mask, model.dtype)
    k = min(model.options["k"], width - 1)
    blocks: list[Any] = list(model.blocks)
    here, counts = mask[..., None].to(model.dtype), jets.counts[:, None].clamp(min=1)

    def run() -> Tensor:
        features = kinematic()
        x, points = masked_norm(model.input_norm, features, mask) * here, features[..., 5:7]
        for block in blocks:
            neighbours, exist = _graph(points, mask, k)
            x = _convolution(block, x, neighbours, exist, mask) * here
            points = x
        logits: Tensor = model.head(x.sum(1) / counts)
        return logits

    return run


def _graph(points: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Neighbours (J, W, k) of each padded constituent, and a mask of those that exist."""
    square = points.square().sum(2)
    distance = square[:, :, None] + square[:, None] - 2 * points @ points.mT
    distance = distance.masked_fill(torch.eye(distance.shape[1], dtype=torch.bool, device=mask.device), torch.inf)
    found = distance.masked_fill(~mask[:, None], torch.inf).topk(k, dim=2, largest=False)
    return found.indices, found.values.isfinite() & mask[..., None]


def _convolution(block: EdgeConv, x: Tensor, neighbours: Tensor, exist: Tensor, mask: Tensor) -> Tensor:
    jets, width, channels = x.shape
    index = neighbours.flatten(1)[..., None].expand(-1, -1, channels)
    others = x.gather(1, index).view(jets, width, -1, channels)
    own = x[:, :, None].expand_as(others)
    edges = torch.cat([own, others - own], dim=-1)
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
