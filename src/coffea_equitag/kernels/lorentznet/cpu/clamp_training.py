"""The step of the vectors themselves, and its clamp, with gradients: what follows a block's edges and S G Sᵀ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4, F8, I8
from ....compiled import njit
from ...common.cpu.jet_groups import JetGroups
from .clamp import clamped_step, clamped_step_backward, cut_off, cut_off_backward

__all__ = ["clamped"]


class _Step(NamedTuple):
    """One step of the vectors of all jets."""

    phi_x: F4  # (Q,)
    before: F8  # (N, 4)
    after: F8  # (N, 4)
    excess: F8  # (N, 4): what the clamp adds
    c_weight: float
    clamp: float
    offsets: I8  # (J + 1,): nodes before each jet
    squares: I8  # (J + 1,): n² before each jet


class _Clamp(torch.autograd.Function):
    """From φ_x (Q,), x (N, 4) and S G Sᵀ (Q,) to the Gram matrices and the vectors after a step.

    Without Gram matrices (0,), there is none to correct for the clamp, which then must be ∞.
    """

    @staticmethod
    def forward(
        ctx: Any, groups: JetGroups, c_weight: float, clamp: float, phi_x: Tensor, x: Tensor, stepped: Tensor
    ) -> tuple[Tensor, Tensor]:
        before, gram = _array(x), _array(stepped).copy()
        step = _Step(
            _array(phi_x), before, before.copy(), np.empty_like(before), c_weight, clamp, groups.offsets, groups.squares
        )
        groups.over_jets(lambda first, last: _forward(step, gram, first, last))
        ctx.kept = groups, step
        return torch.from_numpy(gram), torch.from_numpy(step.after.copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_gram: Tensor, grad_after: Tensor) -> tuple[Tensor | None, ...]:
        groups, step = ctx.kept
        above, grad_x, grad_phi_x = _array(grad_gram), _array(grad_after).copy(), np.zeros_like(step.phi_x)
        groups.over_jets(lambda first, last: _backward(step, above, grad_x, grad_phi_x, first, last))
        return None, None, None, torch.from_numpy(grad_phi_x), torch.from_numpy(grad_x), grad_gram


#: Groups, c and the clamp (∞ for none); φ_x, x and S G Sᵀ; returns the Gram matrices and the vectors.
clamped: Callable[[JetGroups, float, float, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = _Clamp.apply


@njit
def _forward(step: _Step, gram: F8, first: int, last: int) -> None:
    """Jets ``first:last``; S G Sᵀ in `gram` (Q,) becomes G, and the vectors move."""
    for jet in range(first, last):
        a, b, p, q = step.offsets[jet], step.offsets[jet + 1], step.squares[jet], step.squares[jet + 1]
        x, excess = step.after[a:b], step.excess[a:b]
        if clamped_step(step.phi_x[p:q], step.c_weight, step.clamp, x, excess):
            cut_off(gram[p:q].reshape(b - a, b - a), x, excess)


@njit
def _backward(step: _Step, grad_gram: F8, grad_x: F8, grad_phi_x: F4, first: int, last: int) -> None:
    """Jets ``first:last``; see `clamped_step_backward`."""
    for jet in range(first, last):
        a, b, p, q = step.offsets[jet], step.offsets[jet + 1], step.squares[jet], step.squares[jet + 1]
        grad_free, grad_excess = grad_x[a:b].copy(), grad_x[a:b].copy()
        if len(grad_gram):
            square = grad_gram[p:q].reshape(b - a, b - a)
            cut_off_backward(step.after[a:b], step.excess[a:b], square, grad_free, grad_excess)
        clamped_step_backward(
            step.phi_x[p:q], step.c_weight, step.clamp, step.before[a:b], grad_free, grad_excess, grad_x[a:b],
            grad_phi_x[p:q],
        )  # fmt: skip


def _array(tensor: Tensor) -> Any:
    return np.ascontiguousarray(tensor.detach().numpy())
