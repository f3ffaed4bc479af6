"""What follows ParticleNet's convolutions: the fusion block, if there is one, the mean over a jet, the classifier."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from ...common.cpu.wide_dense import LINEAR, MARGIN, RELU, layer
from .weights import FusionWeights, HeadWeights

__all__ = ["average", "classify", "fused_average"]


@njit
def average(x: F4, offsets: I8, first: int, last: int) -> F4:
    """Means over the constituents of jets ``first:last``, and a margin of rows; 0 of an empty jet."""
    mean = np.zeros((last - first + MARGIN, x.shape[1]), np.float32)
    for jet in range(first, last):
        _add_mean(x, offsets[jet], offsets[jet + 1] - offsets[jet], mean[jet - first])
    return mean


@njit
def fused_average(fusion: FusionWeights, found: tuple[F4, ...], offsets: I8, first: int, last: int) -> F4:
    """The same of the fusion block's outputs; `found` are those of the convolutions."""
    largest, depth, width = 1, fusion.weight.shape[1], len(fusion.bias)
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    rows, out = np.zeros((largest + MARGIN, depth), np.float32), np.empty((largest + MARGIN, width), np.float32)
    mean = np.zeros((last - first + MARGIN, width), np.float32)
    for jet in range(first, last):
        start, n, at = offsets[jet], offsets[jet + 1] - offsets[jet], 0
        for level in range(len(found)):
            for i in range(n):
                for c in range(fusion.inputs[level]):
                    rows[i, at + c] = found[level][start + i, c]
            at += fusion.inputs[level]
        layer(rows, 0, depth, fusion.weight, fusion.bias, RELU, out, 0, n)
        _add_mean(out, 0, n, mean[jet - first])
    return mean


@njit
def classify(head: HeadWeights, mean: F4, logits: F4, first: int, last: int) -> None:
    """Write the logits of jets ``first:last`` from what `average` or `fused_average` gives."""
    here = mean
    for level in range(len(head.weight)):
        floor = RELU if level < len(head.weight) - 1 else LINEAR
        there = np.zeros((len(mean), len(head.bias[level])), np.float32)
        layer(here, 0, head.inputs[level], head.weight[level], head.bias[level], floor, there, 0, last - first)
        here = there
    for jet in range(first, last):
        for c in range(logits.shape[1]):
            logits[jet, c] = here[jet - first, c]


@inner
def _add_mean(x: F4, start: int, n: int, mean: F4) -> None:
    for i in range(n):
        for c in range(len(mean)):
            mean[c] += x[start + i, c]
    for c in range(len(mean)):
        mean[c] /= np.float32(max(n, 1))
