"""Register tiles of matrix products, and rows of attention weights with their gradients, as LLVM code.

All arrays of the tiles are contiguous float32, rows padded to whole vectors; an ``_at`` is where the part of the array
before it begins.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import inner
from .elementary import ROUNDER
from .llvm import FLOAT, INDEX, INT, at_least, constant, fma, lane_sum, loop, pointers, row_at, spread
from .shapes import WIDE
from .vector_rows import Lanes

__all__ = ["LANE", "SOFTMAX_ROWS", "TILE_ROWS", "products", "softmax_gradient_row", "softmax_rows", "whole_vectors"]

#: Numbers of a vector register, and rows of a tile; it has up to 4 vectors of columns where 24 registers hold the sums.
LANE, TILE_ROWS = max(WIDE.widths), 6
#: Rows of a tile whose softmax is taken at once: as many as the registers hold.
SOFTMAX_ROWS = 2 if LANE == 8 else 3
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


#: 2^f = 1 + ..., |f| ≤ ½, to 2e-9 (least largest error).
_POWER = (
    1.5353362056e-4, 1.3398874524e-3, 9.6184373580e-3, 5.5503324709e-2, 2.4022647914e-1, 6.9314720286e-1, 1.0,
)  # fmt: skip


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
def softmax_rows(typing_context: Any, x: Any, x_at: Any, stride: Any, n: Any, totals: Any, totals_at: Any) -> Any:
    """exp(x − largest x) in place of n ≥ 1 numbers of `SOFTMAX_ROWS` rows, zeros to the end of their last vectors.

    Sums of the rows go to `totals`. Rows at once, since each step of one waits for the one before.
    """
    at = types.intp
    signature = types.void(x, at, at, at, totals, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, at, stride, n, totals, totals_at = pointers(context, builder, signature, arguments)
        lanes, whole = Lanes(builder, [LANE]), builder.sdiv(builder.sub(n, INDEX(1)), INDEX(LANE))
        rows = [row_at(builder, x, at, stride, r) for r in range(SOFTMAX_ROWS)]
        (never,), (zero,) = lanes.constant(float("-inf")), lanes.zeros()
        inside = _first_lanes(builder, builder.sub(n, builder.mul(whole, INDEX(LANE))))

        def load(k: Any) -> list[Any]:
            return [lanes.load(row, builder.mul(k, INDEX(LANE)))[0] for row in rows]

        def store(values: list[Any], k: Any) -> None:
            for row, value in zip(rows, values, strict=True):
                lanes.store([value], row, builder.mul(k, INDEX(LANE)))

        def larger(k: Any, largest: list[Any]) -> list[Any]:
            return lanes.at_least(load(k), largest)

        def exponentials(values: list[Any]) -> list[Any]:
            return _exp_of(builder, lanes.subtract(values, tops))

        def weigh(k: Any, sums: list[Any]) -> list[Any]:
            weights = exponentials(load(k))
            store(weights, k)
            return lanes.add(sums, weights)

        end = [builder.select(inside, value, never) for value in load(whole)]
        tops = [spread(builder, _lane_maximum(builder, top), LANE) for top in loop(builder, whole, end, larger)]
        end = [builder.select(inside, weight, zero) for weight in exponentials(end)]
        store(end, whole)
        for r, total in enumerate(loop(builder, whole, end, weigh)):
            place = builder.gep(totals, [builder.add(totals_at, INDEX(r))])
            builder.store(lane_sum(builder, {LANE: total}), place, align=4)
        return context.get_dummy_value()

    return signature, generate


def _first_lanes(builder: Any, count: Any) -> Any:
    """Bits of the first lanes of a vector."""
    numbers = ir.Constant(ir.VectorType(INT, LANE), list(range(LANE)))
    return builder.icmp_signed("<", numbers, spread(builder, builder.trunc(count, INT), LANE))


def _exp_of(builder: Any, vectors: list[Any]) -> list[Any]:
    """exp(x) of vectors, where that is at most 1, at least 2⁻¹²⁵; NaN of NaN. All vectors step by step."""
    kind, integers = vectors[0].type, ir.VectorType(INT, LANE)
    rounder, least, log2e = (constant(kind, value) for value in (ROUNDER, -125.0, math.log2(math.e)))
    powers = [at_least(builder, builder.fmul(x, log2e), least) for x in vectors]
    rounded = [builder.fadd(power, rounder) for power in powers]
    rests = [builder.fsub(a, builder.fsub(b, rounder)) for a, b in zip(powers, rounded, strict=True)]
    series = [constant(kind, _POWER[0])] * len(rests)
    for coefficient in _POWER[1:]:
        series = [
            fma(builder, value, rest, constant(kind, coefficient)) for value, rest in zip(series, rests, strict=True)
        ]
    exponents = [builder.add(builder.bitcast(value, integers), constant(integers, 127)) for value in rounded]
    wholes = [builder.bitcast(builder.shl(value, constant(integers, 23)), kind) for value in exponents]
    return [builder.fmul(a, b) for a, b in zip(series, wholes, strict=True)]


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
