"""A dense layer after a ReLU: tile by tile, or, where the ReLU has made many numbers 0, by those that are left."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, U2
from ....compiled import njit
from .sparse import bits_of_row, linear_64, ones, relu_64
from .wide_dense import RELU, SPARSE_BLOCK, layer

__all__ = ["bits_for", "sparse_layer"]


#: Tiles are quicker if at least this share of numbers is not 0; below so many channels it does not matter.
_DENSE, _MANY = 0.8, 48
#: Numbers of a word of bits; words whose rows of weights are used together, few enough for the first cache.
_WORD, _TOGETHER = 16, 4
_NO_DOT = np.float32(0)


@njit
def bits_for(rows: int, width: int) -> U2:
    """Room for the bits of so many rows."""
    return np.zeros(rows * (width // _WORD) + _TOGETHER, np.uint16)


@njit
def sparse_layer(x: F4, depth: int, weight: F4, bias: F4, floor: np.float32, out: F4, rows: int, bits: U2) -> None:
    """max(x W + bias, floor) as `wide_dense.layer` gives it, to the last bit; floors are RELU and LINEAR.

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
    flat, unused = out.reshape(-1), len(bits) - _TOGETHER
    for block in range(weight.shape[0]):
        column = block * SPARSE_BLOCK
        for first in range(0, words, _TOGETHER):
            start, some = bias if first == 0 else flat, min(words - first, _TOGETHER)
            weight_at, cuts = (block * depth + first * _WORD) * SPARSE_BLOCK, first + some == words and floor == RELU
            for row in range(rows):
                bits_at, at, to = row * words + first, row * stride + first * _WORD, row * out.shape[1] + column
                begin = column if first == 0 else to
                if cuts:
                    relu_64(bits, bits_at, some, x, at, 1, weight, weight_at, SPARSE_BLOCK, start, begin, out, to,
                            bias, 0, bits, unused, SPARSE_BLOCK, _NO_DOT)  # fmt: skip
                else:
                    linear_64(bits, bits_at, some, x, at, 1, weight, weight_at, SPARSE_BLOCK, start, begin, out, to,
                              bias, 0, bits, unused, SPARSE_BLOCK, _NO_DOT)  # fmt: skip
