"""Backward pass of what LGN does with nodes, on one jet, in float64; gradients are carried as complex conjugates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .gradient_tables import LANES, LevelGradients
from .gradient_tiles import (
    OUTER_COLUMNS,
    OUTER_ROWS,
    PAIR_COLUMNS,
    PAIR_ROWS,
    add_products,
    complex_outer_tile,
    outer_tile,
)
from .products import NODES, copy_block
from .weights import LevelWeights
from .workspace import CHANNEL, Workspace

__all__ = [
    "GradientSpace",
    "features_backward",
    "make_gradient_space",
    "mixing_backward",
    "norms_backward",
    "perceptron_backward",
    "scalars_backward",
    "sources_backward",
]


class GradientSpace(NamedTuple):
    """Flat arrays for the largest jet, laid out as those of `Workspace`, of gradients."""

    features: F8
    others: F8
    mixed: F8
    plain: F8
    weighted: F8
    moved: F8
    back: F8  # of the features, from sums over pairs
    moments: F8
    slope: F8  # [channel][node]
    arriving: F8
    norms: F8  # [norm][Re, Im][node], of one block of nodes


def make_gradient_space(levels: tuple[LevelWeights, ...], work: Workspace) -> GradientSpace:
    """Space for the jets that `work` has space for."""
    sizes = {
        "features": work.features.size,
        "others": work.features.size,
        "mixed": work.mixed.size + 2 * COMPLEX_ROWS * NODES,
        "plain": work.plain.size,
        "weighted": work.plain.size,
        "moved": work.plain.size,
        "back": work.plain.size,
        "moments": work.plain.size,
        "slope": work.activated.size,
        "arriving": work.activated.size,
        "norms": max(1, *(len(level.norms.component) for level in levels)) * 2 * NODES,
    }
    return GradientSpace(**{name: np.zeros(size) for name, size in sizes.items()})


@inner
def perceptron_backward(
    weights: LevelWeights,
    made: LevelGradients,
    n: int,
    stride: int,
    slope: F8,
    seen: F8,
    seen_at: int,
    step: int,
    space: GradientSpace,
    sums: F8,
) -> None:
    """Through the perceptron on the scalars, in place; what its layers saw begins `seen_at`, `step` numbers apart."""
    width, vectors = 2 * weights.channels[1], (n + LANES - 1) // LANES
    out, back = space.slope, space.arriving
    for k in range(width):
        sign = 1.0 if k % 2 == 0 else -1.0
        for i in range(stride):
            out[k * stride + i] = sign * slope[(k // 2 * 40 + k % 2) * stride + i]
    for layer in range(len(weights.layers) - 1, -1, -1):
        _, outputs, depth = weights.layers[layer]
        start, sums_at, columns = made.layers[layer]
        for row in range(0, outputs, OUTER_ROWS):
            for k in range(0, depth, OUTER_COLUMNS):
                outer_tile(
                    out, row * stride, stride, LANES, seen, seen_at + layer * step + k * stride, stride, LANES, vectors,
                    sums, sums_at + (row * columns + k) * LANES, columns * LANES,
                )  # fmt: skip
        for row in range(0, depth - 1, SMALL_ROWS):
            for i in range(0, n, NODES):
                small_real_tile(
                    made.perceptron, start + row * outputs, outputs, 1, outputs,
                    out, i, stride, back, row * stride + i, stride, False,
                )  # fmt: skip
        for k in range(depth - 1):
            for i in range(stride):
                value = back[k * stride + i]
                out[k * stride + i] = (
                    value if layer == 0 or seen[seen_at + layer * step + k * stride + i] > 0 else 0.01 * value
                )
    for k in range(width):
        sign = 1.0 if k % 2 == 0 else -1.0
        for i in range(n):
            slope[(k // 2 * 40 + k % 2) * stride + i] = sign * out[k * stride + i]


@inner
def mixing_backward(
    weights: LevelWeights,
    made: LevelGradients,
    stride: int,
    slope: F8,
    first: int,
    mixed: F8,
    of_mixed: F8,
    sums: F8,
) -> None:
    """Gradients of what the mixing of a block of nodes sees; those of its weights are added to the sums."""
    channels, channels_out, blocks = weights.channels[0], weights.channels[1], weights.channels[4]
    unit = blocks * channels * 2 * NODES
    for matrix in range(len(made.matrices)):
        start, stop, block, depth, at = made.matrices[matrix]
        columns = (depth + PAIR_COLUMNS - 1) // PAIR_COLUMNS * PAIR_COLUMNS
        for row in range(0, channels_out, PAIR_ROWS):
            for k in range(0, depth, PAIR_COLUMNS):
                complex_outer_tile(
                    slope, row * CHANNEL * stride + first, 2 * stride, CHANNEL * stride, stride,
                    mixed, (block * channels + k) * 2 * NODES, unit, 2 * NODES, NODES, made.terms, start, stop,
                    sums, at + (row * columns + k) * 2 * LANES, columns * 2 * LANES,
                )  # fmt: skip
    before = -1
    for term in range(len(made.places)):
        component, source, block, depth, start = made.places[term]
        tall = (depth + COMPLEX_ROWS - 1) // COMPLEX_ROWS * COMPLEX_ROWS
        for row in range(0, tall, COMPLEX_ROWS):
            complex_tile(
                made.turned, start + row * channels_out, channels_out, 1, tall * channels_out, channels_out,
                slope, component * 2 * stride + first, CHANNEL * stride, stride,
                of_mixed, source * unit + (block * channels + row) * 2 * NODES, 2 * NODES, NODES, source == before,
            )  # fmt: skip
        before = source


@inner
def sources_backward(
    weights: LevelWeights,
    made: LevelGradients,
    stride: int,
    x: F8,
    slope_in: F8,
    first: int,
    momenta: F8,
    space: GradientSpace,
) -> None:
    """From gradients of what the mixing of a block of nodes sees to those of sums over pairs and of features."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    products, unit = len(weights.moments.component), channels * 2 * NODES
    moments, squares, of_mixed = made.moments, made.squares, space.mixed
    for c in range(channels):
        for d in range(components):
            at, place = (c * 20 + d) * 2 * stride + first, d * blocks * unit + c * 2 * NODES
            for part in range(2):
                source = place + part * NODES
                copy_block(of_mixed, source, space.plain, at + part * stride, False)
                copy_block(of_mixed, source + unit, slope_in, at + part * stride, False)
            add_products(
                moments.place, moments.other, moments.factor, moments.first[d], moments.first[d + 1],
                of_mixed, c * 2 * NODES, unit, NODES, momenta, first, 2 * stride, stride,
                space.weighted, at, stride, False,
            )  # fmt: skip
            add_products(
                squares.place, squares.other, squares.factor, squares.first[d], squares.first[d + 1],
                of_mixed, c * 2 * NODES, unit, NODES, x, c * CHANNEL * stride + first, 2 * stride, stride,
                slope_in, at, stride, True,
            )  # fmt: skip
        for row in range(products):
            place = (weights.moments.component[row] * blocks + weights.moments.block[row]) * unit + c * 2 * NODES
            at = (c * products + row) * 2 * stride + first
            for part in range(2):
                copy_block(of_mixed, place + part * NODES, space.moved, at + part * stride, True)


@inner
def features_backward(
    weights: LevelWeights, made: LevelGradients, n: int, stride: int, momenta: F8, slope_in: F8, space: GradientSpace
) -> None:
    """Add to gradients of features what sums over pairs bring."""
    channels, components, table = weights.channels[0], weights.channels[2], made.moments
    products = len(weights.moments.component)
    for c in range(channels):
        for d in range(components):
            at = (c * 20 + d) * 2 * stride
            for first in range(0, n, NODES):
                add_products(
                    table.row, table.other, table.factor, table.first[d], table.first[d + 1],
                    space.moments, c * products * 2 * stride + first, 2 * stride, stride,
                    momenta, first, 2 * stride, stride, slope_in, at + first, stride, True,
                )  # fmt: skip
            for part in range(2):
                begin = at + part * stride
                for i in range(n):
                    slope_in[begin + i] += space.back[begin + i]
                # padding has sums over pairs too
                for i in range(n, stride):
                    slope_in[begin + i] = 0.0


@inner
def norms_backward(
    weights: LevelWeights,
    made: LevelGradients,
    arriving: F8,
    at: int,
    n: int,
    stride: int,
    x: F8,
    slope: F8,
    space: GradientSpace,
) -> None:
    """Add to `slope` what the norms of features x, summed over the jet, bring; gradients of sums begin `at`."""
    table, channels, components = made.norms, weights.channels[1], weights.channels[3]
    rows = len(weights.norms.component)
    for c in range(channels):
        for row in range(rows):
            place = at + (row * channels + c) * 2
            for lane in range(NODES):
                space.norms[row * 2 * NODES + lane] = arriving[place]
                space.norms[(row * 2 + 1) * NODES + lane] = -arriving[place + 1]
        for d in range(components):
            begin = (c * 20 + d) * 2 * stride
            for first in range(0, n, NODES):
                add_products(
                    table.row, table.other, table.factor, table.first[d], table.first[d + 1],
                    space.norms, 0, 2 * NODES, NODES, x, c * CHANNEL * stride + first, 2 * stride, stride,
                    slope, begin + first, stride, True,
                )  # fmt: skip
            for part in range(2):
                for i in range(n, stride):
                    slope[begin + part * stride + i] = 0.0


@inner
def scalars_backward(arriving: F8, at: int, channels: int, n: int, stride: int, slope: F8) -> None:
    """Add what the scalars, summed over the jet, bring; gradients of sums begin `at`."""
    for row in range(2 * channels):
        value = arriving[at + row] if row % 2 == 0 else -arriving[at + row]
        begin = (row // 2 * 40 + row % 2) * stride
        for i in range(n):
            slope[begin + i] += value
