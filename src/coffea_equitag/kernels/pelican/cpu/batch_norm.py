"""The BatchNorm of PELICAN's messages from their moments, with gradients and running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....layers.batch_norm import RowBatchNorm
from ...common.cpu.folding import double
from ...running_statistics import follow

__all__ = ["scale_and_shift"]


def scale_and_shift(norm: RowBatchNorm, moments: Tensor, pairs: int, drop: float) -> Tensor:
    """Scale and shift of BatchNorm, times 1/(1 − p) of dropout: X = scale Y + shift of messages kept; (2, D), float64.

    Parameters
    ----------
    norm : RowBatchNorm
        With weights and running statistics, which are updated in training mode if there are two pairs or more.
    moments : Tensor of float64, shape (2, ≥ D)
        Sums of messages and of their squares.
    pairs : int
        How many were summed.
    drop : float
        Dropout's probability p.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    kept, depth = 1 / (1 - drop) if drop < 1 else 0.0, norm.num_features
    if norm.training and pairs >= 2:
        mean, square = moments.detach()[:, :depth] / pairs
        follow(norm, mean, (square - mean**2).clamp(min=0) * (pairs / (pairs - 1)))
        found: Tensor = _of_batch(moments, norm.weight, norm.bias, pairs, norm.eps, kept)
        return found
    inverse = (norm.running_var.double() + norm.eps).rsqrt()
    scale = norm.weight * inverse
    return torch.stack([scale, norm.bias - norm.running_mean.double() * scale]) * kept


class _OfBatch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, moments: Tensor, weight: Tensor, bias: Tensor, pairs: int, eps: float, kept: float) -> Tensor:
        ctx.save_for_backward(moments, weight)
        ctx.numbers = pairs, eps, kept
        gain = double(weight)
        mean, var = _statistics(moments, pairs, len(gain))
        scale = gain / np.sqrt(np.maximum(var, 0) + eps)
        return torch.from_numpy(np.stack([scale, double(bias) - mean * scale]) * kept)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (moments, weight), (pairs, eps, kept) = ctx.saved_tensors, ctx.numbers
        gain = double(weight)
        mean, var = _statistics(moments, pairs, len(gain))
        inverse = 1 / np.sqrt(np.maximum(var, 0) + eps)
        grad_scale, grad_shift = grad.numpy() * kept
        grad_inverse = grad_scale - mean * grad_shift
        grad_var = np.where(var >= 0, -0.5 * gain * grad_inverse * inverse**3, 0)
        grad_moments = np.zeros(moments.shape)
        grad_moments[0, : len(gain)] = (-gain * inverse * grad_shift - 2 * mean * grad_var) / pairs
        grad_moments[1, : len(gain)] = grad_var / pairs
        found = torch.from_numpy(inverse * grad_inverse), torch.from_numpy(grad_shift)
        return torch.from_numpy(grad_moments), *(values.to(weight) for values in found), None, None, None


_of_batch: Callable[..., Tensor] = _OfBatch.apply


def _statistics(moments: Tensor, pairs: int, depth: int) -> Any:
    mean, square = double(moments)[:, :depth] / pairs
    return mean, square - mean**2
