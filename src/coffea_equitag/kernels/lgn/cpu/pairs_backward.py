"""Gradients of LGN's bells, and what they bring to those of weights, on one jet, in float32."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.bilinear_registers import lanes_of
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .gradient_tables import LANES, LevelGradients
from .gradient_tiles import OUTER_COLUMNS, OUTER_ROWS, outer_tile
from .products import NODES, copy_block
from .weights import LevelWeights
from .workspace import BELL_STRIDE, CHANNEL, WIDE

__all__ = [
    "CHUNK",
    "PairSpace",
    "add_sums",
    "bells_backward",
    "bells_of",
    "copy_rows",
    "falloffs_of",
    "make_pair_space",
    "set_own_bells",
    "weights_backward",
    "wide_stride_of",
]


#: Senders worked on at once, whole tiles; the numbers from one falloff's to the next's; lanes of a vector.
CHUNK = 5 * COMPLEX_ROWS
_FALLOFF_STRIDE = CHUNK * WIDE + 16
_SINGLES = lanes_of(4)


class PairSpace(NamedTuple):
    """Flat arrays for the largest jet, laid out as those of `Workspace`, in float32."""

    x: F4
    moments: F4
    plain: F4  # gradients
    weighted: F4
    moved: F4
    bells: F4  # [power, channel][sender][Re, Im][receiver], of a chunk
    slope: F4  # their gradients: [sender][power, channel][Re, Im][receiver], of a chunk
    falloff: F4  # [falloffs, 1, derivatives][sender][receiver], of a chunk
    sizes: F4  # [sender][receiver]
    sums: F4  # of a level's bells, lane by lane


def make_pair_space(largest: int, levels: tuple[LevelWeights, ...]) -> PairSpace:
    """Space for jets of up to so many nodes."""
    stride = wide_stride_of(largest)
    channels = max(int(level.channels[0]) for level in levels)
    products = max(len(level.moments.component) for level in levels)
    falloffs = 2 * max(len(level.falloff) for level in levels) + 1 + OUTER_COLUMNS
    features = (channels * max(CHANNEL, 2 * products) + 2 * COMPLEX_ROWS) * stride
    bells = max(level.bells.shape[1] for level in levels)
    sizes = dict.fromkeys(PairSpace._fields[:5], features) | {
        "bells": (bells + SMALL_ROWS) * CHUNK * 2 * BELL_STRIDE,
        "slope": CHUNK * 4 * channels * BELL_STRIDE,
        "falloff": falloffs * _FALLOFF_STRIDE,
        "sizes": CHUNK * WIDE,
        "sums": 4 * channels * falloffs * _SINGLES,
    }
    return PairSpace(**{name: np.zeros(size, np.float32) for name, size in sizes.items()})


@inner
def wide_stride_of(n: int) -> int:
    """Nodes padded to whole blocks of receivers, and by a cache line."""
    return (n + WIDE - 1) // WIDE * WIDE + 16


@inner
def copy_rows(
    source: Any, source_at: int, source_stride: int, out: Any, out_at: int, stride: int, rows: int, n: int
) -> None:
    """Numbers of nodes from one array to another of its own precision."""
    for row in range(rows):
        for i in range(0, n, NODES):
            copy_block(source, source_at + row * source_stride + i, out, out_at + row * stride + i, False)


@inner
def falloffs_of(falloff: F8, squares: F8, squares_at: int, n: int, sender: int, first: int, space: PairSpace) -> None:
    """What bells are made of, for a chunk of senders and a block of receivers: 1 / (1 + c² |p²|), 1, d/dc²."""
    count, senders, receivers = len(falloff), min(CHUNK, n - sender), min(WIDE, n - first)
    out, sizes = space.falloff, space.sizes
    for j in range(senders):
        for i in range(WIDE):
            value = squares[squares_at + (sender + j) * n + first + i] if i < receivers else 0.0
            sizes[j * WIDE + i] = np.float32(abs(value))
    for q in range(senders * WIDE):
        out[count * _FALLOFF_STRIDE + q] = np.float32(1.0)
    for b in range(count):
        factor = np.float32(falloff[b])
        at, of_slope = b * _FALLOFF_STRIDE, (count + 1 + b) * _FALLOFF_STRIDE
        for q in range(senders * WIDE):
            value = np.float32(1.0) / (np.float32(1.0) + factor * sizes[q])
            out[at + q] = value
            out[of_slope + q] = -sizes[q] * (value * value)


@inner
def bells_of(weights: LevelWeights, made: LevelGradients, n: int, sender: int, space: PairSpace, bells: F8) -> None:
    """Bells of a chunk of senders and a block of receivers, among those of all senders."""
    rows, depth, step = made.bell_rows.shape[1], made.bell_rows.shape[2], 2 * BELL_STRIDE
    for j in range(min(CHUNK, n - sender)):
        for part in range(2):
            for row in range(0, rows, SMALL_ROWS):
                small_real_tile(
                    made.bell_rows, (part * rows + row) * depth, depth, 1, depth,
                    space.falloff, j * WIDE, _FALLOFF_STRIDE,
                    space.bells, (row * CHUNK + j) * step + part * BELL_STRIDE, CHUNK * step, False,
                )  # fmt: skip
            for row in range(2 * weights.channels[0]):
                at, into = (row * CHUNK + j) * step + part * BELL_STRIDE, (row * n + sender + j) * step
                for i in range(0, WIDE, NODES):
                    copy_block(space.bells, at + i, bells, into + part * BELL_STRIDE + i, False)


@inner
def set_own_bells(weights: LevelWeights, n: int, first: int, bells: F8) -> None:
    """What the receivers of a block see of themselves."""
    for i in range(min(WIDE, n - first)):
        for row in range(2 * weights.channels[0]):
            for part in range(2):
                bells[((row * n + first + i) * 2 + part) * BELL_STRIDE + i] = weights.diagonal[part, row]


@inner
def bells_backward(weights: LevelWeights, n: int, stride: int, sender: int, first: int, space: PairSpace) -> None:
    """Gradients of the bells of a chunk of senders and a block of receivers."""
    channels, components = weights.channels[0], weights.channels[2]
    products = len(weights.moments.component)
    step = 4 * channels * BELL_STRIDE
    for task in range(3):
        source = space.moments if task == 2 else space.x
        slope = space.moved if task == 2 else (space.weighted if task == 1 else space.plain)
        depth = products if task == 2 else components
        for c in range(channels):
            begin = c * products * 2 * stride if task == 2 else c * CHANNEL * stride
            row = c + (channels if task > 0 else 0)
            for j in range(0, min(CHUNK, n - sender), COMPLEX_ROWS):
                complex_tile(
                    source, begin + sender + j, 1, 2 * stride, stride, depth, slope, begin + first, 2 * stride, stride,
                    space.slope, j * step + row * 2 * BELL_STRIDE, step, BELL_STRIDE, task == 2,
                )  # fmt: skip


@inner
def weights_backward(
    weights: LevelWeights, made: LevelGradients, n: int, sender: int, first: int, space: PairSpace, sums: F8
) -> None:
    """Add the products of bells' gradients with what bells are made of to sums; i = j has sums of its own."""
    rows, count, senders = 4 * weights.channels[0], len(weights.falloff), min(CHUNK, n - sender)
    _, columns, diagonal = made.bells
    for j in range(senders):
        i = sender + j - first
        if 0 <= i < WIDE:
            for q in range(rows):
                at = (j * rows + q) * BELL_STRIDE + i
                sums[diagonal + q * LANES] += space.slope[at]
                space.slope[at] = 0.0
    for q in range(0, rows, OUTER_ROWS):
        for k in range(0, 2 * count + 1, OUTER_COLUMNS):
            for i in range(0, min(WIDE, n - first), _SINGLES):
                outer_tile(
                    space.slope, q * BELL_STRIDE + i, BELL_STRIDE, rows * BELL_STRIDE,
                    space.falloff, k * _FALLOFF_STRIDE + i, _FALLOFF_STRIDE, WIDE, senders,
                    space.sums, (q * columns + k) * _SINGLES, columns * _SINGLES,
                )  # fmt: skip


@inner
def add_sums(made: LevelGradients, rows: int, space: PairSpace, sums: F8) -> None:
    """Add a jet's sums to those of its group, and begin anew."""
    begin, columns, _ = made.bells
    for k in range(rows * columns):
        for start in range(0, _SINGLES, LANES):
            for lane in range(LANES):
                sums[begin + k * LANES + lane] += space.sums[k * _SINGLES + start + lane]
    for k in range(len(space.sums)):
        space.sums[k] = np.float32(0.0)
