"""L-GATr-slim's parameters for GPUs: matrices with the inputs first, gains of the norms in the layers after them."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ....layers.slim import SlimGate, SlimLinear
from ....layers.slim_block import SlimBlock

__all__ = ["BlockWeights", "Linear", "SlimWeights", "Streams", "weights_of"]


class Linear(NamedTuple):
    """x · weight + bias."""

    weight: Tensor  # (inputs, outputs)
    bias: Tensor  # (outputs,); 0 for vectors


class Streams(NamedTuple):
    """The layers of both streams; None where there are no vectors."""

    vectors: Linear | None
    scalars: Linear


class BlockWeights(NamedTuple):
    """A block's layers: before and after the attention, the gates', and the perceptron's last."""

    inputs: Streams  # outputs: queries of each head, keys, values
    outputs: Streams
    gates: tuple[Streams, ...]
    last: Streams


class SlimWeights(NamedTuple):
    """All layers but the heads."""

    embedding: Streams
    blocks: tuple[BlockWeights, ...]


def weights_of(model: Any) -> SlimWeights:
    """Weights of an `LGATrSlim`, with gradients where they are recorded."""
    blocks: list[SlimBlock] = list(model.blocks)
    return SlimWeights(_streams(model.embedding), tuple(_block(block) for block in blocks))


def _block(block: SlimBlock) -> BlockWeights:
    attention, perceptron, gains = block.attention, block.perceptron, block.second_norm
    first, *others = (cast(SlimGate, gate).linear for gate in perceptron.gates)
    return BlockWeights(
        inputs=_streams(attention.inputs, block.first_norm, attention.heads),
        outputs=_streams(attention.outputs),
        gates=(_streams(first, gains), *map(_streams, others)),
        last=_streams(perceptron.outputs),
    )


def _streams(layer: SlimLinear, gains: Any = None, heads: int = 0) -> Streams:
    assert layer.scalars is not None
    vectors = None
    if layer.vectors is not None:
        vectors = _linear(layer.vectors, None if gains is None else gains.vectors, heads)
    return Streams(vectors, _linear(layer.scalars, None if gains is None else gains.scalars, heads))


def _linear(linear: nn.Linear, gain: Tensor | None, heads: int) -> Linear:
    """With `heads`, outputs (3, channel, head) become (3, head, channel)."""
    weight = linear.weight if gain is None else linear.weight * gain
    if heads:
        weight = torch.unflatten(weight, 0, (3, -1, heads)).transpose(1, 2).flatten(0, 2)
    bias: Tensor | None = linear.bias
    return Linear(weight.T.contiguous(), weight.new_zeros(len(weight)) if bias is None else bias)
