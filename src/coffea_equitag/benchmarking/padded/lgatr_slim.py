"""L-GATr-slim in plain torch on padded jets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...jets.ragged import RaggedJets
from ...models.lgatr_slim import LGATrSlim
from .attention import attention
from .masking import pad, real

__all__ = ["padded", "spurions_before"]


def padded(model: LGATrSlim, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """L-GATr-slim on padded nodes (J, width + token + spurions), given as to the official network.

    That is, in the laboratory frame and in the network's precision.
    """
    nodes = spurions_before(model, jets)
    mask = real(nodes, width + model.extra_nodes)
    first_scalars = pad(model.scalars(jets, nodes), mask).flatten(0, 1)
    first = pad((nodes.p4 / model.options["unit"]).to(model.dtype), mask).flatten(0, 1)[..., None]
    blocks: list[Any] = list(model.blocks)
    here, counts = mask[..., None].to(first), nodes.counts[:, None]

    def run() -> Tensor:
        vectors, scalars = model.embedding(first, first_scalars)
        for block in blocks:
            updates = _attention(block.attention, block.first_norm(vectors, scalars), mask)
            vectors, scalars = vectors + updates[0], scalars + updates[1]
            new_vectors, new_scalars = block.second_norm(vectors, scalars)
            if not block.keeps_vectors:
                vectors, new_vectors = vectors[..., :0], new_vectors[..., :0]
            new_vectors, new_scalars = block.perceptron(new_vectors, new_scalars)
            vectors, scalars = vectors + new_vectors, scalars + new_scalars
        rows = torch.unflatten(scalars, 0, mask.shape)
        logits: Tensor = model.head(rows[:, 0] if model.token else (rows * here).sum(1) / counts)
        return logits

    return run


def spurions_before(model: LGATrSlim, jets: RaggedJets) -> RaggedJets:
    """The jets with token and spurions before their constituents."""
    front = jets.p4.new_zeros(model.extra_nodes, 4)
    if model.spurions:
        beams = front.new_tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, -1.0]])
        front[model.token :] = front.new_tensor(model.spurions) @ beams * model.options["unit"]
    return jets.prepend(front, front.new_zeros(len(front)))


def _attention(layer: Any, rows: tuple[Tensor, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
    """Updates of vectors (J·W, 4, V) and scalars (J·W, S)."""
    (v, s), heads = layer.head_channels, layer.heads
    vectors, scalars = layer.inputs(*rows)
    vectors = vectors.view(*mask.shape, 4, 3, v, heads).permute(3, 0, 5, 1, 2, 4)  # (3, J, H, W, 4, V)
    scalars = scalars.view(*mask.shape, 3, s, heads).permute(2, 0, 4, 1, 3)
    (q, k, values), (q_scalar, k_scalar, value_scalars) = layer.norm(vectors, scalars)
    lowered = q * q.new_tensor([1.0, -1.0, -1.0, -1.0])[:, None]
    parts = ((lowered, q_scalar), (k, k_scalar), (values, value_scalars))
    query, key, value = (torch.cat([vector.flatten(3), scalar], dim=3) for vector, scalar in parts)
    found = attention(query, key, value, mask).transpose(1, 2).flatten(0, 1)  # (J·W, H, 4 V + S)
    vectors = torch.unflatten(found[..., : 4 * v], 2, (4, v)).transpose(1, 2).flatten(2)
    updates: tuple[Tensor, Tensor] = layer.dropout(*layer.outputs(vectors, found[..., 4 * v :].flatten(1)))
    return updates
