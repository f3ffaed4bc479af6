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


def _copysign(size: Tensor, sign: Tensor) -> Tensor:
    return torch.where(sign < 0, -size.abs(), size.abs())


def _hypot(x: Tensor, y: Tensor) -> Tensor:
    return torch.sqrt(x * x + y * y)


def _asinh(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.log(x.abs() + torch.sqrt(x * x + 1))


def _log1p(x: Tensor) -> Tensor:
    return torch.log(1 + x.double()).to(x)


def _expm1(x: Tensor) -> Tensor:
    # PELICAN divides it by small numbers
    return (torch.exp(x.double()) - 1).to(x)


def _leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    return torch.where(x > 0, x, negative_slope * x)


def _sort(x: Tensor, *, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    # by ONNX's TopK, which is stable: "the element with the lower index will appear first"
    return torch.ops.aten.sort.default(x, dim, descending)


_ATEN: Any = torch.ops.aten

#: What takes the place of torch's operations before a graph becomes ONNX.
DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    _ATEN.atan2.default: _atan2,
    _ATEN.asinh.default: _asinh,
    _ATEN.copysign.Tensor: _copysign,
    _ATEN.expm1.default: _expm1,
    _ATEN.hypot.default: _hypot,
    _ATEN.leaky_relu.default: _leaky_relu,
    _ATEN.log1p.default: _log1p,
    _ATEN.sort.stable: _sort,
}
