"""Register tiles of matrix products, and rows of attention weights with their gradients, as LLVM code.

All arrays of the tiles are contiguous float32, rows padded to whole vectors; an ``_at`` is where the part of the array
before it begins.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import inner
from .elementary import exp
from .llvm import FLOAT, INDEX, INT, at_least, lane_sum, loop, pointers, row_at
from .shapes import WIDE
from .vector_rows import Lanes

__all__ = ["LANE", "TILE_ROWS", "products", "softmax_gradient_row", "softmax_row", "whole_vectors"]

#: Numbers of a vector register, and rows of a tile; it has up to 4 vectors of columns where 24 registers hold the sums.
LANE, TILE_ROWS = max(WIDE.widths), 6
_FULL = 2 if LANE == 8 else 4


def _tile_of(vectors: int) -> Any:
    @intrinsic
    def tile(
        typing_context: Any,
        x: Any,
        x_at: Any,
        row_stride: Any,
        k_stride: Any,
        weight: Any,
        weight_at: Any,
        weight_stride: Any,
        depth: Any,
        start: Any,
        start_at: Any,
        start_stride: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
    ) -> Any:
        """One tile: out[r, :] = start[r, :] + Σ_k x[r, k] weight[k, :]."""
        at = types.intp
        signature = types.void(x, at, at, at, weight, at, at, at, start, at, at, out, at, at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, row_stride, k_stride, w, w_at, w_stride, depth, start, start_at, start_stride, out, out_at,
             out_stride) = pointers(context, builder, signature, arguments)  # fmt: skip
            lanes, rows = Lanes(builder, (LANE,) * vectors), range(TILE_ROWS)
            x_rows = [row_at(builder, x, x_at, row_stride, r) for r in rows]
            begin = [lanes.load(row_at(builder, start, start_at, start_stride, r)) for r in rows]
            sums = lanes.multiply_add(begin, x_rows, k_stride, builder.gep(w, [w_at]), w_stride, depth)
            for r, row in enumerate(sums):
                lanes.store(row, row_at(builder, out, out_at, out_stride, r))
            return context.get_dummy_value()

        return signature, generate

    return tile


_full_tile, _half_tile, _single_tile = _tile_of(_FULL), _tile_of(_FULL // 2), _tile_of(1)


@inner
def whole_vectors(count: int) -> int:
    """As many numbers as fill whole vectors."""
    return -(-count // LANE) * LANE


@inner
def products(
    x: F4, x_at: int, row_stride: int, k_stride: int, weight: F4, weight_at: int, weight_stride: int, depth: int,
    start: F4, start_at: int, start_stride: int, out: F4, out_at: int, out_stride: int, columns: int,
) -> None:  # fmt: skip
    """out[r, c] = start[r, c] + Σ_k x[r, k] weight[k, c] of `TILE_ROWS` rows; columns are whole vectors."""
    c = 0
    while columns - c >= _FULL * LANE:
        _full_tile(
            x, x_at, row_stride, k_stride, weight, weight_at + c, weight_stride, depth, start, start_at + c,
            start_stride, out, out_at + c, out_stride,
        )  # fmt: skip
        c += _FULL * LANE
    if columns - c >= _FULL // 2 * LANE:
        _half_tile(
            x, x_at, row_stride, k_stride, weight, weight_at + c, weight_stride, depth, start, start_at + c,
            start_stride, out, out_at + c, out_stride,
        )  # fmt: skip
        c += _FULL // 2 * LANE
    if columns > c:
        _single_tile(
            x, x_at, row_stride, k_stride, weight, weight_at + c, weight_stride, depth, start, start_at + c,
            start_stride, out, out_at + c, out_stride,
        )  # fmt: skip


@intrinsic
def softmax_row(typing_context: Any, x: Any, x_at: Any, columns: Any) -> Any:
    """exp(x − largest x) in place of x, at least one whole vector; gives their sum."""
    signature = types.float32(x, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, at, columns = pointers(context, builder, signature, arguments)
        lanes, vectors = Lanes(builder, [LANE]), builder.sdiv(columns, INDEX(LANE))

        def place(k: Any) -> Any:
            return builder.add(at, builder.mul(k, INDEX(LANE)))

        def larger(k: Any, largest: list[Any]) -> list[Any]:
            return lanes.at_least(lanes.load(x, place(k)), largest)

        (largest,) = loop(builder, vectors, lanes.constant(float("-inf")), larger, at_least_once=True)
        top = lanes.spread(_lane_maximum(builder, largest))

        def weigh(k: Any, total: list[Any]) -> list[Any]:
            weights = [exp(builder, value) for value in lanes.subtract(lanes.load(x, place(k)), top)]
            lanes.store(weights, x, place(k))
            return lanes.add(total, weights)

        (total,) = loop(builder, vectors, lanes.zeros(), weigh, at_least_once=True)
        return lane_sum(builder, {LANE: total})

    return signature, generate


@intrinsic
def softmax_gradient_row(
    typing_context: Any, p: Any, p_at: Any, grad: Any, grad_at: Any, columns: Any, total: Any
) -> Any:
    """Weights p / total in place of p, and p (grad − Σ p grad) in place of their gradients."""
    signature = types.void(p, types.intp, grad, types.intp, types.intp, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        p, p_at, grad, grad_at, columns, total = pointers(context, builder, signature, arguments)
        lanes, vectors = Lanes(builder, [LANE]), builder.sdiv(columns, INDEX(LANE))
        share = lanes.spread(builder.fdiv(FLOAT(1.0), total))

        def weigh(k: Any, mean: list[Any]) -> list[Any]:
            shift = builder.mul(k, INDEX(LANE))
            place = builder.add(p_at, shift)
            weights = [builder.fmul(a, b) for a, b in zip(lanes.load(p, place), share, strict=True)]
            lanes.store(weights, p, place)
            return lanes.fma(weights, lanes.load(grad, builder.add(grad_at, shift)), mean)

        (mean,) = loop(builder, vectors, lanes.zeros(), weigh, at_least_once=True)
        means = lanes.spread(lane_sum(builder, {LANE: mean}))

        def differentiate(k: Any, carried: list[Any]) -> list[Any]:
            shift = builder.mul(k, INDEX(LANE))
            place = builder.add(grad_at, shift)
            rest = lanes.subtract(lanes.load(grad, place), means)
            weights = lanes.load(p, builder.add(p_at, shift))
            lanes.store([builder.fmul(a, b) for a, b in zip(weights, rest, strict=True)], grad, place)
            return []

        loop(builder, vectors, [], differentiate, at_least_once=True)
        return context.get_dummy_value()

    return signature, generate


def _lane_maximum(builder: Any, vector: Any) -> Any:
    """The largest number of a vector."""
    width = vector.type.count
    while width > 1:
        width //= 2
        low, high = (ir.Constant(ir.VectorType(INT, width), list(range(first, first + width))) for first in (0, width))
        empty = ir.Constant(vector.type, ir.Undefined)
        vector = at_least(
            builder, builder.shuffle_vector(vector, empty, low), builder.shuffle_vector(vector, empty, high)
        )
    return builder.extract_element(vector, INT(0))
