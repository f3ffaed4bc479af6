"""Backward pass of LGN's levels, jet after jet, from what forward kept of nodes.

Bells are symmetric in the two nodes, so that gradients of features are the same sums over pairs as in the forward
pass, with gradients in the place of features. What passes from level to level is in float64, gradients of bells, which
end in those of a level's weights, in float32.
"""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from .forward import sums_kept
from .gradient_tables import LANES, LevelGradients
from .nodes_backward import (
    GradientSpace,
    features_backward,
    mixing_backward,
    norms_backward,
    perceptron_backward,
    scalars_backward,
    sources_backward,
)
from .nodes_forward import enter, perceive, recall, recall_features, square, whole_blocks
from .pairs_backward import (
    CHUNK,
    PairSpace,
    add_sums,
    bells_backward,
    bells_of,
    copy_rows,
    falloffs_of,
    set_own_bells,
    weights_backward,
    wide_stride_of,
)
from .pairs_forward import moments_of, pair_sums
from .products import NODES
from .stacked import member
from .weights import LevelWeights
from .workspace import CHANNEL, WIDE, Workspace, stride_of

__all__ = ["backward"]


@njit
def backward(
    level_0: LevelWeights,
    levels: I8,
    made_0: LevelGradients,
    made: I8,
    work: Workspace,
    features: tuple[F8, ...],
    space: GradientSpace,
    pairs: PairSpace,
    p4: F8,
    entering: F8,
    offsets: I8,
    places: I8,
    squares: F8,
    kept: F4,
    kept_from: I8,
    rows: I8,
    arriving: F8,
    bounds: I8,
    layers: int,
    layer_rows: int,
    of_entering: F8,
    of_weights: F8,
    first: int,
    last: int,
) -> None:
    """Gradients from those of the sums (J, K), for groups `first` to `last` of jets.

    `levels` and `made` are each the `table_of` all. Perceptrons have space for so many layers, and rows of nodes a
    layer.
    """
    sums = np.empty(of_weights.shape[1] * LANES)
    for group in range(first, last):
        for k in range(len(sums)):
            sums[k] = 0.0
        for jet in range(bounds[group], bounds[group + 1]):
            start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
            if n == 0:
                continue
            stride = stride_of(n)
            step, wide = layer_rows * stride, wide_stride_of(n)
            enter(p4, entering, start, n, stride, work.momenta, features[0])
            for level in range(len(levels)):
                kept_at = kept_from[jet] * rows[-1] + rows[level] * whole_blocks(n)
                weights = member(level_0, levels, level)
                recall_features(
                    weights.channels[1], weights.channels[3], features[level + 1], n, stride,
                    kept, kept_at + sums_kept(weights) * whole_blocks(n),
                )  # fmt: skip
                perceive(weights, features[level + 1], n, stride, work, level * layers * step, step)
            at = arriving.shape[1]
            outer, inner = space.features, space.others
            for k in range(member(level_0, levels, len(levels) - 1).channels[1] * CHANNEL * stride):
                outer[k] = 0.0
            for level in range(len(levels) - 1, -1, -1):
                weights, of_level = member(level_0, levels, level), member(made_0, made, level)
                x = features[level]
                channels = weights.channels[1]
                at -= 2 * channels * len(weights.norms.component)
                norms_backward(weights, of_level, arriving[jet], at, n, stride, features[level + 1], outer, space)
                at -= 2 * channels
                scalars_backward(arriving[jet], at, channels, n, stride, outer)
                kept_at = kept_from[jet] * rows[-1] + rows[level] * whole_blocks(n)
                perceptron_backward(
                    weights, of_level, n, stride, outer, work.hidden, level * layers * step, step, space, sums
                )
                for i in range(0, n, NODES):
                    recall(weights, kept, kept_at, n, stride, x, i, work)
                    square(weights, x, stride, i, work)
                    mixing_backward(weights, of_level, stride, outer, i, work.mixed, space.mixed, sums)
                    sources_backward(weights, of_level, stride, x, inner, i, work.momenta, space)
                moments_of(weights, x, n, stride, work)
                _to_pairs(weights, n, stride, wide, x, work.moments, space, pairs)
                for i in range(0, n, WIDE):
                    for sender in range(0, n, CHUNK):
                        falloffs_of(weights.falloff, squares, places[jet], n, sender, i, pairs)
                        bells_of(weights, of_level, n, sender, pairs, work.bells)
                        bells_backward(weights, n, wide, sender, i, pairs)
                        weights_backward(weights, of_level, n, sender, i, pairs, sums)
                    set_own_bells(weights, n, i, work.bells)
                    pair_sums(
                        weights, n, stride, i, work.bells, space.plain, space.weighted, space.moved,
                        space.back, space.back, space.moments, True,
                    )  # fmt: skip
                add_sums(of_level, 4 * weights.channels[0], pairs, sums)
                features_backward(weights, of_level, n, stride, work.momenta, inner, space)
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


@inner
def _to_pairs(
    weights: LevelWeights,
    n: int,
    stride: int,
    wide: int,
    x: F8,
    moments: F8,
    space: GradientSpace,
    pairs: PairSpace,
) -> None:
    """What bells' gradients are made of, in their precision; padding has none."""
    channels, components, products = weights.channels[0], weights.channels[2], len(weights.moments.component)
    # one place that copies, for code that is compiled once
    for task in range(5):
        if task == 0:
            source, out = x, pairs.x
        elif task == 1:
            source, out = space.plain, pairs.plain
        elif task == 2:
            source, out = space.weighted, pairs.weighted
        elif task == 3:
            source, out = moments, pairs.moments
        else:
            source, out = space.moved, pairs.moved
        rows = 2 * (components if task < 3 else products)
        apart = CHANNEL if task < 3 else rows
        for c in range(channels):
            into = c * apart * wide
            copy_rows(source, c * apart * stride, stride, out, into, wide, rows, n)
            for row in range(rows):
                for i in range(into + row * wide + whole_blocks(n), into + (row + 1) * wide):
                    out[i] = np.float32(0.0)
