"""The step of the vectors themselves on a GPU, and its clamp, with gradients: what follows a block's edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...common.gpu.tiles import Tiles
from .clamp import ClampedStep, clamped_step, clamped_step_backward

__all__ = ["clamped"]


class _Clamp(torch.autograd.Function):
    """From φ_x (Q,), x (N, 4) and S G Sᵀ (Q,) to the Gram matrices and the vectors after a step.

    Without Gram matrices (0,), there is none to correct for the clamp, which then must be ∞.
    """

    @staticmethod
    def forward(
        ctx: Any, tiles: Tiles, c_weight: float, clamp: float, phi_x: Tensor, x: Tensor, stepped: Tensor
    ) -> tuple[Tensor, Tensor]:
        gram, settings = stepped.clone(), stepped.new_tensor([c_weight, clamp])
        step = clamped_step(phi_x, x.contiguous(), gram, settings, tiles)
        ctx.save_for_backward(*step)
        ctx.tiles = tiles
        return gram, step.moved

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_gram: Tensor, grad_moved: Tensor) -> tuple[Tensor | None, ...]:
        step = ClampedStep(*ctx.saved_tensors)
        grad_phi_x, grad_x = clamped_step_backward(step, grad_gram.contiguous(), grad_moved.contiguous(), ctx.tiles)
        return None, None, None, grad_phi_x, grad_x, grad_gram


#: Tiles, c and the clamp (∞ for none); φ_x, x and S G Sᵀ; returns the Gram matrices and the vectors.
clamped: Callable[[Tiles, float, float, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = _Clamp.apply
