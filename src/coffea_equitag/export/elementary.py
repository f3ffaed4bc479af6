"""Functions that ONNX lacks, or that its runtimes have in single precision only, in operations that they all have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

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


#: π/2 and what float64 lacks of it.
_QUARTER, _REST = 0.5 * math.pi, 6.123233995736766e-17


def _cos(x: Tensor) -> Any:
    """By the sine, which onnxruntime before 1.30 has in float64; π/2 − |x| is exact where the cosine is small."""
    return NotImplemented if x.dtype != torch.float64 else torch.sin((_QUARTER - x.abs()) + _REST)


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


def _gelu(x: Tensor, *, approximate: str = "none") -> Any:
    # onnxruntime writes the constants of the form with tanh in single precision
    if approximate == "none" or x.dtype != torch.float64:
        return NotImplemented
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


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
    _ATEN.leaky_relu.default: _leaky_relu,
    _ATEN.log1p.default: _log1p,
    _ATEN.sort.stable: _sort,
}
