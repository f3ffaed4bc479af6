"""Gradients of `ragged_attention`: the weights are made again, one head of a jet after the other.

With P the weights and G = ∂L/∂out: ∂L/∂v = Pᵀ G; ∂L/∂bias = P (G vᵀ − Σ_j P G vᵀ) = S; ∂L/∂q = scale S k and
∂L/∂k = scale Sᵀ q. Sums over queries run over blocks of them in their order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from .attention_tiles import SOFTMAX_ROWS, TILE_ROWS, products, softmax_gradient_row, softmax_rows, whole_vectors
from .dropout_row import Drop, drop_row
from .ragged_attention import (
    ONE,
    Rows,
    begin_scores,
    has_own,
    largest_jet,
    pack_head,
    pack_rows,
    row_stride,
    transpose_head,
)
from .row_moves import scale_row

__all__ = ["Gradients", "attend_jets_gradient"]

#: Queries of a block: all of most jets.
_BLOCK = 16 * TILE_ROWS


class _Room(NamedTuple):
    """One head of a jet and its gradients, rows in whole vectors, those of queries for one block of them."""

    keys: F4  # (n, D)
    turned_keys: F4  # (D, n)
    turned_values: F4  # (E, n)
    queries: F4  # (B, D), scaled
    arriving: F4  # (B, E): G
    weights: F4  # (B, n): P
    scores: F4  # (B, n): S
    totals: F4  # (B,): sums of the weights before they are divided by them
    grad_queries: F4  # (6, D)
    grad_keys: F4  # (n, D)
    grad_values: F4  # (n, E)
    zeros: F4


@inner
def _room_for(n: int, queries: int, depth: int, width: int) -> _Room:
    columns, wide = whole_vectors(n), max(whole_vectors(depth), whole_vectors(width))
    rows = min(queries, _BLOCK) + TILE_ROWS
    # tiles reach as far as `TILE_ROWS` beyond the last row, and beyond the last column of P and S, for rows of no use
    return _Room(
        np.zeros(n * whole_vectors(depth), np.float32),
        np.empty(depth * columns, np.float32),
        np.empty(width * columns, np.float32),
        np.zeros(rows * whole_vectors(depth), np.float32),
        np.zeros(rows * whole_vectors(width), np.float32),
        np.zeros(rows * columns, np.float32),
        np.zeros(rows * columns, np.float32),
        np.empty(rows, np.float32),
        np.empty(TILE_ROWS * whole_vectors(depth), np.float32),
        np.empty((n + TILE_ROWS) * whole_vectors(depth), np.float32),
        np.empty((n + TILE_ROWS) * whole_vectors(width), np.float32),
        np.zeros(max(columns, wide), np.float32),
    )


class Gradients(NamedTuple):
    """Gradients of what `attend_jets` takes, each in the shape of what it belongs to."""

    queries: F4
    keys: Rows
    values: Rows
    bias: F4  # (0, H) if it is not wanted


@njit
def attend_jets_gradient(
    q: F4, keys: Rows, values: Rows, offsets: I8, first: int, last: int, heads: int, scale: float, bias: F4,
    bias_at: int, drop: Drop, grad_out: F4, grads: Gradients,
) -> None:  # fmt: skip
    """Gradients of `attend_jets` with the same arguments; all rows of the jets are written over."""
    depth, width, own, factor = q.shape[1] // heads, grad_out.shape[1] // heads, has_own(keys), np.float32(scale)
    n_max = largest_jet(offsets, first, last) + own
    room = _room_for(n_max, 1 if own else n_max, depth, width)
    for jet in range(first, last):
        row, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        query, queries, pair = (jet, 1, 0) if own else (row, n, bias_at)
        for head in range(heads):
            transpose_head(keys, jet, row, n, head, depth, room.turned_keys)
            transpose_head(values, jet, row, n, head, width, room.turned_values)
            pack_rows(keys, jet, row, n, head, depth, room.keys)
            _differentiate_head(
                q, query, queries, n + own, head, heads, factor, bias, pair, drop, room, grad_out, grads
            )
            _write_rows(room.grad_keys, n, head, depth, grads.keys, jet, row)
            _write_rows(room.grad_values, n, head, width, grads.values, jet, row)
        bias_at += n * n


@inner
def _differentiate_head(
    q: F4, row: int, queries: int, n: int, head: int, heads: int, scale: np.float32, bias: F4, bias_at: int,
    drop: Drop, room: _Room, grad_out: F4, grads: Gradients,
) -> None:  # fmt: skip
    """Gradients of some queries and their biases into `grads`, of n keys and values into the room."""
    depth, width = q.shape[1] // heads, grad_out.shape[1] // heads
    for i in range(0, queries, _BLOCK):
        rows = min(_BLOCK, queries - i)
        pack_head(q, row + i, rows, head, depth, scale, room.queries, 0)
        pack_head(grad_out, row + i, rows, head, width, ONE, room.arriving, 0)
        _weights_and_scores(room, rows, n, depth, width, bias, drop, bias_at + i * n, head)
        _differentiate_queries(room, rows, n, depth, scale, grads.queries, row + i, head)
        _add_to_columns(room.scores, rows, n, room.queries, depth, room.grad_keys, room.zeros, i == 0)
        _add_to_columns(room.weights, rows, n, room.arriving, width, room.grad_values, room.zeros, i == 0)
        if grads.bias.size:
            _write_bias(room.scores, n, rows, grads.bias, bias_at + i * n, head)


@inner
def _weights_and_scores(
    room: _Room, rows: int, n: int, depth: int, width: int, bias: F4, drop: Drop, pair: int, head: int
) -> None:
    """P, as far as it is not dropped, and S of a block of queries."""
    columns, padded_depth, padded_width = whole_vectors(n), whole_vectors(depth), whole_vectors(width)
    start, at, stride = begin_scores(room.weights, room.zeros, n, rows, bias, pair, head)
    for r in range(0, rows, TILE_ROWS):
        products(
            room.queries, r * padded_depth, padded_depth, 1, room.turned_keys, 0, columns, depth,
            start, at + r * stride, stride, room.weights, r * columns, columns, columns,
        )  # fmt: skip
        products(
            room.arriving, r * padded_width, padded_width, 1, room.turned_values, 0, columns, width,
            room.zeros, 0, 0, room.scores, r * columns, columns, columns,
        )  # fmt: skip
    for r in range(0, rows, SOFTMAX_ROWS):
        softmax_rows(room.weights, r * columns, columns, n, room.totals, r)
    for r in range(rows):
        at = r * columns
        if drop.threshold:
            drop_row(room.scores, at, columns, pair + r * n, head, drop)
        softmax_gradient_row(room.weights, at, room.scores, at, columns, room.totals[r])
        if drop.threshold:
            drop_row(room.weights, at, columns, pair + r * n, head, drop)


@inner
def _differentiate_queries(
    room: _Room, rows: int, n: int, depth: int, scale: np.float32, grad_q: F4, row: int, head: int
) -> None:
    columns, padded = whole_vectors(n), whole_vectors(depth)
    for r in range(0, rows, TILE_ROWS):
        products(
            room.scores, r * columns, columns, 1, room.keys, 0, padded, n,
            room.zeros, 0, 0, room.grad_queries, 0, padded, padded,
        )  # fmt: skip
        for s in range(min(TILE_ROWS, rows - r)):
            at = (row + r + s) * row_stride(grad_q) + head * depth
            scale_row(room.grad_queries, s * padded, depth, scale, grad_q, at)


@inner
def _add_to_columns(left: F4, rows: int, n: int, right: F4, width: int, out: F4, zeros: F4, begins: bool) -> None:
    """leftᵀ right over a block of rows, into `out` at first and then added to it."""
    columns, padded = whole_vectors(n), whole_vectors(width)
    start, stride = (zeros, 0) if begins else (out, padded)
    for j in range(0, n, TILE_ROWS):
        products(
            left, j, 1, columns, right, 0, padded, rows, start, j * stride, stride, out, j * padded, padded, padded
        )


@inner
def _write_rows(packed: F4, n: int, head: int, width: int, out: Rows, jet: int, row: int) -> None:
    """A head of n rows, and of the jet's own, to where they belong."""
    padded, stride = whole_vectors(width), row_stride(out.each)
    for r in range(n):
        scale_row(packed, r * padded, width, ONE, out.each, (row + r) * stride + head * width)
    if has_own(out):
        scale_row(packed, n * padded, width, ONE, out.own, jet * row_stride(out.own) + head * width)


@inner
def _write_bias(scores: F4, n: int, rows: int, out: F4, pair: int, head: int) -> None:
    columns = whole_vectors(n)
    pair_stride, head_stride = out.strides[0] // out.itemsize, out.strides[1] // out.itemsize
    for r in range(rows):
        if pair_stride == 1:
            scale_row(scores, r * columns, n, ONE, out, head * head_stride + pair + r * n)
        else:
            for j in range(n):
                out[pair + r * n + j, head] = scores[r * columns + j]
