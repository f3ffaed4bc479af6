"""Padding, and averages that exclude it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...jets.ragged import RaggedJets

__all__ = ["masked_norm", "pad", "real"]


def real(jets: RaggedJets, width: int) -> Tensor:
    """Mask (J, width) of real constituents."""
    return torch.arange(width, device=jets.device) < jets.counts[:, None]


def pad(rows: Tensor, mask: Tensor) -> Tensor:
    """Rows (N, ...) of constituents, padded with zeros to (J, width, ...)."""
    padded = rows.new_zeros((*mask.shape, *rows.shape[1:]))
    padded[mask] = rows
    return padded


def masked_norm(norm: nn.BatchNorm1d, values: Tensor, mask: Tensor) -> Tensor:
    """Batch normalization of values (..., C); in training, with the statistics of the entries in the mask (...).

    Running statistics are not updated.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if norm.training:
        flat, weights = values.flatten(0, -2), mask.flatten().to(values)
        number = weights.sum()
        mean = weights @ flat / number
        variance = weights @ (flat - mean).square() / number
    else:
        mean, variance = norm.running_mean, norm.running_var
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return torch.addcmul(norm.bias - mean * scale, values, scale)
