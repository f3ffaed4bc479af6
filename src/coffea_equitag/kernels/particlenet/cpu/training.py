"""ParticleNet's edge convolution with gradients: the edge network fused, the constituents' layers left to torch.

Forward keeps what belongs to constituents and channels, and the edges' values only if they are few; else backward
computes them again, with arrays of all edges' channels only while one convolution is at work. Sums over edges are
taken in groups of jets which do not depend on the number of threads, then over groups in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F4, F8, I8
from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ....layers.edge_conv import EdgeConv
from ....layers.segments import segment_mean
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import blocks
from ...common.cpu.wide_dense import MARGIN
from ...running_statistics import follow
from . import backward as edge_passes
from .nearest import edge_offsets, nearest_senders

__all__ = ["logits"]


#: Groups of jets that sums are taken in: as many threads find work.
_GROUPS = 16
#: Bytes of a convolution's values that are kept for backward; what is more is computed again.
_KEPT = 2**26
#: What an edge costs, in the pairs that threads are given.
_PAIRS = 64


def logits(
    model: JetModel,
    features_N7: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    nodes_NE: Tensor | None,
    edges_of: None = None,
) -> Tensor:
    """As `inference.logits`, with gradients, without the pairwise patch; each BatchNorm in training mode or not."""
    network: Any = model
    bounds = np.ascontiguousarray(offsets.numpy())
    squares, edges = pair_offsets(bounds), edge_offsets(bounds, model.options["k"])
    first = np.zeros(len(features_N7)) if priority is None else priority.detach().double().contiguous().numpy()
    x, points = network.input_norm(features_N7), points_N2.double()
    for block in network.blocks:
        sender = np.empty(edges[-1], np.int64)
        places = points.detach().contiguous().numpy()
        seek = partial(nearest_senders, places, places.shape[1], first, bounds, edges, sender)
        over_jets(seek, squares, torch.get_num_threads())
        inputs = x if nodes_NE is None else torch.cat([x, nodes_NE], dim=1)
        x = points = _convolve(block, inputs, _Edges.of(bounds, edges, sender))
    found: Tensor = network.head(segment_mean(x, offsets))
    return found


class _Edges(NamedTuple):
    """A batch's edges by receiver, and where groups of whole jets begin among constituents and among edges."""

    offsets: I8
    receiver: I8
    sender: I8
    nodes_of: I8
    edges_of: I8

    @classmethod
    def of(cls, bounds: I8, offsets: I8, sender: I8) -> _Edges:
        """From jet boundaries (J + 1,), boundaries of the receivers' edges (N + 1,) and senders (P,)."""
        at_jets = offsets[bounds]
        wanted = np.linspace(0, at_jets[-1], _GROUPS + 1)[1:-1]
        cuts = np.unique([0, *np.searchsorted(at_jets, wanted).tolist(), len(bounds) - 1])
        receiver = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        return cls(offsets, receiver, sender, bounds[cuts], at_jets[cuts])

    def groups(self, function: Callable[[int], Any]) -> None:
        """Call a function on every group, on torch's threads."""

        def run(first: int, last: int) -> None:
            for group in range(first, last):
                function(group)

        over_jets(run, self.edges_of * _PAIRS, torch.get_num_threads())


def _convolve(block: EdgeConv, x_NF: Tensor, edges: _Edges) -> Tensor:
    """`EdgeConv.forward` without pair features, in either mode; running statistics are kept as torch keeps them."""
    first = block.linears[0].weight
    assert isinstance(first, Tensor)
    w_own, w_step = torch.split(first, x_NF.shape[1], dim=1)
    norms = [norm for norm in block.norms if isinstance(norm, nn.BatchNorm1d)]
    later = [linear.weight for linear in block.linears[1:]]
    affine = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
    run: Callable[..., Tensor] = _EdgeNetwork.apply
    mean = run(norms, edges, x_NF @ (w_own - w_step).T, x_NF @ w_step.T, *affine, *later)
    return torch.relu(block.shortcut(x_NF) + mean)


class _Normalisation(NamedTuple):
    """A BatchNorm at work: ẑ = inverse z + offset, outcome = scale z + shift."""

    mean: F8
    inverse_deviation: F8
    weight: F8
    bias: F8
    of_batch: bool

    def scale_shift(self) -> tuple[F4, F4]:
        scale = self.weight * self.inverse_deviation
        return _f4(scale), _f4(self.bias - self.mean * scale)

    def inverse_offset(self) -> tuple[F4, F4]:
        return _f4(self.inverse_deviation), _f4(-self.mean * self.inverse_deviation)

    def step(self, sums: F8, count: int) -> tuple[F4, F4, F4]:
        """Dz = a g + b z + c, with sums of g and g ẑ over all edges."""
        a = self.weight * self.inverse_deviation
        g, projection = sums / max(count, 1) if self.of_batch else np.zeros_like(sums)
        b = -a * projection * self.inverse_deviation
        return _f4(a), _f4(b), _f4(-a * g - b * self.mean)


class _EdgeNetwork(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, norms: list[nn.BatchNorm1d], edges: _Edges, *tensors: Tensor) -> Tensor:
        run = _Run(norms, edges, [tensor.detach().contiguous().numpy() for tensor in tensors])
        keep = 4 * len(edges.sender) * sum(map(len, run.weights)) <= _KEPT and any(ctx.needs_input_grad)
        values = run.forward(keep)
        run.values, z = values if keep else [], values[-1]
        mean = np.empty((len(edges.offsets) - 1, z.shape[1]), np.float32)
        scale, shift = run.states[-1].scale_shift()
        edges.groups(
            lambda g: edge_passes.forward_last(
                z, scale, shift, edges.offsets, mean, edges.nodes_of[g], edges.nodes_of[g + 1]
            )
        )
        ctx.run = run
        ctx.save_for_backward(*tensors)
        return torch.from_numpy(mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        # the arrays are views of them: torch complains here if they were changed since
        assert ctx.saved_tensors
        found = ctx.run.backward(gradient.detach().contiguous().numpy())
        return None, None, *(torch.from_numpy(value) for value in found)


class _Run:
    """The edge network on one batch: the state between forward and backward is of constituents and channels."""

    def __init__(self, norms: list[nn.BatchNorm1d], edges: _Edges, arrays: list[F4]) -> None:
        self.edges, self.norms, levels = edges, norms, len(norms)
        self.own, self.other = arrays[:2]
        affine = arrays[2 : 2 + 2 * levels]
        self.affine = list(zip(affine[::2], affine[1::2], strict=True))
        self.weights = arrays[2 + 2 * levels :]
        self.states: list[_Normalisation] = []
        #: What forward kept of them.
        self.values: list[F4] = []

    @property
    def ends(self) -> tuple[F4, F4, I8, I8]:
        return self.own, self.other, self.edges.receiver, self.edges.sender

    def forward(self, keep: bool) -> list[F4]:
        """Each later layer's values on all edges, or the last one's; the first time, normalisations are taken."""
        edges, first_time = self.edges, not self.states
        if first_time:
            moments = self._sums(self.own.shape[1])
            self._each(lambda g, a, b: edge_passes.forward_first(*self.ends, moments[g], a, b))
            self._normalise(moments)
        before, found = np.empty((0, self.own.shape[1]), np.float32), []
        for level, weight in enumerate(self.weights):
            scale, shift = self.states[level].scale_shift()
            panel, zeros = blocks(weight.astype(np.float64)), aligned(np.zeros(len(weight)))
            moments = self._sums(len(weight))
            reuse = not keep and before.shape == (len(edges.sender), len(weight))
            after = before if reuse else np.empty((len(edges.sender), len(weight)), np.float32)

            def run(g: int, a: int, b: int) -> None:
                edge_passes.forward(
                    *self.ends, before, scale, shift, panel, zeros, after, moments[g], a, b  # noqa: B023
                )  # fmt: skip

            self._each(run)
            if first_time:
                self._normalise(moments)
            found.append(after)
            before = after
        return found

    def backward(self, gradient: F4) -> list[F4 | None]:
        """Gradients of the tensors given."""
        edges, count = self.edges, len(self.edges.sender)
        # values are overwritten: a second backward through a retained graph computes them again
        z, self.values = self.values or self.forward(keep=True), []
        gradient = gradient / np.maximum(np.diff(edges.offsets), 1).astype(np.float32)[:, None]
        sums = self._sums(gradient.shape[1])
        top = self.states[-1].scale_shift()
        last = (*top, *self.states[-1].inverse_offset())
        self._each(lambda g, a, b: edge_passes.backward_last(z[-1], gradient, edges.receiver, *last, sums[g], a, b))
        d_affine: list[F8] = [sums.sum(0)]
        d_weights: list[F4] = []
        empty = np.empty(0, np.float32)
        for level in range(len(self.weights) - 1, -1, -1):
            state, weight, here = self.states[level], self.weights[level], z.pop()
            step = self.states[level + 1].step(d_affine[0], count)
            depth = weight.shape[1]
            panel, zeros = blocks(weight.T.astype(np.float64)), aligned(np.zeros(depth))
            partial = np.zeros((max(len(sums), 1), len(weight) + MARGIN, depth), np.float32)
            sums = self._sums(depth)
            below = z[-1] if z else np.empty((0, depth), np.float32)
            # the gradients take the place of the layer's values, which nobody needs any more
            target = here if here.shape[1] == depth else np.empty((count, depth), np.float32)

            def run(g: int, a: int, b: int) -> None:
                edge_passes.backward(
                    *self.ends, below, *state.scale_shift(), *state.inverse_offset(), here, gradient,  # noqa: B023
                    top, step, panel, zeros, target, partial[g], sums[g], a, b,  # noqa: B023
                )  # fmt: skip

            self._each(run)
            d_affine.insert(0, sums.sum(0))
            for part in partial[1:]:
                partial[0] += part
            d_weights.insert(0, partial[0, : len(weight)])
            gradient, top = target, (empty, empty)
        step = self.states[0].step(d_affine[0], count)
        d_own, d_other = np.zeros_like(self.own), np.zeros_like(self.other)
        self._each(lambda g, a, b: edge_passes.backward_first(*self.ends, gradient, step, d_own, d_other, a, b))
        return [d_own, d_other, *(_f4(part) for g, projection in d_affine for part in (projection, g)), *d_weights]

    def _each(self, function: Callable[[int, int, int], Any]) -> None:
        """Call a function with each group and its edges."""
        bounds = self.edges.edges_of
        self.edges.groups(lambda g: function(g, bounds[g], bounds[g + 1]))

    def _sums(self, channels: int) -> F8:
        return np.zeros((len(self.edges.edges_of) - 1, 2, channels))

    def _normalise(self, moments: F8) -> None:
        """Take the next normalisation from the batch, or from the running statistics; keep those up to date."""
        level, count = len(self.states), len(self.edges.sender)
        norm, (weight, bias) = self.norms[level], self.affine[level]
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
        self.states.append(_Normalisation(mean, inverse, weight.astype(np.float64), bias.astype(np.float64), of_batch))


def _f4(values: Any) -> F4:
    return np.ascontiguousarray(values, np.float32)
