"""Attention within each jet, ragged: Σ_j softmax_j(scale q_i·k_j + b_ij) v_j, without gradients.

One head after the other, six queries at a time: their scores and weights stay in cache and are never stored. A jet's
rows depend on its own numbers and on n alone.

Rows of queries, keys, values and outputs are float32 arrays of two dimensions, heads side by side: (R, H·D) and
(R, H·E). The rows may be any distance apart, as columns of a wider array are. The bias is (pairs, H), pair i·n + j of
each jet; fastest where the numbers of a head lie side by side, as in the transpose of a contiguous (H, pairs). An empty
one is none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ....array_types import F4, I8
from ....compiled import inner, njit
from .attention_tiles import SOFTMAX_ROWS, TILE_ROWS, products, softmax_rows, whole_vectors
from .dropout_row import NO_DROP, Drop, drop_row
from .row_moves import fill_ends, scale_row, transpose

__all__ = [
    "ONE",
    "Rows",
    "attend_jets",
    "attend_rows",
    "attend_tokens",
    "begin_scores",
    "has_own",
    "largest_jet",
    "pack_head",
    "pack_rows",
    "row_stride",
    "transpose_head",
]

ZERO, ONE = np.float32(0.0), np.float32(1.0)


class Rows(NamedTuple):
    """Keys or values: of the jets, (J, ...) or none, and of their constituents."""

    own: F4
    each: F4


class _Room(NamedTuple):
    """One head of a jet, its rows in whole vectors, and what is made for six queries at a time."""

    keys: F4  # (D, n), transposed
    values: F4  # (n, E)
    queries: F4  # (6, D)
    scores: F4  # (6, n)
    sums: F4  # (6, E)
    zeros: F4
    totals: F4  # (6,)


@inner
def _room_for(n: int, depth: int, width: int) -> _Room:
    columns, width = whole_vectors(n), whole_vectors(width)
    return _Room(
        np.empty(depth * columns, np.float32),
        np.zeros(n * width, np.float32),
        np.zeros(TILE_ROWS * whole_vectors(depth), np.float32),
        np.zeros(TILE_ROWS * columns, np.float32),
        np.empty(TILE_ROWS * width, np.float32),
        np.zeros(max(columns, width), np.float32),
        np.empty(TILE_ROWS, np.float32),
    )


@inner
def attend_rows(
    q: F4, k: F4, v: F4, offsets: I8, first: int, last: int, heads: int, scale: float, bias: F4, bias_at: int, out: F4
) -> None:
    """Attention of the jets from `first` to before `last`.

    Parameters
    ----------
    q, k, v : array, shapes (R, H·D), (R, H·D) and (R, H·E)
        Queries, keys and values.
    offsets : array of int64, shape (J + 1,)
        Rows before each jet.
    first, last : int
        The jets.
    heads : int
        H.
    scale : float
        Factor of the products.
    bias : array, shape (pairs, H) or (0, H)
        What is added to the scaled products.
    bias_at : int
        First pair of jet `first`.
    out : array, shape (R, H·E)
        Where the sums go.
    """
    attend_jets(q, Rows(q[:0], k), Rows(v[:0], v), offsets, first, last, heads, scale, bias, bias_at, NO_DROP, out)


@inner
def attend_tokens(
    q: F4, own_k: F4, k: F4, own_v: F4, v: F4, offsets: I8, first: int, last: int, heads: int, scale: float, out: F4
) -> None:
    """As `attend_rows`, with one query per jet, which attends to its own key and value and to those of the jet's rows.

    `q`, `own_k`, `own_v` and `out` have a row per jet.
    """
    no_bias = q[:0, :heads]
    attend_jets(q, Rows(own_k, k), Rows(own_v, v), offsets, first, last, heads, scale, no_bias, 0, NO_DROP, out)


@njit
def attend_jets(
    q: F4, keys: Rows, values: Rows, offsets: I8, first: int, last: int, heads: int, scale: float, bias: F4,
    bias_at: int, drop: Drop, out: F4,
) -> None:  # fmt: skip
    """`attend_tokens` where there are rows of the jets' own, else `attend_rows`, with dropout."""
    depth, width, own, factor = q.shape[1] // heads, out.shape[1] // heads, has_own(keys), np.float32(scale)
    room = _room_for(largest_jet(offsets, first, last) + own, depth, width)
    for jet in range(first, last):
        row, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        for head in range(heads):
            transpose_head(keys, jet, row, n, head, depth, room.keys)
            pack_rows(values, jet, row, n, head, width, room.values)
            if own:
                _attend_head(q, jet, 1, n + 1, head, heads, factor, bias, 0, drop, room, out)
            else:
                _attend_head(q, row, n, n, head, heads, factor, bias, bias_at, drop, room, out)
        bias_at += n * n


@inner
def has_own(rows: Rows) -> int:
    """1 if the jets have rows of their own, else 0."""
    return 1 if len(rows.own) else 0


@inner
def _attend_head(
    q: F4, row: int, queries: int, n: int, head: int, heads: int, scale: np.float32, bias: F4, bias_at: int,
    drop: Drop, room: _Room, out: F4,
) -> None:  # fmt: skip
    """Attention of some queries to the n keys and values at hand."""
    depth, width, columns = q.shape[1] // heads, out.shape[1] // heads, whole_vectors(n)
    padded_depth, padded_width = whole_vectors(depth), whole_vectors(width)
    for i in range(0, queries, TILE_ROWS):
        rows = min(TILE_ROWS, queries - i)
        pack_head(q, row + i, rows, head, depth, scale, room.queries, 0)
        start, start_at, stride = begin_scores(room.scores, room.zeros, n, rows, bias, bias_at + i * n, head)
        products(
            room.queries, 0, padded_depth, 1, room.keys, 0, columns, depth,
            start, start_at, stride, room.scores, 0, columns, columns,
        )  # fmt: skip
        for r in range(0, rows, SOFTMAX_ROWS):
            softmax_rows(room.scores, r * columns, columns, n, room.totals, r)
        if drop.threshold:
            for r in range(rows):
                drop_row(room.scores, r * columns, columns, bias_at + (i + r) * n, head, drop)
        products(
            room.scores, 0, columns, 1, room.values, 0, padded_width, n,
            room.zeros, 0, 0, room.sums, 0, padded_width, padded_width,
        )  # fmt: skip
        for r in range(rows):
            at = (row + i + r) * row_stride(out) + head * width
            scale_row(room.sums, r * padded_width, width, ONE / room.totals[r], out, at)


@inner
def largest_jet(offsets: I8, first: int, last: int) -> int:
    """The most rows of a jet, at least one."""
    n = 1
    for jet in range(first, last):
        n = max(n, offsets[jet + 1] - offsets[jet])
    return n


@inner
def row_stride(x: F4) -> int:
    """Numbers from row to row."""
    return x.strides[0] // x.itemsize


@inner
def transpose_head(rows: Rows, jet: int, row: int, n: int, head: int, depth: int, out: F4) -> None:
    """The D numbers of a head of n rows, transposed, and of the jet's own: (D, n), zeros at the ends."""
    columns = whole_vectors(n + has_own(rows))
    fill_ends(out, depth, columns, ZERO)
    transpose(rows.each, row * row_stride(rows.each) + head * depth, row_stride(rows.each), n, depth, out, columns)
    if has_own(rows):
        for d in range(depth):
            out[d * columns + n] = rows.own[jet, head * depth + d]


@inner
def pack_rows(rows: Rows, jet: int, row: int, n: int, head: int, width: int, out: F4) -> None:
    """The numbers of a head of n rows, and of the jet's own, side by side in whole vectors."""
    pack_head(rows.each, row, n, head, width, ONE, out, 0)
    if has_own(rows):
        pack_head(rows.own, jet, 1, head, width, ONE, out, n)


@inner
def pack_head(x: F4, row: int, n: int, head: int, width: int, factor: np.float32, out: F4, out_row: int) -> None:
    """The numbers of a head of n rows, times a factor, side by side in whole vectors from `out_row` on."""
    stride, padded = row_stride(x), whole_vectors(width)
    for r in range(n):
        scale_row(x, (row + r) * stride + head * width, width, factor, out, (out_row + r) * padded)


@inner
def begin_scores(scores: F4, zeros: F4, n: int, rows: int, bias: F4, pair: int, head: int) -> tuple[F4, int, int]:
    """What the scores of some rows begin with: an array, where in it, and the distance of its rows.

    The biases themselves, where those of a head lie side by side and whole tiles stay within them; else a copy of them
    in `scores`. What stands beyond the n numbers of a row is never used.
    """
    if bias.size == 0:
        return _flat(zeros, len(zeros)), 0, 0
    columns, size = whole_vectors(n), bias.itemsize
    pair_stride, head_stride = bias.strides[0] // size, bias.strides[1] // size
    at, total = head * head_stride + pair, (bias.shape[1] - 1) * head_stride + bias.shape[0]
    tiles = -(-rows // TILE_ROWS) * TILE_ROWS
    if pair_stride == 1 and at + (tiles - 1) * n + columns <= total:
        return _flat(bias, total), at, n
    for r in range(rows):
        for j in range(n):
            scores[r * columns + j] = bias[pair + r * n + j, head]
    return _flat(scores, len(scores)), 0, columns


@inner
def _flat(x: F4, size: int) -> F4:
    """An array's numbers as they lie, of one type for all."""
    return as_strided(x, (size,), (x.itemsize,))
