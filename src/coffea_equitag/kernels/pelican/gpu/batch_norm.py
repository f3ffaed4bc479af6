"""The BatchNorm of PELICAN's messages on a GPU, from their moments, with gradients and running statistics."""

from __future__ import annotations

import torch
from torch import Tensor

from ....layers.batch_norm import RowBatchNorm
from ...running_statistics import follow

__all__ = ["scale_and_shift"]


def scale_and_shift(norm: RowBatchNorm, moments: Tensor, pairs: int, drop: float) -> Tensor:
    """Scale and shift of BatchNorm, times 1/(1 − p) of dropout: X = scale Y + shift of messages kept; (2, D), float64.

    Parameters
    ----------
    norm : RowBatchNorm
        With weights and running statistics, which are updated in training mode if there are two pairs or more.
    moments : Tensor of float64, shape (2, D)
        Sums of messages and of their squares.
    pairs : int
        How many were summed.
    drop : float
        Dropout's probability p.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if norm.training and pairs >= 2:
        mean, square = (moments / pairs).unbind()
        var = (square - mean**2).clamp(min=0)
        follow(norm, mean.detach(), var.detach() * (pairs / (pairs - 1)))
    else:
        mean, var = norm.running_mean.double(), norm.running_var.double()
    scale = norm.weight * (var + norm.eps).rsqrt()
    return torch.stack([scale, norm.bias - mean * scale]) * (1 / (1 - drop) if drop < 1 else 0.0)
