"""GELU after the BatchNorm of a layer of pairs, in training, as an autograd function that stores its input alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F4
from ....compiled import njit
from ...common.cpu.activations import gelu_number, gelu_slope_number
from ...common.cpu.batch_norm import Norm, Normalisation, add_moments, add_projections
from .row_groups import array_of, groups_of, over_groups

__all__ = ["normed_activation"]


def normed_activation(z_TC: Tensor, norm: nn.BatchNorm1d, activates: bool) -> Tensor:
    """GELU(BatchNorm(z)), or the norm alone, with the batch's statistics in training; those of the past follow."""
    out: Tensor = _normed_activation(z_TC, norm.weight, norm.bias, norm, activates)
    return out


class _NormedActivation(torch.autograd.Function):
    """Of z, and the norm's weight and bias."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm1d, activates: bool) -> Tensor:
        """Rows like those of z."""
        ctx.save_for_backward(z)
        rows, groups, out = array_of(z), groups_of(len(z)), torch.empty(z.shape)
        moments = np.zeros((len(groups) - 1, 2, z.shape[1]))
        if norm.training:
            over_groups(groups, lambda k, a, b: add_moments(rows[a:b], b - a, moments[k]))
        ctx.state = Normalisation.of(norm, array_of(weight), array_of(bias), moments, len(z))
        ctx.activates, at_work = activates, ctx.state.norm()
        over_groups(groups, lambda _, a, b: _apply(rows, at_work, activates, out.numpy(), a, b))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Those of the three tensors."""
        (z,) = ctx.saved_tensors
        rows, groups, grad, at_work = array_of(z), groups_of(len(z)), torch.empty(z.shape), ctx.state.norm()
        arriving, out, sums = array_of(grad_out), grad.numpy(), np.zeros((len(groups) - 1, 2, z.shape[1]))

        def begin(group: int, first: int, last: int) -> None:
            _through_activation(rows, at_work, ctx.activates, arriving, out, first, last)
            add_projections(out[first:last], rows, first, last - first, at_work, sums[group])

        over_groups(groups, begin)
        total = sums.sum(0)
        factor, of_z, shift = ctx.state.step(total, len(z))
        over_groups(groups, lambda _, a, b: _through_norm(rows, factor, of_z, shift, out, a, b))
        of_bias, of_weight = torch.from_numpy(total).float()
        return grad, of_weight, of_bias, None, None


_normed_activation: Callable[..., Tensor] = _NormedActivation.apply


@njit
def _apply(z: F4, norm: Norm, activates: bool, out: F4, first: int, last: int) -> None:
    for row in range(first, last):
        source, target = z[row], out[row]
        for c in range(len(source)):
            target[c] = source[c] * norm.scale[c] + norm.shift[c]
        if activates:
            for c in range(len(source)):
                target[c] = gelu_number(target[c])


@njit
def _through_activation(z: F4, norm: Norm, activates: bool, arriving: F4, out: F4, first: int, last: int) -> None:
    for row in range(first, last):
        source, given, target = z[row], arriving[row], out[row]
        for c in range(len(source)):
            target[c] = given[c]
        if activates:
            for c in range(len(source)):
                target[c] *= gelu_slope_number(source[c] * norm.scale[c] + norm.shift[c])


@njit
def _through_norm(z: F4, factor: F4, of_z: F4, shift: F4, out: F4, first: int, last: int) -> None:
    for row in range(first, last):
        source, target = z[row], out[row]
        for c in range(len(source)):
            target[c] = factor[c] * target[c] + (of_z[c] * source[c] + shift[c])
