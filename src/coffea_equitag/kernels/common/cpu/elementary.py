"""Elementary functions in float32, as straight-line code that LLVM turns into vectors.

numba calls the C library for these, one number at a time. Polynomials after Cephes (S. Moshier), one or two units in
the last place; every step is one IEEE operation, so a value does not depend on its place in a vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = ["psi", "sigmoid"]

_F4, _I4 = ir.FloatType(), ir.IntType(32)
_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
#: log 2 in two parts, the first of few bits, so that its products with small integers are exact.
_LOG2_HIGH, _LOG2_LOW = 0.693359375, -2.12194440e-4
#: Added to a number below 2²², it leaves the nearest integer in the last bits.
_ROUNDER = 12582912.0


@intrinsic
def psi(typing_context: Any, x: Any) -> Any:
    """sgn(x) log(1 + |x|) of a float64, as float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x = builder.fptrunc(arguments[0], _F4)
        bits = builder.bitcast(x, _I4)
        size = builder.bitcast(builder.and_(bits, _I4(0x7FFFFFFF)), _F4)
        one_more = builder.fadd(size, _F4(1.0))
        # what 1 + |x| lost to rounding enters through the derivative
        lost = builder.fdiv(builder.fsub(size, builder.fsub(one_more, _F4(1.0))), one_more)
        value = builder.fadd(_log(builder, one_more), lost)
        sign = builder.and_(bits, _I4(-0x80000000))
        return builder.bitcast(builder.or_(builder.bitcast(value, _I4), sign), _F4)

    return types.float32(types.float64), generate


@intrinsic
def sigmoid(typing_context: Any, x: Any) -> Any:
    """1 / (1 + exp(−x)) of a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        exponential = _exp(builder, builder.fsub(_F4(-0.0), arguments[0]))
        return builder.fdiv(_F4(1.0), builder.fadd(_F4(1.0), exponential))

    return types.float32(types.float32), generate


def _log(builder: Any, u: Any) -> Any:
    """log(u) for normal u ≥ 1; for NaN and ∞ some finite number (the caller makes NaN of it)."""
    # the mantissa in [√½, √2), so that its logarithm is a short series
    shifted = builder.add(builder.bitcast(u, _I4), _I4(0x3F800000 - 0x3F3504F3))
    exponent = builder.sitofp(builder.sub(builder.ashr(shifted, _I4(23)), _I4(127)), _F4)
    mantissa = builder.bitcast(builder.add(builder.and_(shifted, _I4(0x007FFFFF)), _I4(0x3F3504F3)), _F4)
    f = builder.fsub(mantissa, _F4(1.0))
    square = builder.fmul(f, f)
    series = builder.fmul(builder.fmul(_polynomial(builder, _LOG, f), f), square)
    series = builder.fma(exponent, _F4(_LOG2_LOW), series)
    series = builder.fma(square, _F4(-0.5), series)
    return builder.fma(exponent, _F4(_LOG2_HIGH), builder.fadd(f, series))


def _exp(builder: Any, x: Any) -> Any:
    for limit, beyond in ((-87.0, "<"), (88.0, ">")):
        x = builder.select(builder.fcmp_ordered(beyond, x, _F4(limit)), _F4(limit), x)
    rounded = builder.fma(x, _F4(math.log2(math.e)), _F4(_ROUNDER))
    power = builder.fsub(rounded, _F4(_ROUNDER))
    rest = builder.fma(power, _F4(-_LOG2_HIGH), x)
    rest = builder.fma(power, _F4(-_LOG2_LOW), rest)
    series = builder.fma(_polynomial(builder, _EXP, rest), builder.fmul(rest, rest), rest)
    value = builder.fadd(series, _F4(1.0))
    # 2ᵏ straight into the exponent
    scale = builder.bitcast(builder.shl(builder.add(builder.bitcast(rounded, _I4), _I4(127)), _I4(23)), _F4)
    return builder.fmul(value, scale)


def _polynomial(builder: Any, coefficients: Sequence[float], x: Any) -> Any:
    value = _F4(coefficients[0])
    for coefficient in coefficients[1:]:
        value = builder.fma(value, x, _F4(coefficient))
    return value
