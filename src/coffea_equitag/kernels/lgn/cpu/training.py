"""LGN's levels with gradients: forward stores sums over pairs, which belong to nodes, backward computes the rest again.

Bells are evaluated jet by jet both times, so that nothing is stored per pair. Gradients of weights are summed over
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

from ....array_types import F4, AnyArray
from ....compiled import over_jets
from ....jet_model import JetModel
from ....layers.saturation import INPUT_BOUND
from ...common.cpu.folding import double
from .adjoint import gradients_of, level_adjoint, padded, size_of_sums
from .backward import Gradients, backward, make_spaces
from .forward import forward
from .jets import Jets, make_jets
from .stored import Stored
from .tiles import LANES, NODES
from .tuple_table import table_of
from .weights import LevelTables, LevelWeights, level_weights, tables_of
from .workspace import make_workspace

__all__ = ["logits"]


#: Groups of jets whose gradients are summed separately, at most.
_GROUPS = 16


@dataclass(frozen=True)
class _Constants:
    """What has no gradient."""

    tables: tuple[LevelTables, ...]
    names: tuple[tuple[str, ...], ...]  # of the parameters of each level
    jets: Jets  # their scalars are set for each pass

    def stored(self, values: F4) -> Stored:
        """What is stored per node: sums over pairs, and features before the perceptron."""
        numbers = [
            2 * int(t.channels[0] * (t.channels[2] + len(t.times_momentum.component)) + t.channels[1] * t.channels[3])
            for t in self.tables
        ]
        nodes = padded(np.diff(self.jets.offsets), NODES)
        return Stored(values, np.cumsum([0, *nodes]), np.cumsum([0, *numbers]))

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
    """As `inference.logits`, with gradients: of the network's parameters and of `scalars`."""
    named = [list(level.named_parameters()) for level in model.get_submodule("levels").children()]
    constants = _Constants(
        tables_of(model),
        tuple(tuple(name for name, _ in of_level) for of_level in named),
        make_jets(p4_N4, np.empty((0, 0)), offsets, products_Q, scale2),
    )
    parameters = [parameter for of_level in named for _, parameter in of_level]
    run: Callable[..., Tensor] = _Levels.apply
    linear: Callable[..., Tensor] = _Linear.apply
    first, head = (model.get_submodule(name) for name in ("input", "head"))
    sums = run(constants, linear(scalars.to(torch.float32), first.weight, first.bias), *parameters)
    return linear(sums, head.weight, head.bias)


class _Levels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, constants: _Constants, scalars: Tensor, *parameters: Tensor) -> Tensor:
        ctx.save_for_backward(scalars, *parameters)
        ctx.constants, ctx.states = constants, constants.states(parameters)
        ctx.levels = levels = tuple(map(level_weights, constants.tables, ctx.states))
        ctx.jets = jets = constants.jets._replace(scalars=double(scalars))
        stored = constants.stored(np.empty(0, np.float32))
        if any(ctx.needs_input_grad):
            stored = stored._replace(values=np.empty(int(stored.nodes[-1] * stored.rows[-1]), np.float32))
        ctx.stored = stored
        sums, table = np.empty((len(jets.offsets) - 1, constants.invariants)), table_of(levels)

        def run(first: int, last: int) -> None:
            work = make_workspace(_largest(jets.offsets[first : last + 1]), levels)
            forward(levels[0], table, jets, stored, work, sums, first, last)

        over_jets(run, jets.pair_offsets, torch.get_num_threads())
        return torch.from_numpy(np.clip(sums, -INPUT_BOUND, INPUT_BOUND))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:
        constants: _Constants = ctx.constants
        levels: tuple[LevelWeights, ...] = ctx.levels
        jets: Jets = ctx.jets
        scalars, *parameters = ctx.saved_tensors
        adjoints, end = [], 0
        for tables, weights in zip(constants.tables, levels, strict=True):
            adjoint, end = level_adjoint(tables, weights, end)
            adjoints.append(adjoint)
        groups = _groups(len(jets.offsets) - 1)
        grads = Gradients(
            np.ascontiguousarray(arriving[0].numpy(), np.float64),
            np.zeros_like(jets.scalars),
            np.zeros((len(groups) - 1, size_of_sums(end) // LANES)),
            groups,
        )
        level_table, adjoint_table = table_of(levels), table_of(adjoints)

        def run(first: int, last: int) -> None:
            spaces = make_spaces(_largest(jets.offsets[groups[first] : groups[last] + 1]), levels)
            backward(levels[0], level_table, adjoints[0], adjoint_table, jets, ctx.stored, *spaces, grads, first, last)

        over_jets(run, jets.pair_offsets[groups], torch.get_num_threads())
        total = np.zeros(grads.weights.shape[1])
        for of_group in grads.weights:
            total += of_group
        by_name = map(gradients_of, constants.tables, levels, adjoints, [total] * len(levels), ctx.states)
        found = [of_level[name] for of_level, names in zip(by_name, constants.names, strict=True) for name in names]
        grad_parameters = [
            torch.from_numpy(np.ascontiguousarray(value)).to(p) for value, p in zip(found, parameters, strict=True)
        ]
        return None, torch.from_numpy(grads.scalars).to(scalars), *grad_parameters


class _Linear(torch.autograd.Function):
    """A linear layer whose terms are added in one order: in torch's the order depends on the number of threads."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        found = np.einsum("nk,ok->no", double(x), double(weight)) + double(bias)
        return torch.from_numpy(found.astype(np.float32))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor, ...]:
        x, weight, bias = ctx.saved_tensors
        grad = double(arriving[0])
        found = (
            np.einsum("no,ok->nk", grad, double(weight)),
            np.einsum("no,nk->ok", grad, double(x)),
            grad.sum(0),
        )
        return tuple(torch.from_numpy(value).to(like) for value, like in zip(found, (x, weight, bias), strict=True))


def _groups(jets: int) -> AnyArray:
    """The first jet of each group, and the number of jets."""
    if jets == 0:
        return np.zeros(1, np.int64)
    size = -(-jets // _GROUPS)
    return np.minimum(np.arange(0, jets + size, size), jets)


def _largest(offsets: AnyArray) -> int:
    return max(int(np.diff(offsets).max(initial=1)), 1)
