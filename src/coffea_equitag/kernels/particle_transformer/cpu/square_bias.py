"""The bias of unordered pairs in the square layout, with its adjoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import F4, I8
from ....compiled import njit, over_jets
from ....invariants.minkowski import pair_offsets

__all__ = ["square_bias"]


def square_bias(bias_TH: Tensor, offsets: Tensor, with_self: bool) -> Tensor:
    """The bias (Q, H) of all pairs, from that of the pairs j ≤ i, or j < i, of each jet.

    Returns
    -------
    Tensor, shape (Q, H)
        The transpose of a contiguous one.
    """
    out: Tensor = _square(bias_TH, offsets, with_self)
    return out.T


class _Square(torch.autograd.Function):
    """(H, Q) of (T, H)."""

    @staticmethod
    def forward(ctx: Any, bias: Tensor, offsets: Tensor, with_self: bool) -> Tensor:
        """Both (i, j) and (j, i)."""
        ctx.jets, ctx.shape = _Jets(offsets, with_self), bias.shape
        out = torch.empty(bias.shape[1], int(ctx.jets.squares[-1]))
        ctx.jets.each(_spread, np.ascontiguousarray(bias.detach().numpy()), out.numpy())
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None]:
        """Sums of both."""
        grad = torch.empty(ctx.shape)
        ctx.jets.each(_collect, np.ascontiguousarray(grad_out.numpy()), grad.numpy())
        return grad, None, None


_square: Callable[..., Tensor] = _Square.apply


class _Jets:
    """Where the pairs of each jet are."""

    def __init__(self, offsets: Tensor, with_self: bool) -> None:
        self.offsets, self.with_self = np.ascontiguousarray(offsets.numpy()), with_self
        self.squares, n = pair_offsets(self.offsets), np.diff(self.offsets)
        self.pairs = np.concatenate([np.zeros(1, np.int64), np.cumsum(n * (n + (1 if with_self else -1)) // 2)])

    def each(self, function: Callable[..., None], source: F4, out: F4) -> None:
        """Call a function on ranges of jets."""

        def run(first: int, last: int) -> None:
            function(source, self.offsets, self.squares, self.pairs, self.with_self, out, first, last)

        over_jets(run, self.squares, torch.get_num_threads())


@njit
def _spread(bias: F4, offsets: I8, squares: I8, pairs: I8, with_self: bool, out: F4, first: int, last: int) -> None:
    for jet in range(first, last):
        n, at, base = offsets[jet + 1] - offsets[jet], pairs[jet], squares[jet]
        for i in range(n):
            for j in range(i + 1):
                if i == j and not with_self:
                    for head in range(bias.shape[1]):
                        out[head, base + i * n + i] = np.float32(0)
                    continue
                for head in range(bias.shape[1]):
                    out[head, base + i * n + j] = out[head, base + j * n + i] = bias[at, head]
                at += 1


@njit
def _collect(grad: F4, offsets: I8, squares: I8, pairs: I8, with_self: bool, out: F4, first: int, last: int) -> None:
    for jet in range(first, last):
        n, at, base = offsets[jet + 1] - offsets[jet], pairs[jet], squares[jet]
        for i in range(n):
            for j in range(i + 1 if with_self else i):
                for head in range(out.shape[1]):
                    own = grad[head, base + i * n + j]
                    out[at, head] = own if i == j else own + grad[head, base + j * n + i]
                at += 1
