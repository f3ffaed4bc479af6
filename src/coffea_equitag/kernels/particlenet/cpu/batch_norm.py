"""The BatchNorms of the edge network at work: of the batch's edges, or of the running statistics."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ....array_types import F4, F8
from ...running_statistics import follow
from .edge_rows import Norm

__all__ = ["Normalisation"]


class Normalisation(NamedTuple):
    """A BatchNorm at work: ẑ = (z − mean) inverse_deviation, y = weight ẑ + bias; (C,) each."""

    mean: F8
    inverse_deviation: F8
    weight: F8
    bias: F8
    of_batch: bool

    @classmethod
    def of(cls, norm: nn.BatchNorm1d, weight: F4, bias: F4, moments: F8, count: int) -> Normalisation:
        """Take statistics of the batch while training, of the past otherwise; keep those of the past up to date.

        Parameters
        ----------
        norm : BatchNorm1d
            The layer.
        weight, bias : ndarray, shape (C,)
            Its parameters.
        moments : ndarray of float64, shape (G, 2, C)
            Σ z and Σ z² over the edges of each group.
        count : int
            Edges of all groups.
        """
        assert norm.running_mean is not None
        assert norm.running_var is not None
        of_batch = norm.training and count >= 2
        if of_batch:
            mean, square = moments.sum(0) / count
            variance = np.maximum(square - mean * mean, 0.0)
            follow(norm, torch.from_numpy(mean), torch.from_numpy(variance * (count / (count - 1))))
        else:
            mean, variance = norm.running_mean.double().numpy(), norm.running_var.double().numpy()
        inverse = 1 / np.sqrt(variance + norm.eps)
        return cls(mean, inverse, weight.astype(np.float64), bias.astype(np.float64), of_batch)

    def norm(self) -> Norm:
        """What passes over the edges take of it."""
        scale = self.weight * self.inverse_deviation
        shift = self.bias - self.mean * scale
        return Norm(*map(f4, (scale, shift, self.inverse_deviation, -self.mean * self.inverse_deviation)))

    def step(self, sums: F8, count: int) -> tuple[F4, F4, F4]:
        """∂L/∂z = a ∂L/∂y + b z + c, with sums (2, C) of ∂L/∂y and ∂L/∂y ẑ over all edges."""
        a = self.weight * self.inverse_deviation
        mean, projection = sums / max(count, 1) if self.of_batch else np.zeros_like(sums)
        b = -a * projection * self.inverse_deviation
        return f4(a), f4(b), f4(-a * mean - b * self.mean)


def f4(values: Any) -> F4:
    """A contiguous float32 array."""
    return np.ascontiguousarray(values, np.float32)
