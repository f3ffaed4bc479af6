"""What PELICAN does with nodes, in registers: powers of n/n̄, aggregates from sums.

Arguments are flat for the reason in `pair_tiles`.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.elementary import polynomial
from ...common.cpu.llvm import DOUBLE, FLOAT, INDEX, constant, fma, loop, pointers
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import HALF, widths_of

__all__ = ["aggregate_rows", "powers"]

#: Added to a double below 2⁵¹, this leaves the nearest integer in the last bits.
_ROUNDER = 1.5 * 2.0**52
#: log 2 in two parts, the first with few bits, so that its products with small integers are exact.
_LOG2_HIGH, _LOG2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10


@intrinsic
def powers(typing_context: Any, exponents: Any, log_ratio: Any, out: Any) -> Any:
    """(n/n̄)^α into `out`, for float64 exponents of moderate size, as many as whole blocks of channels have."""
    signature = types.void(exponents, types.float64, out)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        size = context.make_array(signature.args[0])(context, builder, arguments[0]).nitems
        exponents, log_ratio, out = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [HALF], DOUBLE)

        def body(k: Any, carried: list[Any]) -> list[Any]:
            place = builder.mul(k, INDEX(HALF))
            (exponent,), (ratio,) = lanes.load(exponents, place), lanes.spread(log_ratio)
            lanes.store([_exp(builder, builder.fmul(exponent, ratio))], out, place)
            return carried

        loop(builder, builder.sdiv(size, INDEX(HALF)), [], body)
        return context.get_dummy_value()

    return signature, generate


def _exp(builder: Any, x: Any) -> Any:
    """exp(x) of doubles of moderate size."""
    kind = x.type
    rounder = constant(kind, _ROUNDER)
    rounded = fma(builder, x, constant(kind, math.log2(math.e)), rounder)
    power = builder.fsub(rounded, rounder)
    rest = fma(builder, power, constant(kind, -_LOG2_HIGH), x)
    rest = fma(builder, power, constant(kind, -_LOG2_LOW), rest)
    value = polynomial(builder, [1 / math.factorial(k) for k in range(13, -1, -1)], rest)
    integers = ir.VectorType(INDEX, kind.count)
    exponent = builder.add(builder.bitcast(rounded, integers), constant(integers, 1023))
    return builder.fmul(value, builder.bitcast(builder.shl(exponent, constant(integers, 52)), kind))


@intrinsic
def aggregate_rows(
    typing_context: Any, narrow: Any, source: Any, source_at: Any, source_step: Any, factor: Any, term: Any, at: Any,
    count: Any, weights: Any, out: Any, out_at: Any, out_step: Any, total: Any, total_at: Any,
) -> Any:  # fmt: skip
    """One block of `count` nodes: factor · source + term in float64, which goes to `out` in float32.

    Their sum with the nodes' weights adds to `total`. `source` is float32 or float64.
    """
    place = types.intp
    signature = types.void(
        narrow, source, place, place, factor, term, place, place, weights, out, place, place, total, place
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (_, source, source_at, source_step, factor, term, at, count, weights, out, out_at, out_step, total,
         total_at) = pointers(context, builder, signature, arguments)  # fmt: skip
        single, double = Lanes(builder, widths_of(narrow)), Lanes(builder, widths_of(narrow), DOUBLE)
        factors, terms = double.load(factor, at), double.load(term, at)

        def body(k: Any, sums: list[Any]) -> list[Any]:
            place = builder.add(source_at, builder.mul(k, source_step))
            single_source = source.type.pointee == FLOAT
            values = single.widened(single.load(source, place)) if single_source else double.load(source, place)
            values = double.fma(factors, values, terms)
            rounded = [builder.fptrunc(x, ir.VectorType(FLOAT, x.type.count)) for x in values]
            single.store(rounded, out, builder.add(out_at, builder.mul(k, out_step)))
            return double.fma(double.spread(builder.load(builder.gep(weights, [k]))), values, sums)

        double.store(loop(builder, count, double.load(total, total_at), body), total, total_at)
        return context.get_dummy_value()

    return signature, generate
