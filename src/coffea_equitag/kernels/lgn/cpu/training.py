"""LGN's levels with gradients: forward keeps the sums over pairs, which are of nodes, backward does the rest again.

Bells are worked out jet by jet both times, so that nothing is kept for pairs. Gradients of weights are summed over
groups of jets, whose number depends on that of the jets alone, and then over the groups in their order: they do not
depend on the number of threads. Momenta get no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import AnyArray
from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ...common.cpu.folding import double
from .backward import backward
from .forward import forward
from .gradient_tables import LANES, gradients_of, level_gradients, padded, size_of_sums
from .inference import squared_differences
from .nodes_backward import make_gradient_space
from .pairs_backward import make_pair_space
from .products import NODES
from .stacked import table_of
from .weights import LevelTables, LevelWeights, level_weights, tables_of
from .workspace import make_workspace, stride_of

__all__ = ["logits"]


#: Groups of jets whose gradients are kept apart, at most.
_GROUPS = 16


@dataclass(frozen=True)
class _Given:
    """What has no gradient: tables and names of the parameters of each level; momenta, boundaries, squares."""

    tables: tuple[LevelTables, ...]
    names: tuple[tuple[str, ...], ...]
    p4: AnyArray
    offsets: AnyArray
    places: AnyArray
    squares: AnyArray

    @property
    def rows(self) -> AnyArray:
        """Numbers that levels before each keep for a node: sums over pairs, and features before the perceptron."""
        kept = [
            2 * int(t.channels[0] * (t.channels[2] + len(t.moments.component)) + t.channels[1] * t.channels[3])
            for t in self.tables
        ]
        return np.cumsum([0, *kept])

    @property
    def kept_from(self) -> AnyArray:
        """Nodes before each jet, and all, each jet's in whole blocks."""
        return np.cumsum([0, *padded(np.diff(self.offsets), NODES)])

    @property
    def invariants(self) -> int:
        """Numbers summed over a jet."""
        return 2 * int(
            self.tables[0].channels[0] + sum(t.channels[1] * (1 + len(t.norms.component)) for t in self.tables)
        )

    def states(self, parameters: tuple[Tensor, ...]) -> list[dict[str, AnyArray]]:
        """Parameters of each level by name, in float64."""
        values = iter(parameters)
        return [{name: double(next(values)) for name in names} for names in self.names]


def logits(
    model: JetModel,
    p4_N4: Tensor,
    scalars: Tensor,
    offsets: Tensor,
    products_Q: Tensor,
    scale2: float | None = None,
) -> Tensor:
    """As `inference.logits`, with gradients: to the network's parameters and to `scalars`."""
    named = [list(level.named_parameters()) for level in model.get_submodule("levels").children()]
    bounds = np.ascontiguousarray(offsets.numpy())
    given = _Given(
        tables_of(model),
        tuple(tuple(name for name, _ in of_level) for of_level in named),
        np.ascontiguousarray(p4_N4.detach().numpy(), np.float64),
        bounds,
        pair_offsets(bounds),
        squared_differences(products_Q, bounds, scale2),
    )
    parameters = [parameter for of_level in named for _, parameter in of_level]
    run: Callable[..., Tensor] = _Levels.apply
    linear: Callable[..., Tensor] = _Linear.apply
    entering, head = (model.get_submodule(name) for name in ("input", "head"))
    sums = run(given, linear(scalars.to(torch.float32), entering.weight, entering.bias), *parameters)
    return linear(sums, head.weight, head.bias)


class _Levels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: _Given, entering: Tensor, *parameters: Tensor) -> Tensor:
        ctx.given = given
        ctx.save_for_backward(entering, *parameters)
        ctx.states = states = given.states(parameters)
        ctx.levels = levels = tuple(map(level_weights, given.tables, states))
        rows, kept_from, features = given.rows, given.kept_from, double(entering)
        keeps = any(ctx.needs_input_grad)
        ctx.kept = kept = np.empty(int(kept_from[-1] * rows[-1]) if keeps else 0, np.float32)
        sums, table = np.empty((len(given.offsets) - 1, given.invariants)), table_of(levels)

        def run(first: int, last: int) -> None:
            work = make_workspace(_largest(given.offsets[first : last + 1]), levels)
            forward(levels[0], table, work, given.p4, features, given.offsets, given.places, given.squares, kept,
                    kept_from, rows, sums, first, last)  # fmt: skip

        over_jets(run, given.places, torch.get_num_threads())
        return torch.from_numpy(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:
        given: _Given = ctx.given
        levels: tuple[LevelWeights, ...] = ctx.levels
        entering, *parameters = ctx.saved_tensors
        made, end = [], 0
        for tables, weights in zip(given.tables, levels, strict=True):
            of_level, end = level_gradients(tables, weights, end)
            made.append(of_level)
        jets = len(given.offsets) - 1
        group = max(1, -(-jets // _GROUPS))
        bounds = np.minimum(np.arange(0, jets + group, group), jets) if jets else np.zeros(1, np.int64)
        features, slope = double(entering), np.ascontiguousarray(arriving[0].numpy(), np.float64)
        of_entering = np.zeros_like(features)
        of_weights = np.zeros((len(bounds) - 1, size_of_sums(end) // LANES))
        rows, kept_from, gradients = given.rows, given.kept_from, tuple(made)
        of_levels, of_gradients = table_of(levels), table_of(gradients)

        def run(first: int, last: int) -> None:
            largest = _largest(given.offsets[bounds[first] : bounds[last] + 1])
            work = make_workspace(largest, levels)
            layer_rows = len(work.activated) // stride_of(largest)
            layers = max(len(level.layers) for level in levels)
            work = work._replace(hidden=np.zeros(len(levels) * layers * len(work.activated)))
            between = tuple(np.zeros_like(work.features) for _ in range(len(levels) + 1))
            backward(levels[0], of_levels, gradients[0], of_gradients, work, between,
                     make_gradient_space(levels, work), make_pair_space(largest, levels), given.p4, features,
                     given.offsets, given.places, given.squares, ctx.kept, kept_from, rows, slope, bounds, layers,
                     layer_rows, of_entering, of_weights, first, last)  # fmt: skip

        over_jets(run, given.places[bounds], torch.get_num_threads())
        total = np.zeros(of_weights.shape[1])
        for part in of_weights:
            total += part
        by_name = map(gradients_of, given.tables, levels, gradients, [total] * len(levels), ctx.states)
        found = [of_level[name] for of_level, names in zip(by_name, given.names, strict=True) for name in names]
        of_parameters = [
            torch.from_numpy(np.ascontiguousarray(value)).to(p) for value, p in zip(found, parameters, strict=True)
        ]
        return None, torch.from_numpy(of_entering).to(entering), *of_parameters


class _Linear(torch.autograd.Function):
    """A linear layer whose sums run in one order: those of torch's depend on the number of threads."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        found = np.einsum("nk,ok->no", double(x), double(weight)) + double(bias)
        return torch.from_numpy(found.astype(np.float32))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor, ...]:
        x, weight, bias = ctx.saved_tensors
        slope = double(arriving[0])
        found = (
            np.einsum("no,ok->nk", slope, double(weight)),
            np.einsum("no,nk->ok", slope, double(x)),
            slope.sum(0),
        )
        return tuple(torch.from_numpy(value).to(like) for value, like in zip(found, (x, weight, bias), strict=True))


def _largest(offsets: AnyArray) -> int:
    return max(int(np.diff(offsets).max(initial=1)), 1)
