"""The edge network of one convolution with gradients, on a batch's edges.

Forward keeps what belongs to constituents and channels, and the edges' values only if they are few, or of the last
convolution, whose backward pass comes next; else backward computes them again, with arrays of all edges' channels only
while one convolution is at work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F4, F8
from ...common.cpu.aligned import aligned
from ...common.cpu.batch_norm import Norm, Normalisation, f4
from ...common.cpu.folding import blocks, padded
from ...common.cpu.wide_dense import MARGIN
from .backward import backward_first, backward_layer, backward_mean, backward_pairs
from .edge_groups import EdgeGroups
from .edge_rows import Ends
from .forward import forward_first, forward_layer, forward_mean

__all__ = ["EdgeNetwork"]

#: Bytes of a convolution's values that are kept for backward; what is more is computed again.
_KEPT = 2**26


class EdgeNetwork(torch.autograd.Function):
    """The mean over each receiver's edges, (N, C), by ``apply(norms, last, edges, own, other, features, pair, *rest)``.

    `last` tells whether the convolution is the last one. `own` and `other` (N, C₁) are the first layer's parts of
    receivers and senders, `features` (P, E) the edges' further features, (0, 0) for none, and `pair` (C₁, E) its part
    of them; the rest is each BatchNorm's weight and bias, then the matrices of all layers after the first.
    """

    @staticmethod
    def forward(ctx: Any, norms: list[nn.BatchNorm1d], last: bool, edges: EdgeGroups, *tensors: Tensor) -> Tensor:
        """Run the network, and keep its values if they are few, or backward needs them at once."""
        run = _Run(norms, edges, [tensor.detach().contiguous().numpy() for tensor in tensors])
        few = last or 4 * edges.num_edges * sum(map(len, run.weights)) <= _KEPT
        keep = few and any(ctx.needs_input_grad)
        values = run.forward(keep)
        run.values, z = values if keep else [], values[-1]
        mean, norm = np.empty((len(edges.offsets) - 1, z.shape[1]), np.float32), run.states[-1].norm()
        edges.each(lambda _, first, last: forward_mean(z, norm, edges.offsets, mean, first, last), nodes=True)
        ctx.run = run
        ctx.save_for_backward(*tensors)
        return torch.from_numpy(mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_mean: Tensor) -> tuple[Any, ...]:
        """Gradients of all tensors."""
        # the arrays are views of them: torch complains here if they were changed since
        assert ctx.saved_tensors
        found = ctx.run.backward(grad_mean.detach().contiguous().numpy())
        return None, None, None, *(torch.from_numpy(value) for value in found)


class _Run:
    """The edge network on one batch: the state between forward and backward is of constituents and channels."""

    def __init__(self, norms: list[nn.BatchNorm1d], edges: EdgeGroups, arrays: list[F4]) -> None:
        self.edges, self.norms, levels = edges, norms, len(norms)
        own, other, features, self.pair = arrays[:4]
        zeros = aligned(np.zeros(own.shape[1]))
        self.ends = Ends(own, other, edges.receiver, edges.sender, features, blocks(self.pair), zeros)
        affine = arrays[4 : 4 + 2 * levels]
        self.affine = list(zip(affine[::2], affine[1::2], strict=True))
        self.weights = arrays[4 + 2 * levels :]
        self.states: list[Normalisation] = []
        #: What forward kept of them.
        self.values: list[F4] = []

    def forward(self, keep: bool) -> list[F4]:
        """Each later layer's values on all edges, or the last one's; the first time, normalisations are taken."""
        first_time, before, found = not self.states, np.empty((0, self.ends.own.shape[1]), np.float32), []
        if first_time:
            moments = self._sums(before.shape[1])
            self.edges.each(lambda group, first, last: forward_first(self.ends, moments[group], first, last))
            self._normalise(moments)
        for level, weight in enumerate(self.weights):
            reuse = not keep and before.shape == (self.edges.num_edges, len(weight))
            after = before if reuse else np.empty((self.edges.num_edges, len(weight)), np.float32)
            moments = self._forward_layer(level, before, after)
            if first_time:
                self._normalise(moments)
            found.append(after)
            before = after
        return found

    def _forward_layer(self, level: int, before: F4, after: F4) -> F8:
        norm, weight = self.states[level].norm(), self.weights[level]
        matrix, zeros, moments = (
            blocks(weight.astype(np.float64)),
            aligned(np.zeros(len(weight))),
            self._sums(len(weight)),
        )
        self.edges.each(
            lambda group, first, last: forward_layer(
                self.ends, before, norm, matrix, zeros, after, moments[group], first, last
            )
        )
        return moments

    def backward(self, grad_mean: F4) -> list[F4]:
        """Gradients of the tensors given."""
        edges = self.edges
        # values are overwritten: a second backward through a retained graph computes them again
        z, self.values = self.values or self.forward(keep=True), []
        grad_y = grad_mean / np.maximum(np.diff(edges.offsets), 1).astype(np.float32)[:, None]
        sums, last_norm = self._sums(grad_y.shape[1]), self.states[-1].norm()
        edges.each(
            lambda group, first, last: backward_mean(z[-1], grad_y, edges.receiver, last_norm, sums[group], first, last)
        )
        grad_affine: list[F8] = [sums.sum(0)]
        grad_weights: list[F4] = []
        for level in range(len(self.weights) - 1, -1, -1):
            grad_y, grad_weight, sums = self._backward_layer(level, z, grad_y, last_norm, grad_affine[0])
            grad_affine.insert(0, sums)
            grad_weights.insert(0, grad_weight)
            last_norm = Norm(*[np.empty(0, np.float32)] * 4)
        step = self.states[0].step(grad_affine[0], edges.num_edges)
        affine = (f4(part) for grad_bias, grad_scale in grad_affine for part in (grad_scale, grad_bias))
        return [*self._backward_first(grad_y, step), *affine, *grad_weights]

    def _backward_first(self, grad_y: F4, step: tuple[F4, F4, F4]) -> tuple[F4, F4, F4, F4]:
        """Gradients of the first layer's parts: of receivers, senders, the edges' features, and their matrix."""
        edges, ends, extra = self.edges, self.ends, self.pair.shape[1]
        grad_own, grad_other = np.zeros_like(ends.own), np.zeros_like(ends.other)
        if not extra:
            edges.each(lambda _, first, last: backward_first(ends, grad_y, step, grad_own, grad_other, first, last))
            return grad_own, grad_other, ends.features, self.pair
        transposed, zeros, grad_features = blocks(self.pair.T), padded(np.zeros(extra)), np.empty_like(ends.features)
        parts = np.zeros((max(edges.num_groups, 1), extra + MARGIN, len(ends.zeros)), np.float32)
        edges.each(
            lambda group, first, last: backward_pairs(
                ends, grad_y, step, transposed, zeros, grad_own, grad_other, grad_features, parts[group], first, last
            )
        )
        for part in parts[1:]:
            parts[0] += part
        return grad_own, grad_other, grad_features, np.ascontiguousarray(parts[0, :extra].T)

    def _backward_layer(
        self, level: int, z: list[F4], grad_y: F4, last_norm: Norm, grad_affine: F8
    ) -> tuple[F4, F4, F8]:
        """The gradient of y before a layer, the layer's own, and sums over edges; takes the last of `z`."""
        weight, here, count = self.weights[level], z.pop(), self.edges.num_edges
        step, norm, depth = self.states[level + 1].step(grad_affine, count), self.states[level].norm(), weight.shape[1]
        transposed, zeros = blocks(weight.T.astype(np.float64)), aligned(np.zeros(depth))
        sums = self._sums(depth)
        grad_weight = np.zeros((max(len(sums), 1), len(weight) + MARGIN, depth), np.float32)
        before = z[-1] if z else np.empty((0, depth), np.float32)
        # the gradients take the place of the layer's values, which nobody needs any more
        grad_before = here if here.shape[1] == depth else np.empty((count, depth), np.float32)
        self.edges.each(
            lambda group, first, last: backward_layer(
                self.ends, before, norm, here, grad_y, last_norm, step, transposed, zeros, grad_before,
                grad_weight[group], sums[group], first, last,
            )
        )  # fmt: skip
        for part in grad_weight[1:]:
            grad_weight[0] += part
        return grad_before, grad_weight[0, : len(weight)], sums.sum(0)

    def _sums(self, channels: int) -> F8:
        return np.zeros((self.edges.num_groups, 2, channels))

    def _normalise(self, moments: F8) -> None:
        """Take the next normalisation."""
        level = len(self.states)
        self.states.append(Normalisation.of(self.norms[level], *self.affine[level], moments, self.edges.num_edges))
