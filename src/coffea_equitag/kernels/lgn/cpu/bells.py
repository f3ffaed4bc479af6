"""LGN's bells f(p_ij²), and sums over senders weighted by them, on one jet."""

from __future__ import annotations

import numpy as np

from ....array_types import F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .tiles import NODES
from .weights import LevelWeights
from .workspace import BELL_STRIDE, CHANNEL, SENDERS, WIDE, Workspace

__all__ = ["evaluate_bells", "set_own_bells", "sum_pairs"]


@inner
def evaluate_bells(weights: LevelWeights, squares: F8, squares_at: int, n: int, first: int, work: Workspace) -> None:
    """The bells of all senders and a block of receivers."""
    count, depth = weights.bells.shape[2] - 1, weights.bells.shape[2]
    rows, pairs = weights.bells.shape[1], SENDERS * WIDE
    falloff, sizes = work.falloff, work.sizes
    for q in range(pairs):
        falloff[count * pairs + q] = 1.0
    receivers = min(WIDE, n - first)
    for sender in range(0, n, SENDERS):
        senders = min(SENDERS, n - sender)
        for j in range(senders):
            for i in range(WIDE):
                value = squares[squares_at + (sender + j) * n + first + i] if i < receivers else 0.0
                sizes[j * WIDE + i] = np.float32(abs(value))
        for b in range(count):
            square = np.float32(weights.falloff[b])
            for q in range(senders * WIDE):
                falloff[b * pairs + q] = np.float32(1.0) / (np.float32(1.0) + square * sizes[q])
        for j in range(senders):
            for part in range(2):
                for row in range(0, rows, SMALL_ROWS):
                    for i in range(0, receivers, NODES):
                        small_real_tile(
                            weights.bells, (part * rows + row) * depth, depth, 1, depth,
                            falloff, j * WIDE + i, pairs,
                            work.bells, ((row * n + sender + j) * 2 + part) * BELL_STRIDE + i, n * 2 * BELL_STRIDE,
                            False,
                        )  # fmt: skip
    set_own_bells(weights, n, first, work.bells)


@inner
def set_own_bells(weights: LevelWeights, n: int, first: int, bells: F8) -> None:
    """The bells of i = j, for the receivers of a block."""
    for i in range(min(WIDE, n - first)):
        for row in range(2 * weights.channels[0]):
            for part in range(2):
                bells[((row * n + first + i) * 2 + part) * BELL_STRIDE + i] = weights.diagonal[part, row]


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
                f = (c + (channels if task > 0 else 0)) * n * 2 * BELL_STRIDE + i - first
                for row in range(0, products if task == 2 else components, COMPLEX_ROWS):
                    at = begin + row * 2 * stride
                    complex_tile(
                        source, at, 2 * stride, 1, stride, n, bells, f, 2 * BELL_STRIDE, BELL_STRIDE,
                        into, at + i, 2 * stride, stride, adds and task == 1,
                    )  # fmt: skip
