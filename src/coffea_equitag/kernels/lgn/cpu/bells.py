"""LGN's bells f(p_ij²), and sums over senders weighted by them, on one jet."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, TALL_ROWS, complex_tile, tall_real_tile
from .tiles import NODES, SINGLES
from .weights import LevelWeights
from .workspace import BELL_STRIDE, CHANNEL, SENDERS, WIDE, Workspace

__all__ = ["evaluate_bells", "set_own_bells", "sum_pairs", "weigh_falloffs"]


@inner
def evaluate_bells(weights: LevelWeights, all_sizes: F4, sizes_at: int, n: int, first: int, work: Workspace) -> None:
    """The bells of all senders and a block of receivers; the jet's |p²| begin at a place among those of all."""
    count, receivers = len(weights.falloff), min(WIDE, n - first)
    whole = (receivers + SINGLES - 1) // SINGLES * SINGLES
    falloff, sizes = work.falloff, work.sizes
    for q in range(SENDERS * WIDE):
        falloff[count * SENDERS * WIDE + q] = np.float32(1.0)
    for sender in range(0, n, SENDERS):
        senders = min(SENDERS, n - sender)
        for j in range(senders):
            at = sizes_at + (sender + j) * n + first
            for i in range(whole):
                sizes[j * whole + i] = all_sizes[at + i]
        for b in range(count):
            square = np.float32(weights.falloff[b])
            for q in range(senders * whole):
                falloff[b * SENDERS * WIDE + q] = np.float32(1.0) / (np.float32(1.0) + square * sizes[q])
        weigh_falloffs(weights, falloff, whole, SENDERS * WIDE, n, sender, senders, work.bells)
    set_own_bells(weights, n, first, work.bells)


@inner
def weigh_falloffs(
    weights: LevelWeights, falloff: F4, receivers: int, stride: int, n: int, sender: int, senders: int, bells: F8
) -> None:
    """Bells from falloffs [bell, then 1][sender][receiver], a `stride` from one bell's to the next's."""
    rows, depth = weights.bells.shape
    for j in range(senders):
        for row in range(0, rows, TALL_ROWS):
            for i in range(0, receivers, SINGLES):
                tall_real_tile(
                    weights.bells, row * depth, depth, 1, depth, falloff, j * receivers + i, stride,
                    bells, (row * n + sender + j) * BELL_STRIDE + i, n * BELL_STRIDE, False,
                )  # fmt: skip


@inner
def set_own_bells(weights: LevelWeights, n: int, first: int, bells: F8) -> None:
    """The bells of i = j, for the receivers of a block."""
    rows = 2 * weights.channels[0]
    for i in range(min(WIDE, n - first)):
        for part in range(2):
            for row in range(rows):
                bells[((part * rows + row) * n + first + i) * BELL_STRIDE + i] = weights.diagonal[part, row]


@inner
def sum_pairs(
    weights: LevelWeights,
    n: int,
    stride: int,
    first: int,
    bells: F8,
    x0: F8,
    x1: F8,
    x1_p: F8,
    f0_sums: F8,
    f1_sums: F8,
    f1_p_sums: F8,
    adds: bool,
) -> None:
    """Σ_j f⁰ x⁰_j, Σ_j f¹ x¹_j (`adds` to what is there) and Σ_j f¹ (x¹ ⊗ p)_j, for a block of receivers."""
    channels, components = weights.channels[0], weights.channels[2]
    products = len(weights.times_momentum.component)
    for c in range(channels):
        for i in range(first, min(first + WIDE, n), NODES):
            # one call of the tile for all three sums, so that it is compiled once
            for task in range(3):
                source = x1_p if task == 2 else (x1 if task == 1 else x0)
                into = f1_p_sums if task == 2 else (f1_sums if task == 1 else f0_sums)
                begin = c * products * 2 * stride if task == 2 else c * CHANNEL * stride
                f = (c + (channels if task > 0 else 0)) * n * BELL_STRIDE + i - first
                for row in range(0, products if task == 2 else components, COMPLEX_ROWS):
                    at = begin + row * 2 * stride
                    complex_tile(
                        source, at, 2 * stride, 1, stride, n, bells, f, BELL_STRIDE, 2 * channels * n * BELL_STRIDE,
                        into, at + i, 2 * stride, stride, adds and task == 1,
                    )  # fmt: skip
