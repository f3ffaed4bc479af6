"""What the kernels share: matrix products in a chosen precision, and elementary functions."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ...precision import asked

__all__ = ["expm1", "leaky", "precision", "precision_of_nodes", "product", "psi", "relu", "sigmoid"]

#: Shared memory that three TF32 products want of a block: Hopper and Ampere have it, smaller GPUs do not.
_SHARED = 160 * 1024


def precision(device: torch.device) -> str:
    """How a device multiplies: what is asked for, in which float32 is the fastest way that is as good.

    That is ``"tf32x3"``, or ``"ieee"`` on GPUs whose shared memory does not hold its operands.
    """
    name = asked()
    if name != "float32":
        return name
    if device.type != "cuda":
        return "tf32x3"
    shared = triton.runtime.driver.active.utils.get_device_properties(device.index)["max_shared_mem"]
    return "tf32x3" if shared >= _SHARED else "ieee"


def precision_of_nodes(pairs: str) -> str:
    """How layers of nodes are multiplied where those of pairs are in a given precision: few, and always float32."""
    return pairs if pairs == "ieee" else "tf32x3"


@triton.jit
def product(x: tl.tensor, weight: tl.tensor, total: tl.tensor, PRECISION: tl.constexpr) -> tl.tensor:
    """The sum total + x · weight."""
    if PRECISION == "bf16":
        return tl.dot(x.to(tl.bfloat16), weight.to(tl.bfloat16), total)
    else:  # noqa: RET505 (Triton would compile what follows an if, too)
        return tl.dot(x, weight, total, input_precision=PRECISION, out_dtype=total.dtype)


@triton.jit
def relu(x: tl.tensor) -> tl.tensor:
    """max(x, 0), NaN kept (which Triton's maximum does not)."""
    return tl.where(x < 0, 0.0, x)


@triton.jit
def leaky(x: tl.tensor) -> tl.tensor:
    """LeakyReLU of slope 0.01."""
    return tl.where(x < 0, 0.01 * x, x)


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    """1 / (1 + exp(−x))."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def psi(x: tl.tensor) -> tl.tensor:
    """sgn(x) log(1 + |x|) of float32, |x| up to 2¹²⁷; what 1 + |x| loses to rounding enters through the derivative."""
    size = tl.abs(x)
    size = tl.where(size > 1.7014118346046923e38, 1.7014118346046923e38, size)
    one_more = 1.0 + size
    lost = tl.where(size < 1e30, (size - (one_more - 1.0)) / one_more, 0.0)
    value = tl.log(one_more) + lost
    return tl.where(x < 0, -value, value)


@triton.jit
def expm1(x: tl.tensor) -> tl.tensor:
    """exp(x) − 1 of float32: a series where the difference would cancel."""
    series = 1.0 / 362880.0
    series = series * x + 1.0 / 40320.0
    series = series * x + 1.0 / 5040.0
    series = series * x + 1.0 / 720.0
    series = series * x + 1.0 / 120.0
    series = series * x + 1.0 / 24.0
    series = series * x + 1.0 / 6.0
    series = series * x + 0.5
    series = series * x + 1.0
    # 2^t in the hardware's precision, t = x log₂e in two parts: a large x would lose figures in the product
    high = x * 1.4426950408889634
    low = tl.fma(x, 1.4426950408889634, -high) + x * 1.9259629911e-8
    power = tl.exp2(high) * (1.0 + 0.6931471805599453 * low)
    return tl.where(tl.abs(x) < 0.5, series * x, power - 1.0)
