"""Gradients of `ragged_attention`: the weights are made again, one head of a jet after the other.

With P the weights and G = ∂L/∂out: ∂L/∂v = Pᵀ G; ∂L/∂bias = P (G vᵀ − Σ_j P G vᵀ) = S; ∂L/∂q = scale S k and
∂L/∂k = scale Sᵀ q. Sums over queries run over blocks of them in their order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from .attention_tiles import TILE_ROWS, products, softmax_gradient_row, softmax_row, whole_vectors
from .dropout_row import NO_DROP, Drop, drop_row
from .ragged_attention import (
    ONE,
    fill_scores,
    fill_without_bias,
    largest_jet,
    pack_head,
    row_stride,
    transpose_head,
)
from .row_moves import scale_row

__all__ = ["attend_rows_gradient", "attend_tokens_gradient"]

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
    no_bias: F4  # (n,)
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
        np.zeros(columns, np.float32),
        np.empty(TILE_ROWS * whole_vectors(depth), np.float32),
        np.empty((n + TILE_ROWS) * whole_vectors(depth), np.float32),
        np.empty((n + TILE_ROWS) * whole_vectors(width), np.float32),
        np.zeros(max(columns, wide), np.float32),
    )


@njit
def attend_rows_gradient(
    q: F4, k: F4, v: F4, offsets: I8, first: int, last: int, heads: int, scale: float, bias: F4, bias_at: int,
    grad_out: F4, grad_q: F4, grad_k: F4, grad_v: F4, grad_bias: F4,
    drop: Drop = NO_DROP,
) -> None:  # fmt: skip
    """Gradients of what `attend_rows` takes, each in the shape of what it belongs to; all are written over."""
    depth, width, factor = q.shape[1] // heads, v.shape[1] // heads, np.float32(scale)
    n_max = largest_jet(offsets, first, last)
    room = _room_for(n_max, n_max, depth, width)
    for jet in range(first, last):
        row, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        columns = whole_vectors(n)
        fill_without_bias(room.no_bias, n)
        for head in range(heads):
            transpose_head(k, row, n, head, depth, room.turned_keys, columns)
            transpose_head(v, row, n, head, width, room.turned_values, columns)
            pack_head(k, row, n, head, depth, ONE, room.keys, 0)
            _differentiate_head(
                q, row, n, n, head, heads, factor, bias, bias_at, drop, room, grad_out, grad_q, grad_bias
            )
            _write_head(room.grad_keys, 0, n, head, depth, grad_k, row)
            _write_head(room.grad_values, 0, n, head, width, grad_v, row)
        bias_at += n * n


@njit
def attend_tokens_gradient(
    q: F4, own_k: F4, k: F4, own_v: F4, v: F4, offsets: I8, first: int, last: int, heads: int, scale: float,
    grad_out: F4, grad_q: F4, grad_own_k: F4, grad_k: F4, grad_own_v: F4, grad_v: F4,
) -> None:  # fmt: skip
    """Gradients of what `attend_tokens` takes, each in the shape of what it belongs to; all are written over."""
    depth, width, factor = q.shape[1] // heads, v.shape[1] // heads, np.float32(scale)
    room = _room_for(largest_jet(offsets, first, last) + 1, 1, depth, width)
    none = q[:0, :heads]
    # of the types that `attend_rows` has there
    zero, one = np.int64(0), np.int64(1)
    for jet in range(first, last):
        row, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        columns = whole_vectors(n + 1)
        fill_without_bias(room.no_bias, n + 1)
        for head in range(heads):
            transpose_head(k, row, n, head, depth, room.turned_keys, columns)
            transpose_head(v, row, n, head, width, room.turned_values, columns)
            for d in range(depth):
                room.turned_keys[d * columns + n] = own_k[jet, head * depth + d]
            for e in range(width):
                room.turned_values[e * columns + n] = own_v[jet, head * width + e]
            pack_head(k, row, n, head, depth, ONE, room.keys, 0)
            pack_head(own_k, jet, 1, head, depth, ONE, room.keys, n)
            _differentiate_head(
                q, jet, one, n + 1, head, heads, factor, none, zero, NO_DROP, room, grad_out, grad_q, none
            )
            _write_head(room.grad_keys, 0, n, head, depth, grad_k, row)
            _write_head(room.grad_keys, n, 1, head, depth, grad_own_k, jet)
            _write_head(room.grad_values, 0, n, head, width, grad_v, row)
            _write_head(room.grad_values, n, 1, head, width, grad_own_v, jet)


@njit
def _differentiate_head(
    q: F4, row: int, queries: Any, n: int, head: int, heads: int, scale: np.float32, bias: F4, bias_at: Any,
    drop: Drop, room: _Room, grad_out: F4, grad_q: F4, grad_bias: F4,
) -> None:  # fmt: skip
    """Gradients of some queries into `grad_q` and `grad_bias`, of n keys and values into the room's."""
    depth, width = q.shape[1] // heads, grad_out.shape[1] // heads
    for i in range(0, queries, _BLOCK):
        rows = min(_BLOCK, queries - i)
        pack_head(q, row + i, rows, head, depth, scale, room.queries, 0)
        pack_head(grad_out, row + i, rows, head, width, ONE, room.arriving, 0)
        if bias.size:
            fill_scores(room.weights, n, rows, bias, bias_at + i * n, head)
        _weights_and_scores(room, rows, n, depth, width, bias.size > 0, drop, bias_at + i * n, head)
        _differentiate_queries(room, rows, n, depth, scale, grad_q, row + i, head)
        _add_to_columns(room.scores, rows, n, room.queries, depth, room.grad_keys, room.zeros, i == 0)
        _add_to_columns(room.weights, rows, n, room.arriving, width, room.grad_values, room.zeros, i == 0)
        if grad_bias.size:
            _write_bias(room.scores, n, rows, grad_bias, bias_at + i * n, head)


@inner
def _weights_and_scores(
    room: _Room, rows: int, n: int, depth: int, width: int, biased: bool, drop: Drop, pair: int, head: int
) -> None:
    """P, as far as it is not dropped, and S of a block of queries."""
    columns, padded_depth, padded_width = whole_vectors(n), whole_vectors(depth), whole_vectors(width)
    start, stride = (room.weights, columns) if biased else (room.no_bias, 0)
    for r in range(0, rows, TILE_ROWS):
        products(
            room.queries, r * padded_depth, padded_depth, 1, room.turned_keys, 0, columns, depth,
            start, r * stride, stride, room.weights, r * columns, columns, columns,
        )  # fmt: skip
        products(
            room.arriving, r * padded_width, padded_width, 1, room.turned_values, 0, columns, width,
            room.zeros, 0, 0, room.scores, r * columns, columns, columns,
        )  # fmt: skip
    for r in range(rows):
        at, total = r * columns, softmax_row(room.weights, r * columns, columns)
        if drop.threshold:
            drop_row(room.scores, at, columns, pair + r * n, head, drop)
        softmax_gradient_row(room.weights, at, room.scores, at, columns, total)
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
def _write_head(packed: F4, first: int, n: int, head: int, width: int, out: F4, row: int) -> None:
    """Rows of a head to where they belong."""
    for r in range(n):
        at = (row + r) * row_stride(out) + head * width
        scale_row(packed, (first + r) * whole_vectors(width), width, ONE, out, at)


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
