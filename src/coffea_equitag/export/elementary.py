"""Functions that ONNX lacks, or that its runtimes have in single precision only, in operations that they all have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from ..array_types import F8

__all__ = ["DECOMPOSITIONS"]


def _atan2(y: Tensor, x: Tensor) -> Tensor:
    """The angle in single precision, corrected by the sine of what it lacks: to the rounding of float64."""
    first = torch.atan((y / torch.where(x == 0, 1.0, x)).float()).to(y)
    up = torch.where(y < 0, -1.0, 1.0).to(y)
    first = torch.where(x < 0, first + math.pi * up, first)
    first = torch.where((x == 0) & (y != 0), 0.5 * math.pi * up, first)
    sine, cosine = torch.sin(first), torch.cos(first)
    along = x * cosine + y * sine
    return first + torch.where(along > 0, (y * cosine - x * sine) / torch.where(along > 0, along, 1.0), 0.0)


#: onnxscript leaves out what is added below 1e-8: small numbers are added as multiples of a power of 2.
_SCALE = 2.0**60
#: π/2 and what float64 lacks of it.
_QUARTER, _REST = 0.5 * math.pi, 6.123233995736766e-17


def _cos(x: Tensor) -> Any:
    """By the sine, which onnxruntime before 1.30 has in float64; π/2 − |x| is exact where the cosine is small."""
    if x.dtype != torch.float64:
        return NotImplemented
    return torch.sin(((_QUARTER - x.abs()) * _SCALE + _REST * _SCALE) / _SCALE)


def _copysign(size: Tensor, sign: Tensor) -> Tensor:
    return torch.where(sign < 0, -size.abs(), size.abs())


def _hypot(x: Tensor, y: Tensor) -> Tensor:
    return torch.sqrt(x * x + y * y)


def _asinh(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.log(x.abs() + torch.sqrt(x * x + 1))


def _log1p(x: Tensor) -> Tensor:
    """By Kahan's correction in float64, of what 1 + x has lost of x; for float32, float64 is enough."""
    if x.dtype != torch.float64:
        return torch.log(1 + x.double()).to(x)
    total = 1 + x
    kept = total - 1
    return torch.where(kept == 0, x, torch.log(total) * (x / torch.where(kept == 0, 1.0, kept)))


def _expm1(x: Tensor) -> Tensor:
    """As `_log1p`; PELICAN divides it by small numbers."""
    if x.dtype != torch.float64:
        return (torch.exp(x.double()) - 1).to(x)
    grown = torch.exp(x)
    logarithm = torch.log(torch.where(grown == 0, 1.0, grown))
    corrected = (grown - 1) * (x / torch.where(logarithm == 0, 1.0, logarithm))
    return torch.where(grown == 1, x, torch.where(grown == 0, -1.0, corrected))


#: z ↦ (1 + 2z) exp(z²) erfc(z) in Chebyshev polynomials of (z − 3.75) / (z + 3.75), Shepherd and Laframboise,
#: Math. Comp. 36 (1981) 249: to the rounding of float64, where the last coefficients are 1e-17.
_MIDDLE, _DEGREE = 3.75, 32


def _scaled_erfc(y: F8) -> Any:
    z = torch.from_numpy(_MIDDLE * (1 + y) / (1 - y))
    return _SCALE * ((1 + 2 * z) * torch.special.erfcx(z)).numpy()


_COEFFICIENTS: list[float] = chebyshev.chebinterpolate(_scaled_erfc, _DEGREE).tolist()


def _gelu(x: Tensor, *, approximate: str = "none") -> Any:
    # in float64 onnxruntime has no error function, and writes the constants of the form with tanh in single precision
    if x.dtype != torch.float64:
        return NotImplemented
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    z = x.abs() * math.sqrt(0.5)
    y = (z - _MIDDLE) / (z + _MIDDLE)
    series, last = torch.zeros_like(y), torch.zeros_like(y)
    for coefficient in _COEFFICIENTS[:0:-1]:  # Clenshaw's recurrence
        series, last = 2 * y * series - last + coefficient, series
    series = y * series - last + _COEFFICIENTS[0]
    below = torch.exp(-z * z) * (series / (2 * _SCALE)) / (1 + 2 * z)  # the normal distribution's integral up to −|x|
    return x * torch.where(x > 0, 1 - below, below)


def _leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    return torch.where(x > 0, x, negative_slope * x)


def _sort(x: Tensor, *, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    # by ONNX's TopK, which is stable: "the element with the lower index will appear first"
    return torch.ops.aten.sort.default(x, dim, descending)


def _batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, _momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    # in ONNX ε is a number in single precision; the others are what only training needs
    mean, scale, bias = (row.view(1, -1, *[1] * (x.ndim - 2)) for row in (mean, weight * torch.rsqrt(var + eps), bias))
    return (x - mean) * scale + bias, x.new_zeros(0), x.new_zeros(0)


def _layer_norm(
    x: Tensor,
    shape: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    _cudnn: bool = True,
) -> Any:
    # as above; in float32 ONNX's own is exact
    if x.dtype != torch.float64:
        return NotImplemented
    over = list(range(x.ndim - len(shape), x.ndim))
    centred = x - x.mean(over, keepdim=True)
    found = centred * torch.rsqrt((centred * centred).mean(over, keepdim=True) + eps)
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


_ATEN: Any = torch.ops.aten

#: What takes the place of torch's operations before a graph becomes ONNX.
DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    _ATEN._native_batch_norm_legit_no_training.default: _batch_norm,
    _ATEN.atan2.default: _atan2,
    _ATEN.asinh.default: _asinh,
    _ATEN.copysign.Tensor: _copysign,
    _ATEN.cos.default: _cos,
    _ATEN.expm1.default: _expm1,
    _ATEN.gelu.default: _gelu,
    _ATEN.hypot.default: _hypot,
    _ATEN.layer_norm.default: _layer_norm,
    _ATEN.leaky_relu.default: _leaky_relu,
    _ATEN.log1p.default: _log1p,
    _ATEN.sort.stable: _sort,
}
