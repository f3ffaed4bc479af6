"""LGN's readout: scalars and squared norms summed over each jet, and the head."""

from __future__ import annotations

from ....array_types import F4, F8
from ....compiled import inner, njit
from ....layers.saturation import INPUT_BOUND
from .jets import Jets
from .nodes import within
from .tiles import NODES, sum_products
from .weights import LevelWeights
from .workspace import CHANNEL, scalar_at

__all__ = ["classify", "sum_inputs", "sum_norms", "sum_scalars"]


@inner
def sum_scalars(features: F8, channels: int, n: int, stride: int, sums: F8, at: int) -> int:
    """Scalars summed over the jet, from ``sums[at]``; where they end."""
    for row in range(2 * channels):
        begin = scalar_at(row, stride)
        total = 0.0
        for i in range(n):
            total += features[begin + i]
        sums[at + row] = total
    return at + 2 * channels


@inner
def sum_inputs(jets: Jets, features: F8, momenta: F8, n: int, stride: int, sums: F8) -> int:
    """Scalars before the first level, and squares (w p)² of the vectors if there are any, summed over the jet."""
    at = sum_scalars(features, jets.scalars.shape[1] // 2, n, stride, sums, 0)
    total = 0.0
    for i in range(n):
        square = momenta[i] * momenta[i]
        for axis in range(1, 4):
            square -= momenta[2 * axis * stride + i] * momenta[2 * axis * stride + i]
        total += square
    for c in range(len(jets.vectors)):
        re, im = jets.vectors[c, 0], jets.vectors[c, 1]
        sums[at], sums[at + 1] = (re * re - im * im) * total, 2 * re * im * total
        at += 2
    return at


@inner
def sum_norms(weights: LevelWeights, features: F8, n: int, stride: int, block: F8, sums: F8, at: int) -> int:
    """Squared norms of the other tensors summed over the jet, from ``sums[at]``; where they end."""
    table, channels = weights.norms, weights.channels[1]
    for row in range(len(table.component)):
        for c in range(channels):
            re = im = 0.0
            for i in range(0, n, NODES):
                x_at = c * CHANNEL * stride + i
                sum_products(
                    table.terms, row, features, x_at, 2 * stride, stride, features, x_at, 2 * stride, stride,
                    block, 0, NODES, False,
                )  # fmt: skip
                for lane in range(min(NODES, n - i)):
                    re += block[lane]
                    im += block[NODES + lane]
            sums[at], sums[at + 1] = re, im
            at += 2
    return at


@njit
def classify(weight: F8, bias: F8, sums: F8, logits: F4) -> None:
    """The head, the terms of each jet's logits added in one order: a matrix product's may depend on the batch."""
    for jet in range(len(sums)):
        for k in range(len(weight)):
            total = bias[k]
            for s in range(sums.shape[1]):
                total += weight[k, s] * within(sums[jet, s], INPUT_BOUND)
            logits[jet, k] = total
