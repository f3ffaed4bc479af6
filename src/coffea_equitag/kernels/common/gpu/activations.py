"""Activations and their derivatives, each by its name."""

from __future__ import annotations

import triton
import triton.language as tl

from .arithmetic import expm1, relu, sigmoid

__all__ = ["activated", "activated_and_slope"]


@triton.jit
def activated(x: tl.tensor, KIND: tl.constexpr) -> tl.tensor:
    """Values of "gelu" (of erf), "gelu_tanh", "silu", "relu", "sigmoid" or "tanh"; NaN stays NaN."""
    value, _ = activated_and_slope(x, KIND)
    return value


@triton.jit
def activated_and_slope(x: tl.tensor, KIND: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """The same, and the derivatives."""
    if KIND == "relu":
        # what NaN is multiplied with does not matter
        return relu(x), tl.where(x > 0, 1.0, 0.0)
    elif KIND == "sigmoid":  # noqa: RET505 (Triton would compile what follows an if, too)
        value = sigmoid(x)
        return value, value * (1.0 - value)
    elif KIND == "tanh":
        value = _tanh(x)
        return value, 1.0 - value * value
    elif KIND == "silu":
        gate = sigmoid(x)
        return x * gate, gate * (1.0 + x * (1.0 - gate))
    elif KIND == "gelu_tanh":
        # 0.5 (1 + tanh z) = σ(2z)
        gate = sigmoid(1.5957691216057308 * x * (1.0 + 0.044715 * x * x))
        return x * gate, gate + x * gate * (1.0 - gate) * 1.5957691216057308 * (1.0 + 0.134145 * x * x)
    else:
        tl.static_assert(KIND == "gelu")
        share = 0.5 * (1.0 + tl.erf(0.7071067811865476 * x))
        return x * share, share + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)


@triton.jit
def _tanh(x: tl.tensor) -> tl.tensor:
    """Tanh from exp(−2|x|) − 1, which neither cancels at 0 nor overflows."""
    below = expm1(-2.0 * tl.abs(x))
    size = -below / (2.0 + below)
    return tl.where(x < 0, -size, size)
