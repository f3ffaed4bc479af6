"""Backward pass of LGN's sums over pairs, on one jet, in float64; gradients are carried as complex conjugates.

Bells are symmetric in the two nodes, so that gradients of features are the same sums with gradients in their place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...compiled import njit
from .bilinear_tile import COMPLEX_ROWS, complex_tile
from .lgn_gradient_tables import LANES, LevelGradients
from .lgn_gradient_tiles import OUTER_COLUMNS, OUTER_ROWS, outer_tile
from .lgn_products import NODES
from .lgn_weights import LevelWeights
from .lgn_workspace import BELL_STRIDE, CHANNEL, WIDE

__all__ = ["FALLOFF_STRIDE", "GradientSpace", "bells_backward", "falloffs_backward"]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]

#: Senders whose falloffs are worked out at once, and the numbers from one falloff's to the next's.
_SENDERS = 16
FALLOFF_STRIDE = _SENDERS * WIDE + 8


class GradientSpace(NamedTuple):
    """Flat arrays for the largest jet, laid out as those of `Workspace`, of gradients."""

    features: _F8
    others: _F8
    mixed: _F8
    plain: _F8
    weighted: _F8
    moved: _F8
    back: _F8  # of the features, from sums over pairs
    moments: _F8
    bells: _F8  # [sender][power, channel, (Re, Im)][receiver]
    falloff: _F8  # [falloffs, 1, derivatives][sender][receiver]
    sizes: _F4  # [sender][receiver]
    slope: _F8  # [channel][node]
    arriving: _F8
    norms: _F8  # [norm][Re, Im][node], of one block of nodes


@njit
def bells_backward(
    weights: LevelWeights, n: int, stride: int, first: int, receivers: int, x: _F8, moments: _F8, space: GradientSpace
) -> None:  # pragma: no cover
    """Gradients of the bells of all senders and some receivers."""
    channels, components = weights.channels[0], weights.channels[2]
    products = len(weights.moments.component)
    step = 4 * channels * BELL_STRIDE
    for task in range(3):
        source = moments if task == 2 else x
        slope = space.moved if task == 2 else (space.weighted if task == 1 else space.plain)
        depth = products if task == 2 else components
        for c in range(channels):
            begin = c * products * 2 * stride if task == 2 else c * CHANNEL * stride
            row = c + (channels if task > 0 else 0)
            for sender in range(0, n, COMPLEX_ROWS):
                for i in range(0, receivers, NODES):
                    complex_tile(
                        source, begin + sender, 1, 2 * stride, stride, depth, slope, begin + first + i, 2 * stride,
                        stride, space.bells, sender * step + row * 2 * BELL_STRIDE + i, step, BELL_STRIDE, task == 2,
                    )  # fmt: skip


@njit
def falloffs_backward(
    weights: LevelWeights,
    made: LevelGradients,
    squares: _F8,
    squares_at: int,
    n: int,
    first: int,
    receivers: int,
    space: GradientSpace,
    sums: _F8,
) -> None:  # pragma: no cover
    """Add their products with what bells are made of to the sums."""
    rows, count = 4 * weights.channels[0], len(weights.falloff)
    begin, columns, diagonal = made.bells
    slope, falloff, sizes = space.bells, space.falloff, space.sizes
    for i in range(receivers):
        for q in range(rows):
            at = ((first + i) * rows + q) * BELL_STRIDE + i
            sums[diagonal + q * LANES] += slope[at]
            slope[at] = 0.0
    for sender in range(0, n, _SENDERS):
        senders = min(_SENDERS, n - sender)
        for j in range(senders):
            for i in range(WIDE):
                value = squares[squares_at + (sender + j) * n + first + i] if i < receivers else 0.0
                sizes[j * WIDE + i] = np.float32(abs(value))
        for q in range(senders * WIDE):
            falloff[count * FALLOFF_STRIDE + q] = 1.0
        for b in range(count):
            factor = np.float32(weights.falloff[b])
            at, of_slope = b * FALLOFF_STRIDE, (count + 1 + b) * FALLOFF_STRIDE
            for q in range(senders * WIDE):
                value = np.float32(1.0) / (np.float32(1.0) + factor * sizes[q])
                falloff[at + q] = value
                falloff[of_slope + q] = -sizes[q] * (value * value)
        for q in range(0, rows, OUTER_ROWS):
            for k in range(0, 2 * count + 1, OUTER_COLUMNS):
                for i in range(0, receivers, LANES):
                    outer_tile(
                        slope, (sender * rows + q) * BELL_STRIDE + i, BELL_STRIDE, rows * BELL_STRIDE,
                        falloff, k * FALLOFF_STRIDE + i, FALLOFF_STRIDE, WIDE, senders,
                        sums, begin + (q * columns + k) * LANES, columns * LANES,
                    )  # fmt: skip
