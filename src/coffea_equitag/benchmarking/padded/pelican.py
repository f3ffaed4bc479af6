"""PELICAN in plain torch on padded jets, with its fifteen aggregators stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...jets.ragged import RaggedJets
from ...layers.channel_mixing import ChannelMixing
from ...models.pelican import PELICAN
from .masking import masked_norm, pad, real

__all__ = ["padded"]


def padded(model: PELICAN, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """PELICAN classifier, with symmetry by spurions, on (J, width + spurions) padded nodes.

    Momenta are given; products are computed in the network's precision. Every layer from pairs to pairs forms all
    fifteen matrices, (J, W, W, C, 15), and mixes them in one product, as in the paper.
    """
    k = model.extra_nodes
    nodes = jets
    if k:
        spurions = jets.p4.new_tensor(model.broken.spurions)
        nodes = jets.prepend(spurions, spurions.new_zeros(k))
    mask = real(nodes, width + k)
    p4 = pad(nodes.p4.to(model.dtype), mask)
    scalars = None
    if model.scalars_to_pairs is not None:
        found = model.scalars(jets)
        assert found is not None
        scalars = pad(found, mask)
    between = mask[:, :, None] & mask[:, None]
    layout = _Layout(mask.to(p4), between[..., None].to(p4), torch.eye(width + k, device=p4.device).to(p4)[..., None])
    counts, metric = nodes.counts, p4.new_tensor([1.0, -1.0, -1.0, -1.0])
    blocks: list[Any] = list(model.blocks)
    messages: list[Any] = list(model.messages)

    def message(layer: Any, x: Tensor) -> Tensor:
        x = masked_norm(layer.norm, nn.functional.leaky_relu(layer.linear(x)), between)
        return layer.dropout(x) * layout.pairs  # type: ignore[no-any-return]

    def run() -> Tensor:
        x = model.encoder(model.embedding(((p4 * metric) @ p4.mT)[..., None]))
        if model.scalars_to_pairs is not None:
            assert scalars is not None
            x = torch.cat([x, _nodes_to_pairs(model.scalars_to_pairs, scalars, counts, layout)], dim=-1)
        for layer, block in zip(messages[:-1], blocks, strict=True):
            x = _pairs_to_pairs(block, message(layer, x), counts, layout)
        logits: Tensor = model.head(_pairs_to_jet(model.readout, message(messages[-1], x), counts, layout))
        return logits

    return run


class _Layout:
    """Masks (J, W, 1) of nodes and (J, W, W, 1) of pairs, and δ_ij (W, W, 1)."""

    def __init__(self, nodes: Tensor, pairs: Tensor, delta: Tensor) -> None:
        self.nodes, self.pairs, self.delta = nodes[..., None], pairs, delta


def _pairs_to_pairs(block: Any, x: Tensor, counts: Tensor, layout: _Layout) -> Tensor:
    norm = block.aggregation.norm(counts)
    n = norm[:, None] if isinstance(norm, Tensor) else norm
    row, column = x.sum(2) / n, x.sum(1) / n
    diagonal = x.diagonal(dim1=1, dim2=2).mT
    trace, total = (values.sum(1, keepdim=True) / n for values in (diagonal, row))
    whole, delta = torch.zeros_like(x), layout.delta
    operations = [
        x,
        x.transpose(1, 2),
        delta * diagonal[:, :, None],
        diagonal[:, None] + whole,
        diagonal[:, :, None] + whole,
        delta * column[:, :, None],
        column[:, None] + whole,
        column[:, :, None] + whole,
        delta * row[:, :, None],
        row[:, None] + whole,
        row[:, :, None] + whole,
        trace[:, :, None] + whole,
        delta * trace[:, :, None],
        total[:, :, None] + whole,
        delta * total[:, :, None],
    ]
    stack = torch.stack(operations, dim=-1)
    if block.power is not None:
        factors = nn.functional.pad(block.power(counts).to(x), (5, 0), value=1.0)
        stack = stack * factors[:, None, None]
    mixed = _mix(block.mixing, stack) + block.bias + layout.delta * block.diagonal_bias
    return nn.functional.leaky_relu(mixed) * layout.pairs


def _nodes_to_pairs(block: Any, x: Tensor, counts: Tensor, layout: _Layout) -> Tensor:
    norm = block.aggregation.norm(counts)
    n = norm[:, None] if isinstance(norm, Tensor) else norm
    mean = (x * layout.nodes).sum(1, keepdim=True) / n
    whole = x.new_zeros((*layout.pairs.shape[:3], x.shape[-1]))
    operations = [
        layout.delta * x[:, :, None],
        x[:, None] + whole,
        x[:, :, None] + whole,
        layout.delta * mean[:, :, None],
        mean[:, :, None] + whole,
    ]
    stack = torch.stack(operations, dim=-1)
    if block.power is not None:
        stack = stack * block.power(counts).to(x)[:, None, None]
    return nn.functional.leaky_relu(_mix(block.mixing, stack) + block.bias) * layout.pairs


def _pairs_to_jet(block: Any, x: Tensor, counts: Tensor, layout: _Layout) -> Tensor:
    norm = block.aggregation.norm(counts)
    total, trace = x.sum(2).sum(1) / norm / norm, x.diagonal(dim1=1, dim2=2).sum(2) / norm
    stack = torch.stack([total, trace], dim=-1)
    if block.power is not None:
        stack = stack * block.power(counts).to(x)
    out: Tensor = _mix(block.mixing, nn.functional.leaky_relu(stack)) + block.bias
    return out


def _mix(mixing: ChannelMixing, stack: Tensor) -> Tensor:
    """Sum over channels d and operations b: (..., D, B) to (..., S), as one matrix product."""
    coefficients: Tensor = mixing().permute(1, 0, 2).flatten(0, 1).to(stack)
    return stack.flatten(-2) @ coefficients
