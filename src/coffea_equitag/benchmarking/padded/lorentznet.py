"""LorentzNet in plain torch: with all pairs of a padded batch, and with a list of edges as in the official code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...jets.ragged import RaggedJets
from ...layers.psi import psi
from ...models.beams import with_beams
from ...models.lorentznet import LorentzNet
from .masking import masked_norm, pad, real

__all__ = ["edge_list", "padded"]


def padded(model: LorentzNet, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """LorentzNet on (J, width + beams) padded nodes, with concatenated edge inputs (J, width, width, 2C + 2).

    Nodes and their scalars are given; everything is computed in the network's precision, as in the official code.
    """
    blocks: list[Any] = list(model.blocks)
    nodes = with_beams(jets) if model.options["beams"] else jets
    mask = real(nodes, width + model.extra_nodes)
    edges = mask[:, :, None] & mask[:, None] & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    scalars, first = pad(model.scalars(nodes), mask), pad(nodes.p4.to(model.dtype), mask)
    degree = (nodes.counts - 1).clamp(min=1)[:, None, None]
    here, between = mask[..., None].to(first), edges[..., None].to(first)
    counts = nodes.counts[:, None].clamp(min=1)
    metric = first.new_tensor([1.0, -1.0, -1.0, -1.0])

    def run() -> Tensor:
        h, x = model.embedding(scalars), first
        shape = (*edges.shape, h.shape[-1])
        for block in blocks:
            difference = x[:, :, None] - x[:, None]
            norm = psi((difference.square() * metric).sum(-1, keepdim=True))
            product = psi(((x * metric) @ x.mT)[..., None])
            joined = torch.cat([h[:, :, None].expand(shape), h[:, None].expand(shape), norm, product], dim=-1)
            message = _through(block.phi_e, joined, edges)
            message = message * block.phi_m(message) * between
            if block.phi_x is not None:
                step = difference * block.phi_x(message)
                if block.clamp is not None:
                    step = step.clamp(-block.clamp, block.clamp)
                x = x + block.c_weight * (step * between).sum(2) / degree
            h = h + _through(block.phi_h, torch.cat([h, message.sum(2), scalars], dim=-1), mask)
        logits: Tensor = model.head((h * here).sum(1) / counts)
        return logits

    return run


def edge_list(model: LorentzNet, jets: RaggedJets) -> Callable[[], Tensor]:
    """LorentzNet as in its paper and its official code: an index of edges, with concatenated inputs."""
    blocks: list[Any] = list(model.blocks)
    nodes = with_beams(jets) if model.options["beams"] else jets
    scalars, start, counts = model.scalars(nodes), nodes.offsets[:-1].tolist(), nodes.counts.tolist()
    first = nodes.p4.to(model.dtype)
    jet = torch.repeat_interleave(torch.arange(nodes.num_jets, device=first.device), nodes.counts)
    pairs = [(~torch.eye(n, dtype=torch.bool)).nonzero() + at for at, n in zip(start, counts, strict=True)]
    i, j = torch.cat(pairs).T.contiguous().to(first.device)
    metric = first.new_tensor([1.0, -1.0, -1.0, -1.0])

    def over_edges(values: Tensor) -> Tensor:
        return values.new_zeros((len(first), values.shape[1])).index_add_(0, i, values)

    def run() -> Tensor:
        h, x = model.embedding(scalars), first
        for block in blocks:
            difference = x[i] - x[j]
            norm = psi((difference * difference * metric).sum(1, keepdim=True))
            product = psi((x[i] * x[j] * metric).sum(1, keepdim=True))
            message = block.phi_e(torch.cat([h[i], h[j], norm, product], dim=1))
            message = message * block.phi_m(message)
            if block.phi_x is not None:
                degree = over_edges(torch.ones_like(norm)).clamp(min=1)
                step = difference * block.phi_x(message)
                if block.clamp is not None:
                    step = step.clamp(-block.clamp, block.clamp)
                x = x + block.c_weight * over_edges(step) / degree
            h = h + block.phi_h(torch.cat([h, over_edges(message), scalars], dim=1))
        mean = h.new_zeros((len(counts), h.shape[1])).index_add_(0, jet, h) / nodes.counts.clamp(min=1)[:, None]
        logits: Tensor = model.head(mean)
        return logits

    return run


def _through(layers: nn.Sequential, values: Tensor, mask: Tensor) -> Tensor:
    for layer in layers:
        values = masked_norm(layer, values, mask) if isinstance(layer, nn.BatchNorm1d) else layer(values)
    return values
