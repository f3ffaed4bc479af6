"""Elementary functions in float32, as straight-line code of numbers or vectors.

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

from .llvm import FLOAT, INT, constant, fma

__all__ = [
    "ROUNDER",
    "exp",
    "expm1",
    "log1p",
    "log_of",
    "logistic",
    "magnitude",
    "polynomial",
    "psi",
    "sigmoid",
    "with_sign_of",
]

_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
#: log 2 in two parts, the first of few bits, so that its products with small integers are exact.
_LOG2_HIGH, _LOG2_LOW = 0.693359375, -2.12194440e-4
#: Added to a number below 2²², it leaves the nearest integer in the last bits.
ROUNDER = 12582912.0
#: Below the largest float32.
_LARGEST = 2.0**127
#: Bits of √½ and of the mantissa, and the exponent of 1.
_ROOT_HALF, _MANTISSA, _BIAS = 0x3F3504F3, 0x007FFFFF, 127


@intrinsic
def psi(typing_context: Any, x: Any) -> Any:
    """sgn(x) log(1 + |x|) of a float64, as float32; x is held within ±`_LARGEST`, NaN stays NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x = builder.fptrunc(arguments[0], FLOAT)
        size = magnitude(builder, x)
        # products of momenta on opposite sides reach 1e57 GeV² at |η| = 50
        size = builder.select(builder.fcmp_ordered(">", size, FLOAT(_LARGEST)), FLOAT(_LARGEST), size)
        return with_sign_of(builder, log1p(builder, size), x)

    return types.float32(types.float64), generate


@intrinsic
def sigmoid(typing_context: Any, x: Any) -> Any:
    """1 / (1 + exp(−x)) of a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return logistic(builder, arguments[0])

    return types.float32(types.float32), generate


def magnitude(builder: Any, x: Any) -> Any:
    """|x| of floats."""
    bits = builder.bitcast(x, _integers(x.type))
    return builder.bitcast(builder.and_(bits, constant(bits.type, 0x7FFFFFFF)), x.type)


def with_sign_of(builder: Any, value: Any, x: Any) -> Any:
    """Value ≥ 0 where x ≥ 0, −value elsewhere."""
    kind = _integers(x.type)
    sign = builder.and_(builder.bitcast(x, kind), constant(kind, -0x80000000))
    return builder.bitcast(builder.xor(builder.bitcast(value, kind), sign), x.type)


def log1p(builder: Any, size: Any) -> Any:
    """log(1 + x) of floats x ≥ 0; NaN of NaN and ∞."""
    one = constant(size.type, 1.0)
    more = builder.fadd(size, one)
    # what 1 + x lost to rounding enters through the derivative
    lost = builder.fdiv(builder.fsub(size, builder.fsub(more, one)), more)
    return builder.fadd(log_of(builder, more), lost)


def log_of(builder: Any, u: Any) -> Any:
    """log(u) of normal floats u > 0; of NaN and ∞ some finite number, of which the caller makes NaN."""
    kind = _integers(u.type)
    # the mantissa in [√½, √2), so that its logarithm is a short series
    shifted = builder.add(builder.bitcast(u, kind), constant(kind, (_BIAS << 23) - _ROOT_HALF))
    exponent = builder.sitofp(builder.sub(builder.ashr(shifted, constant(kind, 23)), constant(kind, _BIAS)), u.type)
    mantissa = builder.add(builder.and_(shifted, constant(kind, _MANTISSA)), constant(kind, _ROOT_HALF))
    f = builder.fsub(builder.bitcast(mantissa, u.type), constant(u.type, 1.0))
    square = builder.fmul(f, f)
    series = builder.fmul(builder.fmul(polynomial(builder, _LOG, f), f), square)
    series = fma(builder, exponent, constant(u.type, _LOG2_LOW), series)
    series = fma(builder, square, constant(u.type, -0.5), series)
    return fma(builder, exponent, constant(u.type, _LOG2_HIGH), builder.fadd(f, series))


def exp(builder: Any, x: Any) -> Any:
    """exp(x) of floats, to a unit in the last place; held between −87 and 88, NaN stays NaN."""
    scale, rest = _exp_parts(builder, x, 88.0)
    return builder.fmul(builder.fadd(rest, constant(x.type, 1.0)), scale)


def logistic(builder: Any, x: Any) -> Any:
    """1 / (1 + exp(−x)) of floats."""
    one = constant(x.type, 1.0)
    return builder.fdiv(one, builder.fadd(one, exp(builder, builder.fsub(constant(x.type, -0.0), x))))


def expm1(builder: Any, x: Any) -> Any:
    """exp(x) − 1 of floats, to a few units in the last place near 0 too; held within ±87, NaN stays NaN."""
    scale, rest = _exp_parts(builder, x, 87.0)
    return fma(builder, scale, rest, builder.fsub(scale, constant(x.type, 1.0)))


def _exp_parts(builder: Any, x: Any, largest: float) -> tuple[Any, Any]:
    """2ᵏ and r with exp(x) = 2ᵏ (1 + r), |r| < ½; x is held between −87 and `largest`."""
    kind = x.type
    for limit, beyond in ((-87.0, "<"), (largest, ">")):
        bound = constant(kind, limit)
        x = builder.select(builder.fcmp_ordered(beyond, x, bound), bound, x)
    rounded = fma(builder, x, constant(kind, math.log2(math.e)), constant(kind, ROUNDER))
    power = builder.fsub(rounded, constant(kind, ROUNDER))
    rest = fma(builder, power, constant(kind, -_LOG2_HIGH), x)
    rest = fma(builder, power, constant(kind, -_LOG2_LOW), rest)
    series = fma(builder, polynomial(builder, _EXP, rest), builder.fmul(rest, rest), rest)
    # k straight into the exponent
    integers = _integers(kind)
    exponent = builder.add(builder.bitcast(rounded, integers), constant(integers, _BIAS))
    return builder.bitcast(builder.shl(exponent, constant(integers, 23)), kind), series


def polynomial(builder: Any, coefficients: Sequence[float], x: Any) -> Any:
    """Σ_k c_k xᵏ of floats, the highest power's coefficient first (Horner)."""
    value = constant(x.type, coefficients[0])
    for coefficient in coefficients[1:]:
        value = fma(builder, value, x, constant(x.type, coefficient))
    return value


def _integers(kind: Any) -> Any:
    return ir.VectorType(INT, kind.count) if isinstance(kind, ir.VectorType) else INT
