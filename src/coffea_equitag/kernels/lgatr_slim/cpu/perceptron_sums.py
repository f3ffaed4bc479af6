"""Gradients of one block's perceptron, added up in parts of the nodes that do not depend on the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, AnyArray
from ....compiled import over_jets
from ...common.cpu.attention_tiles import TILE_ROWS
from .gate_tiles import LANES
from .matrices import Linear
from .perceptron_gradients import Sums, perceptron_gradients
from .perceptron_weights import PerceptronWeights
from .workspace import CHUNK, Rows

__all__ = ["PerceptronSums"]

#: Parts of the nodes at most, and nodes of a part at least; what a node costs, in the pairs that threads are given.
_PARTS, _PART, _PAIRS = 8, 4 * CHUNK, 2000


class PerceptronSums:
    """Sums of the gradients of a block's gates and outputs."""

    def __init__(self, weights: PerceptronWeights, block: int, keeps: bool) -> None:
        self.weights, self.block, self.keeps = weights, block, keeps
        (v, s), (hidden_v, hidden_s) = weights.widths, weights.hidden
        wide_v, wide_s, more = v + -v % LANES, s + -s % LANES, len(weights.more[0].vectors.weight)

        def zeros(*shape: int) -> F4:
            return np.zeros((_PARTS, *shape), np.float32)

        self.sums = Sums(
            (zeros(1, wide_v + TILE_ROWS, 3 * hidden_v), zeros(more, hidden_v + TILE_ROWS, 3 * hidden_v)),
            (zeros(1, wide_s + TILE_ROWS, 2 * hidden_s), zeros(more, hidden_s + TILE_ROWS, 2 * hidden_s)),
            (zeros(1, 2 * hidden_s), zeros(more, 2 * hidden_s)),
            zeros(hidden_v + TILE_ROWS, wide_v),
            zeros(hidden_s + TILE_ROWS, wide_s),
            zeros(wide_s),
        )

    def add(self, state: Rows, grad: Rows) -> None:
        """Add those of some nodes; `grad` becomes the gradient of `state`, with which the perceptron begins."""
        nodes = len(state.scalars)
        size = max(_PART, -(-nodes // _PARTS))
        bounds = np.minimum(np.arange(0, nodes + size, size), nodes)

        def run(first: int, last: int) -> None:
            perceptron_gradients(self.weights, self.block, self.keeps, state, grad, bounds, self.sums, first, last)

        over_jets(run, bounds * _PAIRS, torch.get_num_threads())

    def gradients(self, like: list[Linear]) -> list[Tensor | None]:
        """Of layers of these shapes: the gates, and the outputs."""
        found: list[Tensor | None] = []
        sums = Sums(*(_total(values) for values in self.sums))
        for k, layer in enumerate(like[:-1]):
            which, j = min(k, 1), max(k - 1, 0)
            v, s, bias = (values[which][j] for values in (sums.gate_vectors, sums.gate_scalars, sums.gate_bias))
            found += [_gate(v, layer.vectors, 3), _gate(s, layer.scalars, 2), _gate(bias, layer.bias, 2)]
        outputs = like[-1]
        return [
            *found,
            _gate(sums.vectors, outputs.vectors, 1),
            _gate(sums.scalars, outputs.scalars, 1),
            _gate(sums.bias, outputs.bias, 1),
        ]


def _total(values: Any) -> Any:
    return tuple(_total(part) for part in values) if isinstance(values, tuple) else values.sum(0, dtype=np.float64)


def _gate(total: AnyArray, like: Tensor | None, parts: int) -> Tensor | None:
    """A matrix (in, parts of whole registers) as one (out, in), or a bias, without what filled it up."""
    if like is None:
        return None
    own = total.reshape(*total.shape[:-1], parts, -1)[..., : len(like) // parts]
    if like.ndim > 1:
        own = np.moveaxis(own[: like.shape[1]], 0, -1)
    return torch.from_numpy(np.ascontiguousarray(own)).reshape(like.shape).to(like)
