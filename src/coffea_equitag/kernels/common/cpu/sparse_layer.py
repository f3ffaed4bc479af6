"""A dense layer after a ReLU: tile by tile, or, where the ReLU has made many numbers 0, by those that are left."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, U2, U8
from ....compiled import njit
from .shapes import FIRST_CACHE, WIDE
from .sparse import bits_of_row, linear_row, ones
from .sparse_block import row_64, row_128
from .wide_dense import LINEAR, SPARSE_BLOCK, layer

__all__ = ["add_sparse_row", "bits_for", "sparse_layer"]


#: Numbers of a word of bits; words whose rows of weights are used together.
_WORD, _TOGETHER = 16, 4
#: Whether 128 columns are worked on at once: the registers have room for them, and the first cache for their weights.
_IS_BROAD = WIDE.widths[0] == 16 and FIRST_CACHE >= 48 * 1024
_BROAD = 2 * SPARSE_BLOCK
#: Tiles are quicker if at least this share of numbers is not 0; below so many channels it does not matter.
_DENSE, _MANY = 0.7 if _IS_BROAD else 0.8, 48
_NO_DOT = np.float32(0)


@njit
def bits_for(rows: int, width: int) -> U2:
    """Room for the bits of so many rows."""
    return np.zeros(rows * (width // _WORD) + _TOGETHER, np.uint16)


@njit
def sparse_layer(x: F4, depth: int, weight: F4, bias: F4, floor: np.float32, out: F4, rows: int, bits: U2) -> None:
    """max(x W + bias, floor) as `wide_dense.layer` gives it, to the last bit.

    `depth` numbers of a row of x are followed by zeros to the next multiple of 16, if the row is so long; what comes
    then is not read. Whole tiles may be written.
    """
    words, stride = (depth + _WORD - 1) // _WORD, x.shape[1]
    if weight.shape[2] != SPARSE_BLOCK or depth < _MANY or words * _WORD > stride:
        layer(x, 0, depth, weight, bias, floor, out, 0, rows)
        return
    for row in range(rows):
        bits_of_row(x, row * stride, words, bits, row * words)
    if ones(bits, rows * words) > _DENSE * rows * depth:
        layer(x, 0, depth, weight, bias, floor, out, 0, rows)
        return
    flat, gap, width, column = out.reshape(-1), depth * SPARSE_BLOCK, weight.shape[0] * SPARSE_BLOCK, 0
    while column < width:
        broad = _IS_BROAD and column + _BROAD <= width
        for first in range(0, words, _TOGETHER):
            start, some = bias if first == 0 else flat, min(words - first, _TOGETHER)
            w_at, limit = column * depth + first * _WORD * SPARSE_BLOCK, floor if first + some == words else LINEAR
            for row in range(rows):
                bits_at, x_at, to = row * words + first, row * stride + first * _WORD, row * out.shape[1] + column
                begin = column if first == 0 else to
                if broad:
                    row_128(bits, bits_at, some, x, x_at, 1, weight, w_at, SPARSE_BLOCK, gap,
                            start, begin, limit, out, to)  # fmt: skip
                else:
                    row_64(bits, bits_at, some, x, x_at, 1, weight, w_at, SPARSE_BLOCK, gap,
                           start, begin, limit, out, to)  # fmt: skip
        column += _BROAD if broad else SPARSE_BLOCK


@njit
def add_sparse_row(bits: U8, k: int, x: F4, right: F4, width: int, out: F4, out_at: int) -> None:
    """Add Σ_r x[r, k] right[r, :width] over the rows r whose bit is set in number k of `bits`, where `out_at` is."""
    stride, column = right.shape[1], 0
    if _IS_BROAD:
        while column + _BROAD <= width:
            row_128(bits, 4 * k, 4, x, k, x.shape[1], right, column, stride, SPARSE_BLOCK,
                    out, out_at + column, LINEAR, out, out_at + column)  # fmt: skip
            column += _BROAD
    if column < width:
        at = out_at + column
        linear_row(bits, 4 * k, 4, x, k, x.shape[1], right, column, stride, out, at, out, at, out, 0, bits, 0,
                   width - column, _NO_DOT)  # fmt: skip
