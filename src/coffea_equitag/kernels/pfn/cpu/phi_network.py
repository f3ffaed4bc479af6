"""Φ and its sums over each jet with gradients, on a batch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F4, F8
from ...common.cpu.aligned import aligned, aligned_rows
from ...common.cpu.batch_norm import Norm, Normalisation
from ...common.cpu.folding import blocks
from .phi_backward import Gradients, Transposed, backward_layers, backward_sums
from .phi_forward import fill, forward_layers, sum_layers
from .phi_rows import Groups, Rows, padded_to, rows_of
from .weights import Layers

__all__ = ["PhiNetwork"]

#: Layers are computed in whole tiles on every CPU.
_TILE = 32
_NONE = np.empty(0, np.float32)
_NO_NORM = Norm(_NONE, _NONE, _NONE, _NONE)


class PhiNetwork(torch.autograd.Function):
    """``PhiNetwork.apply(norms, groups, features, nodes, *layers, *affine)``: Σ Φ over each jet, (J, L).

    `features` (N, F) enter the first layer, the patch's `nodes` (N, E) every one. `layers` holds the weight and bias of
    each, `affine` that of each BatchNorm, if there are any.
    """

    @staticmethod
    def forward(ctx: Any, norms: list[nn.BatchNorm1d], groups: Groups, *tensors: Tensor) -> Tensor:
        """Run the network, and keep its values."""
        run = _Run(norms, groups, [tensor.detach().contiguous().numpy() for tensor in tensors])
        sums = run.forward()
        if not any(ctx.needs_input_grad):
            run.rows = None
        ctx.run = run
        ctx.save_for_backward(*tensors)
        return torch.from_numpy(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_sums: Tensor) -> tuple[Any, ...]:
        """Gradients of all tensors."""
        # the arrays are views of them: torch complains here if they were changed since
        assert ctx.saved_tensors
        found = ctx.run.backward(grad_sums.detach().numpy(), ctx.needs_input_grad[2])
        return None, None, *(None if value is None else torch.from_numpy(value) for value in found)


class _Run:
    """Φ on one batch: the state between forward and backward."""

    def __init__(self, norms: list[nn.BatchNorm1d], groups: Groups, arrays: list[F4]) -> None:
        self.norms, self.groups = norms, groups
        self.features, self.nodes, *parameters = arrays
        levels = (len(parameters) - 2 * len(norms)) // 2
        affine = parameters[2 * levels :]
        self.affine = list(zip(affine[::2], affine[1::2], strict=True))
        #: Channels of the layers' outputs, and as many as fill whole tiles.
        self.channels = [len(bias) for bias in parameters[1 : 2 * levels : 2]]
        self.widths = [padded_to(channels, _TILE) for channels in self.channels]
        #: Columns of a layer's own inputs, behind which the patch's stand.
        self.own = (self.features.shape[1], *self.widths[:-1])
        #: In whole tiles.
        self.matrices = [self._matrix(level, matrix) for level, matrix in enumerate(parameters[: 2 * levels : 2])]
        self.biases = tuple(
            _widened(bias, width) for bias, width in zip(parameters[1 : 2 * levels : 2], self.widths, strict=True)
        )
        self.states: list[Normalisation] = []
        self.rows: Rows | None = None

    @property
    def levels(self) -> int:
        """L."""
        return len(self.matrices)

    def forward(self) -> F4:
        """Sums (J, L); values stay in `rows`."""
        groups, first_time = self.groups, not self.states
        phi = Layers(
            tuple(blocks(matrix) for matrix in self.matrices), self.biases, tuple(m.shape[1] for m in self.matrices)
        )
        self.rows = rows = rows_of(groups, self.own[0], self.nodes.shape[1], self.widths, bool(self.norms))
        groups.each(partial(fill, rows, self.own, self.features, self.nodes, groups))
        for first, last in self._passes():
            moments = self._sums(self.widths[first] if self.norms else 0)
            groups.each(partial(forward_layers, phi, self._norms(), rows, groups, moments, first, last))
            if self.norms and first_time:
                self._normalise(first, moments)
        sums = np.zeros((len(groups.offsets) - 1, self.widths[-1]), np.float32)
        groups.each(partial(sum_layers, self._norms(), rows, groups, sums))
        return np.ascontiguousarray(sums[:, : self.channels[-1]])

    def backward(self, grad_sums: F4, of_features: bool) -> list[F4 | None]:
        """Gradients of the tensors given; those of the features only if they are wanted."""
        groups, levels = self.groups, self.levels
        if self.rows is None:
            # values are overwritten: a second backward through a retained graph computes them again
            self.forward()
        rows, self.rows = self.rows, None
        assert rows is not None
        arriving = np.zeros((len(grad_sums), self.widths[-1]), np.float32)
        arriving[:, : grad_sums.shape[1]] = grad_sums
        norms, grad_affine = self._norms(), list[F8]()
        sums = self._sums(self.widths[-1])
        groups.each(partial(backward_sums, arriving, norms[-1], rows, groups, sums))
        grads, transposed = self._gradients(of_features), self._transposed()
        for first, last in reversed(self._passes()):
            steps, before = (_NONE, _NONE, _NONE), _NO_NORM
            if self.norms:
                grad_affine.insert(0, sums.sum(0))
                steps = self._steps(first, grad_affine[0])
                before = norms[first - 1] if first else _NO_NORM
                sums = self._sums(self.widths[first - 1] if first else 0)
            groups.each(partial(backward_layers, transposed, steps, before, rows, groups, grads, sums, first, last))
        return [
            grads.features if of_features else None,
            grads.nodes,
            *(value for level in range(levels) for value in self._of_layer(grads, level)),
            *(
                part[:channels].astype(np.float32)
                for (grad_bias, grad_scale), channels in zip(grad_affine, self.channels, strict=False)
                for part in (grad_scale, grad_bias)
            ),
        ]

    def _passes(self) -> list[tuple[int, int]]:
        """Layers that run together: all, or one between two BatchNorms."""
        return [(level, level + 1) for level in range(self.levels)] if self.norms else [(0, self.levels)]

    def _matrix(self, level: int, matrix: F4) -> F4:
        """A matrix (out, in) with zeros where there is no channel."""
        extra, own = self.nodes.shape[1], self.own[level]
        if matrix.shape == (self.widths[level], own + extra):
            return matrix
        out, real = np.zeros((self.widths[level], own + extra), np.float32), matrix.shape[1] - extra
        out[: len(matrix), :real], out[: len(matrix), own:] = matrix[:, :real], matrix[:, real:]
        return out

    def _transposed(self) -> Transposed:
        matrices = list(zip(self.matrices, self.own, strict=True))
        widest = max(*self.own, self.nodes.shape[1])
        return Transposed(
            tuple(blocks(matrix[:, :own].T) for matrix, own in matrices),
            tuple(blocks(matrix[:, own:].T) for matrix, own in matrices),
            aligned(np.zeros(2 * padded_to(widest, 2 * _TILE))),
        )

    def _gradients(self, of_features: bool) -> Gradients:
        groups, extra = self.groups.num_groups, self.nodes.shape[1]
        return Gradients(
            np.zeros_like(self.features) if of_features else np.empty((0, 0), np.float32),
            np.zeros_like(self.nodes),
            tuple(
                aligned_rows(groups * (own + extra), width) for own, width in zip(self.own, self.widths, strict=True)
            ),
            tuple(np.zeros((groups, width), np.float32) for width in self.widths),
        )

    def _of_layer(self, grads: Gradients, level: int) -> tuple[F4, F4]:
        """Gradients of a layer's weight and bias: the groups' added up, without what fills the tiles."""
        own, real, channels = self.own[level], self.channels[level - 1] if level else self.own[0], self.channels[level]
        shape = self.groups.num_groups, own + self.nodes.shape[1], self.widths[level]
        total = _added_up(grads.weights[level].reshape(shape))[:, :channels]
        weight = total if real == own else np.concatenate([total[:real], total[own:]])
        return np.ascontiguousarray(weight.T), np.ascontiguousarray(_added_up(grads.biases[level])[:channels])

    def _norms(self) -> tuple[Norm, ...]:
        """Of each layer; empty where there is none, or none yet."""
        found = [
            Norm(*(_widened(part, width) for part in state.norm()))
            for state, width in zip(self.states, self.widths, strict=False)
        ]
        return (*found, *[_NO_NORM] * (self.levels - len(found)))

    def _steps(self, level: int, sums: F8) -> tuple[F4, F4, F4]:
        size, count = self.channels[level], len(self.features)
        a, b, c = (_widened(part, self.widths[level]) for part in self.states[level].step(sums[:, :size], count))
        return a, b, c

    def _normalise(self, level: int, moments: F8) -> None:
        size = self.channels[level]
        state = Normalisation.of(self.norms[level], *self.affine[level], moments[:, :, :size], len(self.features))
        self.states.append(state)

    def _sums(self, channels: int) -> F8:
        return np.zeros((self.groups.num_groups, 2, channels))


def _widened(values: F4, width: int) -> F4:
    """Numbers, and zeros that fill whole tiles."""
    return values if len(values) == width else np.pad(values, (0, width - len(values)))


def _added_up(parts: F4) -> F4:
    """Sums of the groups, in their order; into the first, or zeros of none."""
    if not len(parts):
        return np.zeros(parts.shape[1:], np.float32)
    for part in parts[1:]:
        parts[0] += part
    first: F4 = parts[0]
    return first
