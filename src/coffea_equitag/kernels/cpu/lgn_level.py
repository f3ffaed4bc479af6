"""One level of LGN on one jet, in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...compiled import njit
from .bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .lgn_products import NODES, sum_of_products
from .lgn_weights import LevelWeights

__all__ = [
    "BELL_STRIDE",
    "CHANNEL",
    "SENDERS",
    "WIDE",
    "Workspace",
    "level_of",
    "make_workspace",
    "mix",
    "moments_of",
    "perceive",
    "ring",
    "square",
    "stride_of",
]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]

#: Receivers whose bells are worked out at once, and the numbers from one sender's to the next's.
WIDE = 2 * NODES
BELL_STRIDE = WIDE + 8
#: Senders whose bells are worked out at once.
SENDERS = 8
#: Numbers a channel takes, in units of nodes: 20 components, real and imaginary.
CHANNEL = 40


class Workspace(NamedTuple):
    """Flat arrays for the largest jet; all [channel][component][Re, Im][node] but where said."""

    momenta: _F8  # no channels
    features: _F8
    others: _F8  # what a level makes of `features`, and the next of these
    moments: _F8  # features times momentum
    plain: _F8  # Σ_j f⁰ F_j
    weighted: _F8  # Σ_j f¹ F_j
    moved: _F8  # Σ_j f¹ F_j ⊗ p_j
    falloff: _F8  # [bell][sender][receiver]: 1 / (1 + c² |p²|)
    sizes: _F4  # [sender][receiver]: |p²|
    bells: _F8  # [power][channel][sender][Re, Im][receiver]
    mixed: _F8  # [component][block][channel][Re, Im][node], of one block of nodes
    hidden: _F8  # [channel][node]
    activated: _F8
    block: _F8  # one complex number a node of a block


def make_workspace(largest: int, levels: tuple[LevelWeights, ...]) -> Workspace:
    """Space for jets of up to so many nodes."""
    stride = stride_of(largest)
    channels = max(int(level.channels[:2].max()) for level in levels)
    rows = channels + COMPLEX_ROWS
    wide = max(int(level.layers[:, 1:].max()) for level in levels) + SMALL_ROWS
    blocks = max(int(level.channels[0] * level.channels[4]) for level in levels)
    products = max(len(level.moments.component) for level in levels)
    moments = (channels * max(CHANNEL, 2 * products) + 2 * SMALL_ROWS) * stride
    sizes = {
        "momenta": 8 * stride,
        "features": rows * CHANNEL * stride,
        "others": rows * CHANNEL * stride,
        "moments": moments,
        "plain": moments,
        "weighted": moments,
        "moved": moments,
        "falloff": max(level.bells.shape[2] for level in levels) * SENDERS * WIDE,
        "bells": max(level.bells.shape[1] for level in levels) * largest * 2 * BELL_STRIDE,
        "mixed": 20 * blocks * 2 * NODES,
        "hidden": wide * stride,
        "activated": wide * stride,
        "block": 2 * NODES,
    }
    arrays = {name: np.zeros(size) for name, size in sizes.items()}
    return Workspace(sizes=np.zeros(SENDERS * WIDE, np.float32), **arrays)


@njit
def stride_of(n: int) -> int:  # pragma: no cover
    """Nodes padded to whole blocks, and by a cache line so that rows fall on different cache sets."""
    return (n + NODES - 1) // NODES * NODES + 8


@njit
def level_of(
    weights: LevelWeights,
    squares: _F8,
    squares_at: int,
    n: int,
    stride: int,
    x: _F8,
    out: _F8,
    work: Workspace,
    kept: _F4,
    kept_at: int,
) -> None:  # pragma: no cover
    """From x to `out`; the squares (p_i − p_j)² of the jet begin at `squares_at`.

    Sums over pairs are written to `kept` (from `kept_at`), if that is not empty.
    """
    moments_of(weights, x, n, stride, work)
    for first in range(0, n, WIDE):
        ring(weights, squares, squares_at, n, first, work)
        _over_pairs(weights, x, n, stride, first, work)
    blocks = weights.channels[4]
    for first in range(0, n, NODES):
        _gather(weights, blocks, x, stride, first, work)
        if len(kept) > 0:
            _keep(weights, work.mixed, n, first, kept, kept_at)
        square(weights, x, stride, first, work)
        mix(weights, work.mixed, out, stride, first)
    perceive(weights, out, n, stride, work, 0)


@njit
def square(weights: LevelWeights, x: _F8, stride: int, first: int, work: Workspace) -> None:  # pragma: no cover
    """Squares of a block of nodes, among what the mixing sees."""
    blocks, channels = weights.channels[4], weights.channels[0]
    table, step = weights.squares, blocks * channels * 2 * NODES
    for c in range(channels):
        at = c * CHANNEL * stride + first
        for row in range(len(table.component)):
            sum_of_products(
                table.left, table.right, table.factor, table.first[row], table.first[row + 1],
                x, at, x, at, 2 * stride, stride,
                work.mixed, table.component[row] * step + (table.block[row] * channels + c) * 2 * NODES, NODES,
                work.moved, 0, False,
            )  # fmt: skip


@njit
def moments_of(weights: LevelWeights, x: _F8, n: int, stride: int, work: Workspace) -> None:  # pragma: no cover
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


@njit
def ring(
    weights: LevelWeights, squares: _F8, squares_at: int, n: int, first: int, work: Workspace
) -> None:  # pragma: no cover
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


@njit
def _over_pairs(
    weights: LevelWeights, x: _F8, n: int, stride: int, first: int, work: Workspace
) -> None:  # pragma: no cover
    """Σ_j f⁰ F_j, Σ_j f¹ F_j and Σ_j f¹ F_j ⊗ p_j of some receivers."""
    channels, components = weights.channels[0], weights.channels[2]
    products = len(weights.moments.component)
    for c in range(channels):
        for i in range(first, min(first + WIDE, n), NODES):
            for task in range(3):
                source = work.moments if task == 2 else x
                into = work.moved if task == 2 else (work.weighted if task == 1 else work.plain)
                begin = c * products * 2 * stride if task == 2 else c * CHANNEL * stride
                f = (c + (channels if task > 0 else 0)) * n * 2 * BELL_STRIDE + i - first
                for row in range(0, products if task == 2 else components, COMPLEX_ROWS):
                    at = begin + row * 2 * stride
                    complex_tile(
                        source, at, 2 * stride, 1, stride, n, work.bells, f, 2 * BELL_STRIDE, BELL_STRIDE,
                        into, at + i, 2 * stride, stride, False,
                    )  # fmt: skip


@njit
def _gather(
    weights: LevelWeights, blocks: int, x: _F8, stride: int, first: int, work: Workspace
) -> None:  # pragma: no cover
    """What the mixing of a block of nodes sees."""
    channels, components = weights.channels[0], weights.channels[2]
    products = len(weights.moments.component)
    step = blocks * channels * 2 * NODES
    for c in range(channels):
        for d in range(components):
            at, place = (c * 20 + d) * 2 * stride + first, d * step + c * 2 * NODES
            for part in range(2):
                for lane in range(NODES):
                    source, into = at + part * stride + lane, place + part * NODES + lane
                    work.mixed[into] = work.plain[source]
                    work.mixed[into + channels * 2 * NODES] = x[source]
        table = weights.moments
        for row in range(products):
            into = table.component[row] * step + (table.block[row] * channels + c) * 2 * NODES
            sum_of_products(
                table.left, table.right, table.factor, table.first[row], table.first[row + 1],
                work.weighted, c * CHANNEL * stride + first, work.momenta, first, 2 * stride, stride,
                work.mixed, into, NODES, work.moved, (c * products + row) * 2 * stride + first, True,
            )  # fmt: skip


@njit
def _keep(weights: LevelWeights, mixed: _F8, n: int, first: int, kept: _F4, at: int) -> None:  # pragma: no cover
    """Sums over pairs, as [channel][component, then moment][Re, Im][node]."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    table = weights.moments
    for c in range(channels):
        for row in range(components + len(table.component)):
            component = row if row < components else table.component[row - components]
            block = 0 if row < components else table.block[row - components]
            place = ((component * blocks + block) * channels + c) * 2 * NODES
            for part in range(2):
                into = at + part * n + first
                for lane in range(min(NODES, n - first)):
                    kept[into + lane] = mixed[place + part * NODES + lane]
            at += 2 * n


@njit
def mix(weights: LevelWeights, mixed: _F8, out: _F8, stride: int, first: int) -> None:  # pragma: no cover
    """The mixing of a block of nodes."""
    channels, blocks = weights.channels[0], weights.channels[4]
    rows = (weights.channels[1] + COMPLEX_ROWS - 1) // COMPLEX_ROWS * COMPLEX_ROWS
    before = -1
    for term in range(len(weights.places)):
        component, source, block, depth, start = weights.places[term]
        for row in range(0, rows, COMPLEX_ROWS):
            complex_tile(
                weights.mixing, start + row * depth, depth, 1, rows * depth, depth,
                mixed, (source * blocks + block) * channels * 2 * NODES, 2 * NODES, NODES,
                out, (row * 20 + component) * 2 * stride + first, CHANNEL * stride, stride, component == before,
            )  # fmt: skip
        before = component


@njit
def perceive(
    weights: LevelWeights, out: _F8, n: int, stride: int, work: Workspace, step: int
) -> None:  # pragma: no cover
    """The perceptron on the scalars; what a layer sees begins `step` numbers after what the one before saw."""
    seen, made, at = work.hidden, work.activated, 0
    width = 2 * weights.channels[1]
    for k in range(width):
        for i in range(stride):
            seen[k * stride + i] = out[(k // 2 * 40 + k % 2) * stride + i]
    for layer in range(len(weights.layers)):
        start, outputs, depth = weights.layers[layer]
        for i in range(stride):
            seen[at + (depth - 1) * stride + i] = 1.0
        for row in range(0, outputs, SMALL_ROWS):
            for i in range(0, n, NODES):
                small_real_tile(
                    weights.perceptron, start + row * depth, depth, 1, depth,
                    seen, at + i, stride, made, row * stride + i, stride, False,
                )  # fmt: skip
        if layer < len(weights.layers) - 1:
            at += step
            for q in range(outputs * stride):
                value = made[q]
                seen[at + q] = 0.01 * value if value < 0 else value
    for k in range(width):
        for i in range(stride):
            out[(k // 2 * 40 + k % 2) * stride + i] = made[k * stride + i]
