"""Gradients of LGN's bells and of their weights, on one jet, in float32."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, complex_tile
from .adjoint import LevelAdjoint
from .nodes_gradient import GradWorkspace
from .tiles import LANES, NODES, OUTER_COLUMNS, OUTER_ROWS, SINGLES, copy_block, outer_tile
from .weights import LevelWeights
from .workspace import BELL_STRIDE, CHANNEL, WIDE, Workspace, whole_blocks

__all__ = [
    "CHUNK",
    "FALLOFF_STRIDE",
    "BellWorkspace",
    "add_sums",
    "bell_weights_backward",
    "bells_backward",
    "evaluate_falloffs",
    "make_bell_workspace",
    "to_single",
]


#: Senders worked on at once, whole tiles; the distance from one falloff's numbers to the next's.
CHUNK = 5 * COMPLEX_ROWS
FALLOFF_STRIDE = CHUNK * WIDE + 16


class BellWorkspace(NamedTuple):
    """Flat arrays for the largest jet, laid out as those of `Workspace`, in float32; a chunk is `CHUNK` senders."""

    features: F4
    features_p: F4
    grad_f0_sums: F4
    grad_f1_sums: F4
    grad_f1_p_sums: F4
    grad_bells: F4  # [sender][power, channel][Re, Im][receiver], of a chunk
    falloff: F4  # [1 / (1 + c² |p²|), then 1, then d/dc²][sender][receiver], of a chunk
    sizes: F4  # [sender][receiver]: |p²|
    sums: F4  # gradients of the weights of a level's bells, lane by lane


def make_bell_workspace(largest: int, levels: tuple[LevelWeights, ...]) -> BellWorkspace:
    """Space for jets of up to `largest` nodes."""
    stride = _stride_of(largest)
    channels = max(int(level.channels[0]) for level in levels)
    products = max(len(level.times_momentum.component) for level in levels)
    falloffs = 2 * max(len(level.falloff) for level in levels) + 1 + OUTER_COLUMNS
    features = (channels * max(CHANNEL, 2 * products) + 2 * COMPLEX_ROWS) * stride
    sizes = dict.fromkeys(BellWorkspace._fields[:5], features) | {
        "grad_bells": CHUNK * 4 * channels * BELL_STRIDE,
        "falloff": falloffs * FALLOFF_STRIDE,
        "sizes": CHUNK * WIDE,
        "sums": 4 * channels * falloffs * SINGLES,
    }
    return BellWorkspace(**{name: np.zeros(size, np.float32) for name, size in sizes.items()})


@inner
def _stride_of(n: int) -> int:
    """Nodes padded to whole blocks of receivers, and by a cache line."""
    return (n + WIDE - 1) // WIDE * WIDE + 16


@inner
def to_single(
    weights: LevelWeights, n: int, stride: int, x: F8, work: Workspace, grad: GradWorkspace, space: BellWorkspace
) -> None:
    """Features and gradients of sums over pairs, from which gradients of bells follow, in float32; padding is 0."""
    components, products = weights.channels[2], len(weights.times_momentum.component)
    wide = _stride_of(n)
    # one call that copies for all arrays, so that it is compiled once
    for task in range(5):
        if task == 0:
            source, out = x, space.features
        elif task == 1:
            source, out = grad.f0_sums, space.grad_f0_sums
        elif task == 2:
            source, out = grad.f1_sums, space.grad_f1_sums
        elif task == 3:
            source, out = work.features_p, space.features_p
        else:
            source, out = grad.f1_p_sums, space.grad_f1_p_sums
        rows = 2 * (components if task < 3 else products)
        apart = CHANNEL if task < 3 else rows
        for c in range(weights.channels[0]):
            for row in range(rows):
                begin, into = (c * apart + row) * stride, (c * apart + row) * wide
                for i in range(0, n, NODES):
                    copy_block(source, begin + i, out, into + i, False)
                for i in range(into + whole_blocks(n), into + wide):
                    out[i] = np.float32(0.0)


@inner
def evaluate_falloffs(
    falloff: F8, all_sizes: F4, sizes_at: int, n: int, sender: int, first: int, space: BellWorkspace
) -> None:
    """1 / (1 + c² |p²|), 1, and d/dc² of the former, for a chunk of senders and a block of receivers."""
    count, senders, receivers = len(falloff), min(CHUNK, n - sender), min(WIDE, n - first)
    out, sizes = space.falloff, space.sizes
    for j in range(senders):
        at = sizes_at + (sender + j) * n + first
        for i in range(WIDE):
            sizes[j * WIDE + i] = all_sizes[at + i] if i < receivers else np.float32(0.0)
    for q in range(senders * WIDE):
        out[count * FALLOFF_STRIDE + q] = np.float32(1.0)
    for b in range(count):
        factor = np.float32(falloff[b])
        at, grad_at = b * FALLOFF_STRIDE, (count + 1 + b) * FALLOFF_STRIDE
        for q in range(senders * WIDE):
            value = np.float32(1.0) / (np.float32(1.0) + factor * sizes[q])
            out[at + q] = value
            out[grad_at + q] = -sizes[q] * (value * value)


@inner
def bells_backward(weights: LevelWeights, n: int, sender: int, first: int, space: BellWorkspace) -> None:
    """Gradients of the bells of a chunk of senders and a block of receivers."""
    channels, components = weights.channels[0], weights.channels[2]
    products, stride = len(weights.times_momentum.component), _stride_of(n)
    step = 4 * channels * BELL_STRIDE
    for task in range(3):
        x = space.features_p if task == 2 else space.features
        grad = space.grad_f1_p_sums if task == 2 else (space.grad_f1_sums if task == 1 else space.grad_f0_sums)
        depth = products if task == 2 else components
        for c in range(channels):
            begin = c * products * 2 * stride if task == 2 else c * CHANNEL * stride
            row = c + (channels if task > 0 else 0)
            for j in range(0, min(CHUNK, n - sender), COMPLEX_ROWS):
                complex_tile(
                    x, begin + sender + j, 1, 2 * stride, stride, depth, grad, begin + first, 2 * stride, stride,
                    space.grad_bells, j * step + row * 2 * BELL_STRIDE, step, BELL_STRIDE, task == 2,
                )  # fmt: skip


@inner
def bell_weights_backward(
    weights: LevelWeights, adjoint: LevelAdjoint, n: int, sender: int, first: int, space: BellWorkspace, sums: F8
) -> None:
    """Add the products of bells' gradients with falloffs to the sums; i = j has sums of its own."""
    rows, count, senders = 4 * weights.channels[0], len(weights.falloff), min(CHUNK, n - sender)
    _, columns, diagonal = adjoint.bell_sums
    for j in range(senders):
        i = sender + j - first
        if 0 <= i < WIDE:
            for q in range(rows):
                at = (j * rows + q) * BELL_STRIDE + i
                sums[diagonal + q * LANES] += space.grad_bells[at]
                space.grad_bells[at] = 0.0
    for q in range(0, rows, OUTER_ROWS):
        for k in range(0, 2 * count + 1, OUTER_COLUMNS):
            for i in range(0, min(WIDE, n - first), SINGLES):
                outer_tile(
                    space.grad_bells, q * BELL_STRIDE + i, BELL_STRIDE, rows * BELL_STRIDE,
                    space.falloff, k * FALLOFF_STRIDE + i, FALLOFF_STRIDE, WIDE, senders,
                    space.sums, (q * columns + k) * SINGLES, columns * SINGLES,
                )  # fmt: skip


@inner
def add_sums(adjoint: LevelAdjoint, rows: int, space: BellWorkspace, sums: F8) -> None:
    """Add a jet's sums to those of its group, and start over."""
    begin, columns, _ = adjoint.bell_sums
    for k in range(rows * columns):
        for start in range(0, SINGLES, LANES):
            for lane in range(LANES):
                sums[begin + k * LANES + lane] += space.sums[k * SINGLES + start + lane]
    for k in range(len(space.sums)):
        space.sums[k] = np.float32(0.0)
