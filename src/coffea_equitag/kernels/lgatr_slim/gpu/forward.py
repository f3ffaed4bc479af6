"""L-GATr-slim on a GPU, block after block; how dense layers are computed is for inference and training to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from ....layers.slim import SlimDropout, SlimGate
from ....layers.slim_block import SlimBlock
from ...common.gpu.attention_function import ATTENTION_ROWS, attention
from ...common.gpu.tiles import Tiles
from .gate import gated
from .heads import queries_keys_values
from .norm import normalised
from .weights import BlockWeights, Linear, SlimWeights, Streams

__all__ = ["Dense", "features"]

#: x · weight + bias of rows (M, K), added to what is given, if anything: to rows (M, W), which may be overwritten.
Dense: TypeAlias = Callable[[Tensor, Linear, Tensor | None], Tensor]

#: The gates' activations by their names in `activations`; GELU is its approximation by tanh.
_KINDS: dict[type[nn.Module], str] = {
    nn.GELU: "gelu_tanh",
    nn.SiLU: "silu",
    nn.ReLU: "relu",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
}


def features(
    model: Any, weights: SlimWeights, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor, dense: Dense
) -> tuple[Tensor, Tensor]:
    """Vectors (N, 4, V), or (N, 4, 0) in a classifier, and scalars (N, S) after the last block."""
    embedding = weights.embedding
    assert embedding.vectors is not None
    tiles = Tiles.of(offsets, ATTENTION_ROWS)
    both = vectors_N4[:, :, None] * embedding.vectors.weight[0], dense(scalars, embedding.scalars, None)
    for block, layers in zip(model.blocks, weights.blocks, strict=True):
        both = _attended(block, layers, *both, tiles, dense)
        both = _gated(block, layers, *both, dense)
    return both


def _attended(
    block: SlimBlock, layers: BlockWeights, vectors: Tensor, scalars: Tensor, tiles: Tiles, dense: Dense
) -> tuple[Tensor, Tensor]:
    """Both streams after the attention."""
    layer, (v, _) = block.attention, block.attention.head_channels
    inputs = _apply(layers.inputs, *normalised(vectors, scalars), dense)
    query, key, value = queries_keys_values(*inputs, layer.heads)
    found = attention(query, key, value, tiles)
    joined = torch.unflatten(found[..., : 4 * v], 2, (4, v)).transpose(1, 2).flatten(2)
    return _added(layers.outputs, joined, found[..., 4 * v :].flatten(1), vectors, scalars, dense, layer.dropout)


def _gated(
    block: SlimBlock, layers: BlockWeights, vectors: Tensor, scalars: Tensor, dense: Dense
) -> tuple[Tensor, Tensor]:
    """Both streams after the perceptron."""
    perceptron = block.perceptron
    x, s = normalised(vectors, scalars)
    if not block.keeps_vectors:
        vectors, x = vectors[..., :0], x[..., :0]
    for module, streams in zip(perceptron.gates, layers.gates, strict=True):
        gate = cast(SlimGate, module)
        wide_x, wide_s = _apply(streams, x, s, dense)
        x, s = gated(wide_x, _KINDS[type(gate.vector_activation)]), gated(wide_s, _KINDS[type(gate.activation)])
        x, s = perceptron.dropout(x, s)
    return _added(layers.last, x, s, vectors, scalars, dense)


def _added(
    streams: Streams,
    x: Tensor,
    s: Tensor,
    vectors: Tensor,
    scalars: Tensor,
    dense: Dense,
    dropout: SlimDropout | None = None,
) -> tuple[Tensor, Tensor]:
    """Both streams, and what layers make of x and s added to them."""
    if dropout is None or not (dropout.training and dropout.probability):
        return _apply(streams, x, s, dense, vectors, scalars)
    x, s = dropout(*_apply(streams, x, s, dense))
    return vectors + x, scalars + s


def _apply(
    streams: Streams,
    x: Tensor,
    s: Tensor,
    dense: Dense,
    vectors: Tensor | None = None,
    scalars: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Layers of both streams, the components of vectors being rows of their own; there may be no vectors."""
    if streams.vectors is not None:
        x = dense(x.flatten(0, 1), streams.vectors, None if vectors is None else vectors.flatten(0, 1))
        x = x.view(len(s), 4, x.shape[1])
    return x, dense(s, streams.scalars, scalars)
