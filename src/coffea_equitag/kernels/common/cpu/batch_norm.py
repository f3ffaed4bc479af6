"""BatchNorms at work, in training: of a batch's rows, or of the running statistics; and rows that pass through them.

Batch normalisation enters as y = scale z + shift; ẑ = inverse z + offset is the normalised value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ....array_types import F4, F8
from ....compiled import njit
from ...running_statistics import follow

__all__ = ["Norm", "Normalisation", "activate", "add_moments", "add_projections", "f4"]

_ZERO = np.float32(0.0)


class Norm(NamedTuple):
    """A BatchNorm at work, (C,) each."""

    scale: F4
    shift: F4
    inverse: F4
    offset: F4


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
            Σ z and Σ z² over the rows of each group.
        count : int
            Rows of all groups.
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
        """What passes over the rows take of it."""
        scale = self.weight * self.inverse_deviation
        shift = self.bias - self.mean * scale
        return Norm(*map(f4, (scale, shift, self.inverse_deviation, -self.mean * self.inverse_deviation)))

    def step(self, sums: F8, count: int) -> tuple[F4, F4, F4]:
        """∂L/∂z = a ∂L/∂y + b z + c, with sums (2, C) of ∂L/∂y and ∂L/∂y ẑ over all rows."""
        a = self.weight * self.inverse_deviation
        mean, projection = sums / max(count, 1) if self.of_batch else np.zeros_like(sums)
        b = -a * projection * self.inverse_deviation
        return f4(a), f4(b), f4(-a * mean - b * self.mean)


def f4(values: Any) -> F4:
    """A contiguous float32 array."""
    return np.ascontiguousarray(values, np.float32)


@njit
def activate(z: F4, first: int, count: int, norm: Norm, out: F4) -> None:
    """ReLU(y) of some rows of z; `out` may be z."""
    for row in range(count):
        source, target = z[first + row], out[row]
        for c in range(len(norm.scale)):
            value = source[c] * norm.scale[c] + norm.shift[c]
            target[c] = _ZERO if value < _ZERO else value


@njit
def add_moments(z: F4, count: int, moments: F8) -> None:
    """Add Σ z and Σ z² to moments (2, C)."""
    total, square = moments[0], moments[1]
    for row in range(count):
        values = z[row]
        for c in range(len(values)):
            value = np.float64(values[c])
            total[c] += value
            square[c] += value * value


@njit
def add_projections(grad_y: F4, z: F4, first: int, count: int, norm: Norm, sums: F8) -> None:
    """Add Σ ∂L/∂y and Σ ∂L/∂y ẑ to sums (2, C)."""
    total, projection = sums[0], sums[1]
    for row in range(count):
        gradient, values = grad_y[row], z[first + row]
        for c in range(len(norm.scale)):
            normalised = values[c] * norm.inverse[c] + norm.offset[c]
            total[c] += np.float64(gradient[c])
            projection[c] += np.float64(gradient[c] * normalised)
