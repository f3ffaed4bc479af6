"""Backward pass of LGN's levels, jet after jet, from what forward kept of nodes.

Bells are symmetric in the two nodes, so that gradients of features are the same sums over pairs as in the forward
pass, with gradients in the place of features.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiled import njit
from .bilinear_tile import COMPLEX_ROWS
from .lgn_forward import sums_kept
from .lgn_gradient_tables import LANES, LevelGradients
from .lgn_gradient_tiles import OUTER_COLUMNS
from .lgn_node_backward import (
    features_backward,
    mixing_backward,
    norms_backward,
    perceptron_backward,
    scalars_backward,
    sources_backward,
)
from .lgn_nodes import enter, perceive, recall, recall_features, square
from .lgn_pair_backward import FALLOFF_STRIDE, GradientSpace, bells_backward, falloffs_backward
from .lgn_pairs import moments_of, pair_sums, ring
from .lgn_products import NODES
from .lgn_weights import LevelWeights
from .lgn_workspace import BELL_STRIDE, CHANNEL, WIDE, Workspace, stride_of

__all__ = ["backward", "make_gradient_space"]

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
            enter(p4, entering, start, n, stride, works[0].momenta, features[0])
            for level in range(len(levels)):
                kept_at = start * rows[-1] + rows[level] * n
                weights = levels[level]
                recall_features(
                    weights.channels[1], weights.channels[3], features[level + 1], n, stride,
                    kept, kept_at + sums_kept(weights) * n,
                )  # fmt: skip
                perceive(weights, features[level + 1], n, stride, works[level], step)
            at = arriving.shape[1]
            outer, inner = space.features, space.others
            outer[: levels[-1].channels[1] * CHANNEL * stride] = 0.0
            for level in range(len(levels) - 1, -1, -1):
                weights, work, x, channels = levels[level], works[level], features[level], levels[level].channels[1]
                at -= 2 * channels * len(weights.norms.component)
                norms_backward(weights, made[level], arriving[jet], at, n, stride, features[level + 1], outer, space)
                at -= 2 * channels
                scalars_backward(arriving[jet], at, channels, n, stride, outer)
                kept_at = start * rows[-1] + rows[level] * n
                perceptron_backward(weights, made[level], n, stride, outer, work, step, space, sums)
                for i in range(0, n, NODES):
                    recall(weights, kept, kept_at, n, stride, x, i, work)
                    square(weights, x, stride, i, work)
                    mixing_backward(weights, made[level], stride, outer, i, work.mixed, space.mixed, sums)
                    sources_backward(weights, made[level], stride, x, inner, i, work.momenta, space)
                moments_of(weights, x, n, stride, work)
                for i in range(0, n, WIDE):
                    ring(weights, squares, places[jet], n, i, work)
                    pair_sums(
                        weights, n, stride, i, work.bells, space.plain, space.weighted, space.moved,
                        space.back, space.back, space.moments, True,
                    )  # fmt: skip
                    bells_backward(weights, n, stride, i, min(WIDE, n - i), x, work.moments, space)
                    falloffs_backward(weights, made[level], squares, places[jet], n, i, min(WIDE, n - i), space, sums)
                features_backward(weights, made[level], n, stride, work.momenta, inner, space)
                outer, inner = inner, outer
            scalars_backward(arriving[jet], 0, entering.shape[1] // 2, n, stride, outer)
            for row in range(entering.shape[1]):
                sign = 1.0 if row % 2 == 0 else -1.0
                for i in range(n):
                    of_entering[start + i, row] = sign * outer[(row // 2 * 40 + row % 2) * stride + i]
        for k in range(of_weights.shape[1]):
            total = 0.0
            for lane in range(LANES):
                total += sums[k * LANES + lane]
            of_weights[group, k] = total
