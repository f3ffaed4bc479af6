"""The perceptrons backward: a few nodes at a time, whose hidden values are computed again and stay in cache."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from ...common.cpu.attention_tiles import TILE_ROWS, products
from ...common.cpu.row_layers import LINEAR, RowLayer, row_layer
from ...common.cpu.wide_dense import add_rows
from .gate_rows import gate_scalar_rows, gate_vector_rows
from .invariant_gradients import norm_gradients
from .invariants import norm_rows
from .perceptron_weights import PerceptronWeights
from .workspace import CHUNK, Rows, padded_rows, whole_tiles

__all__ = ["Sums", "perceptron_gradients"]

_ZERO = np.float32(0)


class Sums(NamedTuple):
    """Gradients of one block's perceptron, one sum of each for every part of the nodes.

    Matrices are (parts, gates, in, out) or (parts, in, out), with `TILE_ROWS` rows of no use at the end.
    """

    gate_vectors: tuple[F4, F4]  # of the first gate, (parts, 1, in, out), and of those that follow
    gate_scalars: tuple[F4, F4]
    gate_bias: tuple[F4, F4]  # (parts, gates, out)
    vectors: F4
    scalars: F4
    bias: F4


class _Room(NamedTuple):
    """Of a chunk of nodes."""

    x: Rows
    normed: Rows
    grad: Rows  # ∂L/∂ of what leaves
    hidden: tuple[F4, F4]  # (gates, rows, channels): what gates give
    linear: tuple[F4, F4]  # before them, and its gradients
    grad_hidden: Rows
    grad_normed: Rows


@njit
def perceptron_gradients(
    weights: PerceptronWeights, b: int, keeps: bool, state: Rows, grad: Rows, bounds: I8, sums: Sums, first: int,
    last: int,
) -> None:  # fmt: skip
    """From gradients of what a block gives to those of what its perceptron begins with, in place.

    Parameters
    ----------
    weights : PerceptronWeights
        The perceptrons of all blocks.
    b : int
        The block.
    keeps : bool
        Whether it has vectors.
    state, grad : Rows
        What the perceptron begins with, and gradients, of nodes in whole registers.
    bounds : ndarray, shape (parts + 1,)
        Nodes before each part.
    sums : Sums
        Gradients of the weights, to which are added those of parts ``first:last``.
    """
    room = _room(weights)
    for part in range(first, last):
        for start in range(bounds[part], bounds[part + 1], CHUNK):
            count = min(CHUNK, bounds[part + 1] - start)
            for rows, chunk in ((state, room.x), (grad, room.grad)):
                _copy(rows.vectors, 4 * start, 4 * count, chunk.vectors)
                _copy(rows.scalars, start, count, chunk.scalars)
            norm_rows(room.x, 0, count, weights.share, room.normed, 0)
            _forward(weights, b, keeps, count, room)
            _backward(weights, b, keeps, count, room, sums, part)
            norm_gradients(room.x, weights.share, room.grad_normed, room.normed, 0, count)
            _add(room.normed.vectors, 4 * count, grad.vectors, 4 * start)
            _add(room.normed.scalars, count, grad.scalars, start)


@inner
def _room(weights: PerceptronWeights) -> _Room:
    wide_v, wide_s = weights.widths
    hidden_v, hidden_s = weights.hidden
    gates = 1 + len(weights.more[0].vectors.weight)
    nodes = CHUNK + TILE_ROWS
    return _Room(
        padded_rows(nodes, wide_v, wide_s),
        padded_rows(nodes, wide_v, wide_s),
        padded_rows(nodes, wide_v, wide_s),
        (_many(gates, 4 * nodes, hidden_v), _many(gates, nodes, hidden_s)),
        (_many(gates, 4 * nodes, 3 * hidden_v), _many(gates, nodes, 2 * hidden_s)),
        padded_rows(nodes, hidden_v, hidden_s),
        padded_rows(nodes, wide_v, wide_s),
    )


@inner
def _many(gates: int, rows: int, width: int) -> F4:
    return aligned_rows(gates * rows, width).reshape(gates, rows, width)


@inner
def _copy(x: F4, first: int, rows: int, out: F4) -> None:
    for row in range(rows):
        source, target = x[first + row], out[row]
        for c in range(len(target)):
            target[c] = source[c]


@inner
def _add(x: F4, rows: int, out: F4, first: int) -> None:
    for row in range(rows):
        source, target = x[row], out[first + row]
        for c in range(len(target)):
            target[c] += source[c]


@inner
def _first(layer: RowLayer, b: int) -> RowLayer:
    return RowLayer(layer.weight[b], layer.bias[b], layer.width)


@inner
def _more(layer: RowLayer, i: int, b: int) -> RowLayer:
    return RowLayer(layer.weight[i, b], layer.bias[i, b], layer.width)


@inner
def _forward(weights: PerceptronWeights, b: int, keeps: bool, count: int, room: _Room) -> None:
    rows = whole_tiles(count)
    (first, _), (more, _) = weights.first, weights.more
    for i in range(len(room.hidden[0])):
        v, s = (room.normed.vectors, room.normed.scalars) if i == 0 else (room.hidden[0][i - 1], room.hidden[1][i - 1])
        if keeps:
            layer = _first(first.vectors, b) if i == 0 else _more(more.vectors, i - 1, b)
            row_layer(v, 0, layer, LINEAR, room.linear[0][i], 0, 4 * rows)
            linear, out = room.linear[0][i], room.hidden[0][i]
            gate_vector_rows(linear, weights.coefficients[0], out, out, False, 0, count)
        layer = _first(first.scalars, b) if i == 0 else _more(more.scalars, i - 1, b)
        row_layer(s, 0, layer, LINEAR, room.linear[1][i], 0, rows)
        linear, out = room.linear[1][i], room.hidden[1][i]
        gate_scalar_rows(linear, weights.coefficients[1], out, out, False, 0, count)


@inner
def _backward(weights: PerceptronWeights, b: int, keeps: bool, count: int, room: _Room, sums: Sums, part: int) -> None:
    rows, last = whole_tiles(count), len(room.hidden[0]) - 1
    if keeps:
        row_layer(
            room.grad.vectors, 0, _first(weights.outputs.vectors, b), LINEAR, room.grad_hidden.vectors, 0, 4 * rows
        )
        _add_products(room.hidden[0][last], room.grad.vectors, 4 * count, sums.vectors[part])
    row_layer(room.grad.scalars, 0, _first(weights.outputs.scalars, b), LINEAR, room.grad_hidden.scalars, 0, rows)
    _add_products(room.hidden[1][last], room.grad.scalars, count, sums.scalars[part])
    add_rows(room.grad.scalars, 0, count, sums.bias, part)
    for i in range(last, -1, -1):
        _through_gate(weights, b, i, keeps, count, room, sums, part)


@inner
def _through_gate(
    weights: PerceptronWeights, b: int, i: int, keeps: bool, count: int, room: _Room, sums: Sums, part: int
) -> None:
    rows, which, j = whole_tiles(count), min(i, 1), max(i - 1, 0)
    (_, first), (_, more) = weights.first, weights.more
    if keeps:
        x = room.normed.vectors if i == 0 else room.hidden[0][j]
        out, linear, arriving = room.grad_normed.vectors, room.linear[0][i], room.grad_hidden.vectors
        gate_vector_rows(linear, weights.coefficients[0], arriving, linear, True, 0, count)
        _add_products(x, linear, 4 * count, sums.gate_vectors[which][part, j])
        layer = _first(first.vectors, b) if i == 0 else _more(more.vectors, j, b)
        row_layer(linear, 0, layer, LINEAR, out if i == 0 else arriving, 0, 4 * rows)
    x = room.normed.scalars if i == 0 else room.hidden[1][j]
    out, linear, arriving = room.grad_normed.scalars, room.linear[1][i], room.grad_hidden.scalars
    gate_scalar_rows(linear, weights.coefficients[1], arriving, linear, True, 0, count)
    _add_products(x, linear, count, sums.gate_scalars[which][part, j])
    add_rows(linear, 0, count, sums.gate_bias[which][part], j)
    layer = _first(first.scalars, b) if i == 0 else _more(more.scalars, j, b)
    row_layer(linear, 0, layer, LINEAR, out if i == 0 else arriving, 0, rows)


@inner
def _add_products(left: F4, right: F4, rows: int, out: F4) -> None:
    """Add leftᵀ right over the first rows, to as many rows of `out` as are whole tiles."""
    height, width = left.shape[1], right.shape[1]
    for r in range(0, height, TILE_ROWS):
        at = r * width
        products(left, r, 1, height, right, 0, width, rows, out, at, width, out, at, width, width)
