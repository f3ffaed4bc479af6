"""The matrices of a block as the kernels apply them, made of its parameters by torch, so that gradients find back.

Gains are in the matrices that follow them; a head's channels are side by side, and filled up to whole fours with zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ....layers.slim_block import SlimAttention

__all__ = ["Linear", "block_matrices", "embedding_matrices", "head_sizes"]


class Linear(NamedTuple):
    """One layer: matrices (out, in) of vectors and of scalars, and the scalars' bias."""

    vectors: Tensor | None
    scalars: Tensor
    bias: Tensor


def head_sizes(attention: SlimAttention) -> tuple[int, int]:
    """A head's channels of vectors and scalars, with those that fill them up."""
    v, s = attention.head_channels
    return v + -v % 4, s + -s % 4


def embedding_matrices(model: Any) -> Linear:
    """Of the first layer."""
    return _linear(model.embedding)


def block_matrices(block: Any) -> Iterator[Linear]:
    """Of queries, keys and values; of what attention gives; of the gates; of what the perceptron gives."""
    attention, perceptron = block.attention, block.perceptron
    yield _gained(_by_heads(attention), block.first_norm)
    out = attention.outputs
    v, s = (
        _filled(torch.unflatten(linear.weight, 1, (attention.heads, -1)), 2).flatten(1)
        for linear in (out.vectors, out.scalars)
    )
    yield Linear(v, s, out.scalars.bias)
    first, *others = (_linear(gate.linear) for gate in perceptron.gates)
    yield _gained(first, block.second_norm)
    yield from others
    yield _linear(perceptron.outputs)


def _by_heads(attention: Any) -> Linear:
    v, s = (
        _filled(torch.unflatten(linear.weight, 0, (3, -1, attention.heads)).transpose(1, 2), 2).flatten(0, 2)
        for linear in (attention.inputs.vectors, attention.inputs.scalars)
    )
    return Linear(v, s, s.new_zeros(len(s)))


def _linear(layer: Any) -> Linear:
    return Linear(None if layer.vectors is None else layer.vectors.weight, layer.scalars.weight, layer.scalars.bias)


def _gained(linear: Linear, norm: Any) -> Linear:
    v = linear.vectors
    return Linear(
        v if v is None or norm.vectors is None else v * norm.vectors,
        linear.scalars if norm.scalars is None else linear.scalars * norm.scalars,
        linear.bias,
    )


def _filled(values: Tensor, axis: int) -> Tensor:
    """Zeros at the end of an axis, to a multiple of four."""
    gap = -values.shape[axis] % 4
    if not gap:
        return values
    shape = [*values.shape]
    shape[axis] = gap
    return torch.cat([values, values.new_zeros(shape)], dim=axis)
