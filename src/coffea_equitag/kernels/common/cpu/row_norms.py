"""Layer normalisation of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import inner, njit
from .llvm import INDEX, lane_sum, loop, pointers
from .shapes import WIDE
from .vector_rows import Lanes

__all__ = ["layer_norm_rows", "row_moments"]

_LANE = WIDE.widths[0]
#: Vectors that are summed side by side: a sum waits for the one before it.
_SIDE = 4


@njit
def layer_norm_rows(x: F4, first: int, rows: int, scale: F4, shift: F4, eps: float, out: F4, out_first: int) -> None:
    """(x − mean)/√(variance + ε), row by row over all columns, times `scale` plus `shift`.

    Parameters
    ----------
    x, out : ndarray of float32, shapes (R, C) and (R', ≥ C)
        Rows with unit stride between columns; `out` may be x.
    first, out_first : int
        The first row of each.
    rows : int
        How many.
    scale, shift : ndarray of float32, shape (C,) or (0,)
        Empty for none, both.
    eps : float
        ε.
    """
    width, epsilon = x.shape[1], np.float32(eps)
    for row in range(rows):
        source, target = x[first + row], out[out_first + row]
        mean, variance = row_moments(source)
        inverse = np.float32(1.0) / np.sqrt(variance + epsilon)
        if len(scale):
            for c in range(width):
                target[c] = (source[c] - mean) * inverse * scale[c] + shift[c]
        else:
            for c in range(width):
                target[c] = (source[c] - mean) * inverse


@inner
def row_moments(row: F4) -> tuple[np.float32, np.float32]:
    """Mean and variance of a row's numbers, the variance about the mean; sums in a fixed order."""
    width, whole = np.float32(len(row)), len(row) - len(row) % _LANE
    total = _sum_about(row, len(row) // (_SIDE * _LANE), whole // _LANE, np.float32(0.0))
    for c in range(whole, len(row)):
        total += row[c]
    mean = total / width
    square = _squares_about(row, len(row) // (_SIDE * _LANE), whole // _LANE, mean)
    for c in range(whole, len(row)):
        square += (row[c] - mean) * (row[c] - mean)
    return mean, square / width


def _total_of(squared: bool) -> Any:
    @intrinsic
    def total(typing_context: Any, row: Any, fours: Any, vectors: Any, centre: Any) -> Any:
        """Σ x, or Σ (x − centre)², of a row's whole vectors, `fours` times four of which go side by side."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row, fours, vectors, centre = pointers(context, builder, signature, arguments)

            def add(lanes: Lanes, at: Any, sums: list[Any]) -> list[Any]:
                values = lanes.load(row, at)
                if not squared:
                    return lanes.add(sums, values)
                values = lanes.subtract(values, lanes.spread(centre))
                return lanes.fma(values, values, sums)

            broad, slim, step = Lanes(builder, [_LANE] * _SIDE), Lanes(builder, [_LANE]), INDEX(_LANE)
            stride, done = INDEX(_SIDE * _LANE), builder.mul(fours, INDEX(_SIDE))
            sums = loop(builder, fours, broad.zeros(), lambda k, sums: add(broad, builder.mul(k, stride), sums))
            total = builder.fadd(builder.fadd(sums[0], sums[1]), builder.fadd(sums[2], sums[3]))

            def single(k: Any, total: list[Any]) -> list[Any]:
                return add(slim, builder.mul(builder.add(done, k), step), total)

            (total,) = loop(builder, builder.sub(vectors, done), [total], single)
            return lane_sum(builder, {_LANE: total})

        return types.float32(row, types.intp, types.intp, types.float32), generate

    return total


_sum_about, _squares_about = _total_of(False), _total_of(True)
