"""LGN's evaluation, fused: a jet goes through all levels, its pairs' bells in chunks, its nodes in vectors' lanes.

In float64 but for the bells, as the reference. Every sum runs over a jet's own nodes in a fixed order, so a jet's
logits are the same to the last bit whatever jets stand beside it and however many threads there are.

Features lie as [channel][component of 20][Re, Im][node], nodes padded to whole blocks of lanes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, F8, I8
from ....compiled import njit, over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from .forward import forward
from .stacked import table_of
from .weights import weights_of
from .workspace import make_workspace

__all__ = ["logits", "squared_differences"]


def logits(
    model: JetModel,
    p4_N4: Tensor,
    scalars: Tensor,
    offsets: Tensor,
    products_Q: Tensor,
    scale2: float | None = None,
) -> Tensor:
    """Logits of a float32 `LGN` of classes; arguments as of its ``network``.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights = weights_of(model)
    inputs = np.ascontiguousarray(scalars.detach().to(torch.float32).numpy())
    p4 = np.ascontiguousarray(p4_N4.detach().numpy(), np.float64)
    bounds = np.ascontiguousarray(offsets.numpy())
    places = pair_offsets(bounds)
    squares = squared_differences(products_Q, bounds, scale2)
    entering = np.repeat(weights.input[None, :, -1], len(inputs), axis=0)
    for column in range(inputs.shape[1]):
        entering += inputs[:, column, None] * weights.input[:, column]
    sums = np.empty((len(bounds) - 1, weights.head.shape[1]))
    logits = np.empty((len(sums), model.n_classes), np.float32)
    # nothing is kept
    kept, kept_from, rows = np.empty(0, np.float32), np.zeros_like(bounds), np.zeros(len(weights.levels) + 1, np.int64)

    levels = table_of(weights.levels)

    def run(first: int, last: int) -> None:
        largest = int(np.diff(bounds[first : last + 1]).max(initial=1))
        work = make_workspace(max(largest, 1), weights.levels)
        forward(weights.levels[0], levels, work, p4, entering, bounds, places, squares, kept, kept_from, rows, sums,
                first, last)  # fmt: skip

    over_jets(run, places, torch.get_num_threads())
    _classify(weights.head, weights.head_bias, sums, logits)
    return torch.from_numpy(logits)


def squared_differences(products_Q: Tensor, bounds: I8, scale2: float | None) -> F8:
    """scale² (p_i − p_j)² = scale² (m_i² + m_j² − 2 p_i·p_j) of p_i·p_j; without a scale they are given already."""
    products: F8 = np.ascontiguousarray(products_Q.detach().numpy(), np.float64)
    if scale2 is None:
        return products
    squares, places = np.empty_like(products), pair_offsets(bounds)

    def run(first: int, last: int) -> None:
        _differences(products, bounds, places, scale2, squares, first, last)

    over_jets(run, places, torch.get_num_threads())
    return squares


@njit
def _differences(gram: F8, offsets: I8, places: I8, factor: float, squares: F8, first: int, last: int) -> None:
    for jet in range(first, last):
        n, at = offsets[jet + 1] - offsets[jet], places[jet]
        for i in range(n):
            own = gram[at + i * n + i]
            for j in range(n):
                squares[at + i * n + j] = factor * (own + gram[at + j * n + j] - 2 * gram[at + i * n + j])
            squares[at + i * n + i] = 0


@njit
def _classify(weight: F8, bias: F8, sums: F8, logits: F4) -> None:
    """The head, each jet's sum in one order: a matrix product's may depend on the number of jets."""
    for jet in range(len(sums)):
        for k in range(len(weight)):
            total = bias[k]
            for s in range(sums.shape[1]):
                total += weight[k, s] * sums[jet, s]
            logits[jet, k] = total
