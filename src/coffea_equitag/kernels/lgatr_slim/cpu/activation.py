"""The gates' activations and their derivatives: all of them one function with other coefficients.

f(x) = (p x + q) σ(x (c + d x²)) + r is GELU in its approximation by tanh, SiLU, the sigmoid or tanh; ReLU is chosen by
a number of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from torch import nn

from ....array_types import F4
from ...common.cpu.elementary import expm1
from ...common.cpu.llvm import FLOAT, INDEX, at_least, bytes_of, constant, fma, spread

__all__ = ["activated", "activation_and_slope", "coefficients_of"]

_GELU = 2 * math.sqrt(2 / math.pi)
#: p, q, c, d, r, and 1 for ReLU.
_COEFFICIENTS: dict[type[nn.Module], tuple[float, ...]] = {
    nn.GELU: (1, 0, _GELU, 0.044715 * _GELU, 0, 0),
    nn.SiLU: (1, 0, 1, 0, 0, 0),
    nn.Sigmoid: (0, 1, 1, 0, 0, 0),
    nn.Tanh: (0, 2, 2, 0, -1, 0),
    nn.ReLU: (0, 0, 0, 0, 0, 1),
}
#: The sigmoid's argument is of |x| up to this: beyond, it is 0 or 1.
_LARGEST = 1e4


def coefficients_of(activation: nn.Module) -> F4:
    """An activation's coefficients (6,)."""
    return np.array(_COEFFICIENTS[type(activation)], np.float32)


def activated(builder: Any, x: Any, coefficients: Any) -> Any:
    """f(x) of a vector of floats; `coefficients` is the address of them. NaN stays NaN."""
    value, _ = _parts(builder, x, coefficients)
    return value


def activation_and_slope(builder: Any, x: Any, coefficients: Any) -> tuple[Any, Any]:
    """f(x) and f'(x)."""
    value, (p, linear, sigmoid, c, d, square, hard) = _parts(builder, x, coefficients)
    one, zero = constant(x.type, 1.0), constant(x.type, 0.0)
    inside = fma(builder, builder.fmul(constant(x.type, 3.0), d), square, c)
    change = builder.fmul(builder.fmul(sigmoid, builder.fsub(one, sigmoid)), inside)
    slope = fma(builder, linear, change, builder.fmul(p, sigmoid))
    step = builder.select(builder.fcmp_ordered(">", x, zero), one, zero)
    return value, builder.select(hard, step, slope)


def _parts(builder: Any, x: Any, coefficients: Any) -> tuple[Any, tuple[Any, ...]]:
    p, q, c, d, r, relu = (_spread(builder, coefficients, k, x.type) for k in range(6))
    held = x
    for beyond, limit in (("<", -_LARGEST), (">", _LARGEST)):
        bound = constant(x.type, limit)
        held = builder.select(builder.fcmp_ordered(beyond, held, bound), bound, held)
    square = builder.fmul(held, held)
    argument = builder.fmul(held, fma(builder, d, square, c))
    below = expm1(builder, builder.fsub(constant(x.type, -0.0), argument))
    sigmoid = builder.fdiv(constant(x.type, 1.0), builder.fadd(below, constant(x.type, 2.0)))
    linear = fma(builder, p, x, q)
    hard = builder.fcmp_ordered(">", relu, constant(x.type, 0.0))
    value = builder.select(hard, at_least(builder, x, constant(x.type, 0.0)), fma(builder, linear, sigmoid, r))
    return value, (p, linear, sigmoid, c, d, square, hard)


def _spread(builder: Any, numbers: Any, k: int, kind: Any) -> Any:
    number = builder.load(builder.gep(numbers, [INDEX(k)]), align=bytes_of(FLOAT))
    return spread(builder, number, kind.count) if isinstance(kind, ir.VectorType) else number
