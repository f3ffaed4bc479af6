"""Activations of dense layers in float32, of whole rows of registers, and of numbers in compiled loops.

GELU is x Φ(x) with the normal distribution's Φ; `GELU_TANH` is its usual approximation by a tanh.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import inner
from .elementary import exp, logistic, polynomial
from .llvm import INDEX, at_least, constant, fma, loop, pointers
from .shapes import WIDE
from .vector_rows import Lanes

__all__ = [
    "GELU",
    "GELU_TANH",
    "LINEAR",
    "RELU",
    "activate_rows",
    "exp_number",
    "gelu",
    "gelu_number",
    "gelu_slope",
    "gelu_slope_number",
    "gelu_tanh",
    "gelu_tanh_number",
    "gelu_tanh_slope",
    "gelu_tanh_slope_number",
    "normal_cdf",
]

#: What may follow a dense layer.
LINEAR, RELU, GELU, GELU_TANH = range(4)

#: (Φ(x) − ½) / x in powers of x² − 12.5, minimax on |x| ≤ 5: 2e-7 in Φ. Beyond, Φ passes 0 or 1 and is held there.
_CDF_CENTRE = 12.5
_CDF = (
    4.18314699e-17, -1.38578444e-15, 1.84983983e-14, -3.60451686e-13, 1.07550548e-11, -2.34133185e-10,
    4.29973124e-09, -7.62467209e-08, 1.28787144e-06, -2.0706615e-05, 0.000329731352, -0.00562370243, 0.141363785,
)  # fmt: skip
#: GELU by tanh is x / (1 + exp(−x (a + b x²))).
_TANH_LINEAR = 2 * math.sqrt(2 / math.pi)
_TANH_CUBIC = 0.044715 * _TANH_LINEAR

_LANE = WIDE.widths[0]


def normal_cdf(builder: Any, x: Any) -> Any:
    """Φ(x) = (1 + erf(x/√2))/2 of floats; NaN stays NaN."""
    half, one, zero = (constant(x.type, value) for value in (0.5, 1.0, 0.0))
    shifted = fma(builder, x, x, constant(x.type, -_CDF_CENTRE))
    value = at_least(builder, fma(builder, x, polynomial(builder, _CDF, shifted), half), zero)
    return builder.select(builder.fcmp_ordered(">", value, one), one, value)


def gelu(builder: Any, x: Any) -> Any:
    """GELU, x Φ(x), of floats."""
    return builder.fmul(x, normal_cdf(builder, x))


def gelu_slope(builder: Any, x: Any) -> Any:
    """Φ(x) + x φ(x), the derivative of GELU."""
    density = exp(builder, builder.fmul(builder.fmul(x, x), constant(x.type, -0.5)))
    scaled = builder.fmul(x, constant(x.type, 1 / math.sqrt(2 * math.pi)))
    return builder.fadd(normal_cdf(builder, x), _near(builder, x, builder.fmul(scaled, density)))


def gelu_tanh(builder: Any, x: Any) -> Any:
    """GELU by tanh, x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 of floats."""
    one = constant(x.type, 1.0)
    return builder.fdiv(x, builder.fadd(one, exp(builder, builder.fneg(_tanh_argument(builder, x)))))


def gelu_tanh_slope(builder: Any, x: Any) -> Any:
    """The derivative of `gelu_tanh`."""
    one, square = constant(x.type, 1.0), builder.fmul(x, x)
    share = logistic(builder, _tanh_argument(builder, x))
    slope = fma(builder, square, constant(x.type, 3 * _TANH_CUBIC), constant(x.type, _TANH_LINEAR))
    rest = builder.fmul(builder.fmul(share, builder.fsub(one, share)), builder.fmul(x, slope))
    return builder.fadd(share, _near(builder, x, rest))


def _near(builder: Any, x: Any, value: Any) -> Any:
    """The value for |x| < 20 and NaN; 0 beyond, where the slopes are 0 or 1 and x times an exponential overflows."""
    near = builder.fcmp_unordered("<", builder.fmul(x, x), constant(x.type, 400.0))
    return builder.select(near, value, constant(x.type, 0.0))


def _tanh_argument(builder: Any, x: Any) -> Any:
    square = builder.fmul(x, x)
    return builder.fmul(x, fma(builder, square, constant(x.type, _TANH_CUBIC), constant(x.type, _TANH_LINEAR)))


def _number(function: Callable[[Any, Any], Any]) -> Any:
    """The function for numbers in compiled code."""

    @intrinsic
    def number(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return function(builder, arguments[0])

        return types.float32(types.float32), generate

    return number


exp_number, gelu_number, gelu_slope_number = _number(exp), _number(gelu), _number(gelu_slope)
gelu_tanh_number, gelu_tanh_slope_number = _number(gelu_tanh), _number(gelu_tanh_slope)


def _over_vectors(function: Callable[[Any, Any], Any]) -> Any:
    @intrinsic
    def over_vectors(typing_context: Any, values: Any, at: Any, vectors: Any) -> Any:
        """Replace the numbers of vectors that follow each other by the function of them."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values, at, vectors = pointers(context, builder, signature, arguments)
            lanes = Lanes(builder, [_LANE])

            def body(k: Any, carried: list[Any]) -> list[Any]:
                place = builder.add(at, builder.mul(k, INDEX(_LANE)))
                lanes.store([function(builder, value) for value in lanes.load(values, place)], values, place)
                return []

            loop(builder, vectors, [], body)
            return context.get_dummy_value()

        return types.void(values, types.intp, types.intp), generate

    return over_vectors


_gelu_vectors, _gelu_tanh_vectors = _over_vectors(gelu), _over_vectors(gelu_tanh)


@inner
def activate_rows(kind: int, values: F4, at: int, stride: int, rows: int, width: int) -> None:
    """Apply GELU or GELU_TANH to `rows` rows of `width` numbers, in place; whole vectors.

    `values` is contiguous; the first row begins `at` numbers after its beginning, each other one `stride` later.
    """
    for row in range(rows):
        if kind == GELU:
            _gelu_vectors(values, at + row * stride, width // _LANE)
        elif kind == GELU_TANH:
            _gelu_tanh_vectors(values, at + row * stride, width // _LANE)
