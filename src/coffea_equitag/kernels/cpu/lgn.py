"""LGN's evaluation, fused: a jet goes through all levels, its pairs' bells in chunks, its nodes in vectors' lanes.

In float64 but for the bells, as the reference. Every sum runs over a jet's own nodes in a fixed order, so a jet's
logits are the same to the last bit whatever jets stand beside it and however many threads there are.

Features lie as [channel][component of 20][Re, Im][node], nodes padded to whole blocks of lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...compiled import njit, over_jets
from ...invariants.minkowski import pair_offsets
from ...models.base import JetModel
from .lgn_level import Workspace, level_of, make_workspace, stride_of
from .lgn_products import NODES, sum_of_products
from .lgn_weights import LevelWeights, LgnWeights, weights_of

__all__ = ["lgn_logits", "squared_differences", "sum_norms", "sum_scalars"]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]


def lgn_logits(model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, square_Q: Tensor) -> Tensor:
    """Logits of a float32 `Lgn` of classes; arguments as of its ``network``.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights = weights_of(model)
    inputs = np.ascontiguousarray(scalars.detach().to(torch.float32).numpy())
    p4 = np.ascontiguousarray(p4_N4.detach().numpy(), np.float64)
    bounds = np.ascontiguousarray(offsets.numpy())
    squares = np.ascontiguousarray(square_Q.detach().numpy(), np.float64)
    places = pair_offsets(bounds)
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)

    def run(first: int, last: int) -> None:
        largest = int(np.diff(bounds[first : last + 1]).max(initial=1))
        work = make_workspace(max(largest, 1), weights.levels)
        _score(weights, work, p4, inputs, bounds, places, squares, logits, first, last)

    over_jets(run, places, torch.get_num_threads())
    return torch.from_numpy(logits)


def squared_differences(gram_Q: Tensor, offsets: Tensor, factor: float) -> Tensor:
    """Factor times (p_i − p_j)² = m_i² + m_j² − 2 p_i·p_j, in the layout of p_i·p_j: jet after jet, n × n."""
    bounds = np.ascontiguousarray(offsets.numpy())
    products = np.ascontiguousarray(gram_Q.detach().numpy(), np.float64)
    squares, places = np.empty_like(products), pair_offsets(bounds)

    def run(first: int, last: int) -> None:
        _differences(products, bounds, places, factor, squares, first, last)

    over_jets(run, places, torch.get_num_threads())
    return torch.from_numpy(squares)


@njit
def _differences(
    gram: _F8, offsets: _I8, places: _I8, factor: float, squares: _F8, first: int, last: int
) -> None:  # pragma: no cover
    for jet in range(first, last):
        n, at = offsets[jet + 1] - offsets[jet], places[jet]
        for i in range(n):
            own = gram[at + i * n + i]
            for j in range(n):
                squares[at + i * n + j] = factor * (own + gram[at + j * n + j] - 2 * gram[at + i * n + j])
            squares[at + i * n + i] = 0


@njit
def _score(
    weights: LgnWeights,
    work: Workspace,
    p4: _F8,
    scalars: _F4,
    offsets: _I8,
    places: _I8,
    squares: _F8,
    logits: _F4,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    sums = np.empty(weights.head.shape[1])
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        stride = stride_of(n)
        _enter(weights.input, p4, scalars, start, n, stride, work)
        at = sum_scalars(work.features, len(weights.input) // 2, n, stride, sums, 0)
        for level in range(len(weights.levels)):
            found = work.features if level % 2 == 1 else work.others
            before = work.others if level % 2 == 1 else work.features
            level_of(weights.levels[level], squares, places[jet], n, stride, before, found, work, work.sizes[:0], 0)
            at = sum_scalars(found, weights.levels[level].channels[1], n, stride, sums, at)
            at = sum_norms(weights.levels[level], found, n, stride, work.block, sums, at)
        for k in range(len(weights.head)):
            total = weights.head_bias[k]
            for s in range(len(sums)):
                total += weights.head[k, s] * sums[s]
            logits[jet, k] = total


@njit
def _enter(
    weight: _F8, p4: _F8, scalars: _F4, start: int, n: int, stride: int, work: Workspace
) -> None:  # pragma: no cover
    """Momenta, and the scalars that the network begins with."""
    last = weight.shape[1] - 1
    for i in range(stride):
        for axis in range(4):
            work.momenta[2 * axis * stride + i] = p4[start + i, axis] if i < n else 0.0
            work.momenta[(2 * axis + 1) * stride + i] = 0.0
    for row in range(len(weight)):
        at = (row // 2 * 40 + row % 2) * stride
        for i in range(stride):
            total = 0.0
            if i < n:
                total = weight[row, last]
                for s in range(last):
                    total += weight[row, s] * scalars[start + i, s]
            work.features[at + i] = total


@njit
def sum_scalars(features: _F8, channels: int, n: int, stride: int, sums: _F8, at: int) -> int:  # pragma: no cover
    """Scalars summed over the jet, from ``sums[at]``; where they end."""
    for row in range(2 * channels):
        begin = (row // 2 * 40 + row % 2) * stride
        total = 0.0
        for i in range(n):
            total += features[begin + i]
        sums[at + row] = total
    return at + 2 * channels


@njit
def sum_norms(
    weights: LevelWeights, features: _F8, n: int, stride: int, block: _F8, sums: _F8, at: int
) -> int:  # pragma: no cover
    """Squares of the other tensors summed over the jet, from ``sums[at]``; where they end."""
    table, channels = weights.norms, weights.channels[1]
    for row in range(len(table.component)):
        for c in range(channels):
            re = im = 0.0
            for i in range(0, n, NODES):
                sum_of_products(
                    table.left, table.right, table.factor, table.first[row], table.first[row + 1],
                    features, c * 40 * stride + i, features, c * 40 * stride + i, 2 * stride, stride,
                    block, 0, NODES, block, 0, False,
                )  # fmt: skip
                for lane in range(min(NODES, n - i)):
                    re += block[lane]
                    im += block[NODES + lane]
            sums[at], sums[at + 1] = re, im
            at += 2
    return at
