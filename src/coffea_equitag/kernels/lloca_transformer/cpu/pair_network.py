"""The perceptron of pairs: three logits of each pair of a jet's nodes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.aligned import aligned
from ...common.cpu.row_layers import GELU, LINEAR, RowLayer, row_layer
from .frame_features import at_least
from .pair_rows import LOGIT_ROWS, first_rows, logit_rows
from .weights import PairWeights

__all__ = ["PairBuffers", "at_once", "first_layer", "hidden_layer", "pair_buffers", "pair_logits", "write_edges"]

#: Pairs that pass through the perceptron at once; weights stay in the second cache beside them.
_ROWS = 240
#: Not literals, which numba would compile functions for.
_FIRST: int = np.int64(0)  # type: ignore[assignment]
_LINEAR: int = np.int64(LINEAR)  # type: ignore[assignment]
_GELU: int = np.int64(GELU)  # type: ignore[assignment]
_LEAST_SQUARE_MASS, _LEAST_MASS = 1e-10, 1e-6


class PairBuffers(NamedTuple):
    """Room for some pairs' hidden channels, for the parts that come from nodes of a jet, and for its pairs."""

    here: F4  # (_ROWS or M, and a margin; W)
    there: F4
    received: F4  # (M, W)
    sent: F4
    edges: F4  # (M²,)
    logits: F4  # (3, M² + margin)
    inverse_mass: F8  # (M²,)


def pair_buffers(nodes: int, width: int) -> PairBuffers:
    """For jets of so many nodes M at most."""
    rows = max(_ROWS, nodes) + LOGIT_ROWS
    made = [aligned(np.zeros((length, width))) for length in (rows, rows, nodes, nodes)]
    pairs = nodes * nodes
    return PairBuffers._make(
        [*made, np.empty(pairs, np.float32), np.empty((3, pairs + LOGIT_ROWS), np.float32), np.empty(pairs)]
    )


@inner
def write_edges(weights: PairWeights, gram: F8, nodes: int, first: int, buffers: PairBuffers) -> None:
    """Standardised log m²_ij and 1/m_ij of the constituents `first`, ... and all nodes, from p_i·p_j (M, M), flat."""
    at = 0
    for i in range(first, nodes):
        for j in range(nodes):
            square = gram[i * nodes + i] + gram[j * nodes + j] + 2 * gram[i * nodes + j]
            square = at_least(square, 0.0)
            buffers.edges[at] = (math.log(at_least(square, _LEAST_SQUARE_MASS)) - weights.mean) / weights.std
            buffers.inverse_mass[at] = 1 / math.sqrt(at_least(square, _LEAST_MASS**2))
            at += 1


@inner
def pair_logits(weights: PairWeights, nodes: int, first: int, buffers: PairBuffers) -> None:
    """Logits of the pairs that `write_edges` wrote, from the nodes' parts in `buffers`."""
    here, there, width = buffers.here, buffers.there, len(weights.of_edge)
    count, stride, some = nodes - first, buffers.logits.shape[1], at_once(nodes)
    for i_first in range(0, count, some):
        i_last = min(i_first + some, count)
        rows, at = (i_last - i_first) * nodes, i_first * nodes
        first_layer(weights, nodes, i_first, i_last, buffers, here)
        for level in range(len(weights.hidden)):
            kind = _LINEAR if level == len(weights.hidden) - 1 else _GELU
            row_layer(here, _FIRST, hidden_layer(weights, level), kind, there, _FIRST, rows)
            here, there = there, here
        logit_rows(here, weights.last, weights.last_bias, rows, width, buffers.logits, at, stride)


@inner
def at_once(nodes: int) -> int:
    """Constituents whose pairs pass through the perceptron together, of a jet of so many nodes."""
    return max(1, _ROWS // nodes)


@inner
def first_layer(weights: PairWeights, nodes: int, i_first: int, i_last: int, buffers: PairBuffers, out: F4) -> None:
    """The first hidden channels of pairs of constituents ``i_first:i_last`` with all nodes, into `out`."""
    width = len(weights.of_edge)
    for i in range(i_first, i_last):
        first_rows(
            buffers.received, i * width, buffers.sent, 0, weights.of_edge,
            buffers.edges, i * nodes, nodes, width, out, (i - i_first) * nodes * width,
        )  # fmt: skip


@inner
def hidden_layer(weights: PairWeights, level: int) -> RowLayer:
    """One of the layers W → W."""
    return RowLayer(weights.hidden[level], weights.hidden_bias[level], len(weights.of_edge))
