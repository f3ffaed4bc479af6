"""LGN's levels forward and backward, jet after jet."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiled import njit
from .bilinear_tile import COMPLEX_ROWS
from .lgn import sum_norms, sum_scalars
from .lgn_backward import again, level_backward, norms_backward
from .lgn_gradient_tables import LANES, LevelGradients
from .lgn_gradient_tiles import OUTER_COLUMNS
from .lgn_level import BELL_STRIDE, CHANNEL, Workspace, level_of, stride_of
from .lgn_pair_backward import FALLOFF_STRIDE, GradientSpace
from .lgn_products import NODES
from .lgn_weights import LevelWeights

__all__ = ["backward", "forward", "make_gradient_space"]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]


def make_gradient_space(largest: int, levels: tuple[LevelWeights, ...], work: Workspace) -> GradientSpace:
    """Space for jets of up to so many nodes, whose features `work` has space for."""
    channels = max(int(level.channels[0]) for level in levels)
    falloffs = 2 * max(len(level.falloff) for level in levels) + 1 + OUTER_COLUMNS
    sizes = {
        "features": work.features.size,
        "others": work.features.size,
        "mixed": work.mixed.size + 2 * COMPLEX_ROWS * NODES,
        "plain": work.plain.size,
        "weighted": work.plain.size,
        "moved": work.plain.size,
        "back": work.plain.size,
        "moments": work.plain.size,
        "bells": (largest + COMPLEX_ROWS) * 4 * channels * BELL_STRIDE,
        "falloff": falloffs * FALLOFF_STRIDE,
        "slope": work.activated.size,
        "arriving": work.activated.size,
        "norms": max(1, *(len(level.norms.component) for level in levels)) * 2 * NODES,
    }
    arrays = {name: np.zeros(size) for name, size in sizes.items()}
    return GradientSpace(sizes=np.zeros(FALLOFF_STRIDE, np.float32), **arrays)


@njit
def forward(
    levels: tuple[LevelWeights, ...],
    work: Workspace,
    p4: _F8,
    entering: _F8,
    offsets: _I8,
    places: _I8,
    squares: _F8,
    kept: _F4,
    rows: _I8,
    sums: _F8,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    """Sums over jets `first` to `last` (J, K); sums over pairs go to `kept`, if that is not empty."""
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        stride = stride_of(n)
        _enter(p4, entering, start, n, stride, work.momenta, work.features)
        at = sum_scalars(work.features, entering.shape[1] // 2, n, stride, sums[jet], 0)
        for level in range(len(levels)):
            weights = levels[level]
            before = work.others if level % 2 == 1 else work.features
            found = work.features if level % 2 == 1 else work.others
            kept_at = start * rows[-1] + rows[level] * n
            level_of(weights, squares, places[jet], n, stride, before, found, work, kept, kept_at)
            at = sum_scalars(found, weights.channels[1], n, stride, sums[jet], at)
            at = sum_norms(weights, found, n, stride, work.block, sums[jet], at)


@njit
def _enter(
    p4: _F8, entering: _F8, start: int, n: int, stride: int, momenta: _F8, features: _F8
) -> None:  # pragma: no cover
    """Momenta, and the scalars that the network begins with."""
    for axis in range(4):
        for i in range(stride):
            momenta[2 * axis * stride + i] = p4[start + i, axis] if i < n else 0.0
            momenta[(2 * axis + 1) * stride + i] = 0.0
    for row in range(entering.shape[1]):
        at = (row // 2 * 40 + row % 2) * stride
        for i in range(stride):
            features[at + i] = entering[start + i, row] if i < n else 0.0


@njit
def backward(
    levels: tuple[LevelWeights, ...],
    made: tuple[LevelGradients, ...],
    works: tuple[Workspace, ...],
    features: tuple[_F8, ...],
    space: GradientSpace,
    p4: _F8,
    entering: _F8,
    offsets: _I8,
    places: _I8,
    squares: _F8,
    kept: _F4,
    rows: _I8,
    arriving: _F8,
    bounds: _I8,
    wide: int,
    of_entering: _F8,
    of_weights: _F8,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    """Gradients from those of the sums (J, K), for groups `first` to `last` of jets; `wide`: rows of a perceptron."""
    sums = np.empty(of_weights.shape[1] * LANES)
    for group in range(first, last):
        sums[:] = 0.0
        for jet in range(bounds[group], bounds[group + 1]):
            start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
            if n == 0:
                continue
            stride = stride_of(n)
            step = wide * stride
            _enter(p4, entering, start, n, stride, works[0].momenta, features[0])
            for level in range(len(levels)):
                kept_at = start * rows[-1] + rows[level] * n
                again(levels[level], kept, kept_at, n, stride, features[level], features[level + 1], works[level], step)
            at = arriving.shape[1]
            outer, inner = space.features, space.others
            outer[: levels[-1].channels[1] * CHANNEL * stride] = 0.0
            for level in range(len(levels) - 1, -1, -1):
                weights, channels = levels[level], levels[level].channels[1]
                at -= 2 * channels * len(weights.norms.component)
                norms_backward(weights, made[level], arriving[jet], at, n, stride, features[level + 1], outer, space)
                at -= 2 * channels
                _scalars_backward(arriving[jet], at, channels, n, stride, outer)
                kept_at = start * rows[-1] + rows[level] * n
                level_backward(
                    weights, made[level], squares, places[jet], kept, kept_at, n, stride, features[level],
                    outer, inner, works[level], step, space, sums,
                )  # fmt: skip
                outer, inner = inner, outer
            _scalars_backward(arriving[jet], 0, entering.shape[1] // 2, n, stride, outer)
            for row in range(entering.shape[1]):
                sign = 1.0 if row % 2 == 0 else -1.0
                for i in range(n):
                    of_entering[start + i, row] = sign * outer[(row // 2 * 40 + row % 2) * stride + i]
        for k in range(of_weights.shape[1]):
            total = 0.0
            for lane in range(LANES):
                total += sums[k * LANES + lane]
            of_weights[group, k] = total


@njit
def _scalars_backward(
    arriving: _F8, at: int, channels: int, n: int, stride: int, slope: _F8
) -> None:  # pragma: no cover
    for row in range(2 * channels):
        value = arriving[at + row] if row % 2 == 0 else -arriving[at + row]
        begin = (row // 2 * 40 + row % 2) * stride
        for i in range(n):
            slope[begin + i] += value
