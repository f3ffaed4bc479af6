"""Evaluation: PELICAN's readout, from the sums of the last messages to a jet's logits or to weights of its nodes."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from .node_rows import powers
from .nodes import JetNodes, MessageSums, NodeRows, aggregate
from .weights import PelicanWeights

__all__ = ["readout"]


@inner
def readout(weights: PelicanWeights, layer: int, sums: MessageSums, jet: JetNodes, rows: NodeRows, outputs: F4) -> None:
    """The 2→0 layer and the head into one row of outputs, or the 2→1 layer and the head into one for each node."""
    operations, depth, channels = weights.readout.shape
    aggregate(weights, layer, sums, jet, rows)
    values, trace, total, narrow = rows.values, rows.totals[0], rows.totals[2], rows.totals.shape[1]
    factors = np.empty((operations, narrow))
    powers(weights.readout_exponent, jet.log_ratio, factors)
    of_jet, hidden = weights.readout_bias.copy(), np.empty(channels)
    for k in range(depth):
        _add(of_jet, total[k] * factors[0, k], weights.readout[0, k])
        _add(of_jet, trace[k] * factors[1, k], weights.readout[1, k])
    for row in range(len(outputs)):
        hidden[:] = of_jet
        for own in range(operations - 2):
            for k in range(depth):
                _add(hidden, values[row, own * narrow + k] * factors[2 + own, k], weights.readout[2 + own, k])
        for out in range(outputs.shape[1]):
            value = weights.head_bias[out]
            for c in range(channels):
                value += hidden[c] * weights.head[out, c]
            outputs[row, out] = _leaky(value)


@inner
def _add(hidden: F8, aggregate: float, coefficients: F8) -> None:
    value = _leaky(aggregate)
    for c in range(len(hidden)):
        hidden[c] += value * coefficients[c]


@inner
def _leaky(x: float) -> float:
    return 0.01 * x if x < 0 else x
