"""LGN's bells, and sums over pairs with them, on one jet."""

from __future__ import annotations

import numpy as np

from ....array_types import F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .products import NODES, sum_of_products
from .weights import LevelWeights
from .workspace import BELL_STRIDE, CHANNEL, SENDERS, WIDE, Workspace

__all__ = ["moments_of", "pair_sums", "ring"]


@inner
def moments_of(weights: LevelWeights, x: F8, n: int, stride: int, work: Workspace) -> None:
    """Features times momentum."""
    table, channels = weights.moments, weights.channels[0]
    products = len(table.component)
    for c in range(channels):
        for row in range(products):
            for i in range(0, n, NODES):
                sum_of_products(
                    table.left, table.right, table.factor, table.first[row], table.first[row + 1],
                    x, c * CHANNEL * stride + i, work.momenta, i, 2 * stride, stride,
                    work.moments, (c * products + row) * 2 * stride + i, stride, work.moments, 0, False,
                )  # fmt: skip


@inner
def ring(weights: LevelWeights, squares: F8, squares_at: int, n: int, first: int, work: Workspace) -> None:
    """The bells of all senders and some receivers."""
    count, depth = weights.bells.shape[2] - 1, weights.bells.shape[2]
    rows, used = weights.bells.shape[1], 2 * weights.channels[0]
    pairs = SENDERS * WIDE
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
    for i in range(receivers):
        for row in range(used):
            for part in range(2):
                at = ((row * n + first + i) * 2 + part) * BELL_STRIDE + i
                work.bells[at] = weights.diagonal[part, row]


@inner
def pair_sums(
    weights: LevelWeights,
    n: int,
    stride: int,
    first: int,
    bells: F8,
    x: F8,
    x_weighted: F8,
    moments: F8,
    plain: F8,
    weighted: F8,
    moved: F8,
    adds: bool,
) -> None:
    """Σ_j f⁰ x_j to `plain`, Σ_j f¹ x_j to `weighted` (if `adds`, added) and Σ_j f¹ m_j to `moved`; some receivers."""
    channels, components = weights.channels[0], weights.channels[2]
    products = len(weights.moments.component)
    for c in range(channels):
        for i in range(first, min(first + WIDE, n), NODES):
            for task in range(3):
                source = moments if task == 2 else (x_weighted if task == 1 else x)
                into = moved if task == 2 else (weighted if task == 1 else plain)
                begin = c * products * 2 * stride if task == 2 else c * CHANNEL * stride
                f = (c + (channels if task > 0 else 0)) * n * 2 * BELL_STRIDE + i - first
                for row in range(0, products if task == 2 else components, COMPLEX_ROWS):
                    at = begin + row * 2 * stride
                    complex_tile(
                        source, at, 2 * stride, 1, stride, n, bells, f, 2 * BELL_STRIDE, BELL_STRIDE,
                        into, at + i, 2 * stride, stride, adds and task == 1,
                    )  # fmt: skip
