"""What LGN does with the nodes of one jet."""

from __future__ import annotations

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .products import NODES, copy_block, sum_of_products
from .weights import LevelWeights
from .workspace import CHANNEL, Workspace

__all__ = [
    "enter",
    "gather",
    "keep_features",
    "keep_sums",
    "mix",
    "perceive",
    "recall",
    "recall_features",
    "square",
    "sum_norms",
    "sum_scalars",
    "whole_blocks",
]


@inner
def enter(p4: F8, entering: F8, start: int, n: int, stride: int, momenta: F8, features: F8) -> None:
    """Momenta, and the scalars that the network begins with."""
    for axis in range(4):
        for i in range(stride):
            momenta[2 * axis * stride + i] = p4[start + i, axis] if i < n else 0.0
            momenta[(2 * axis + 1) * stride + i] = 0.0
    for row in range(entering.shape[1]):
        at = (row // 2 * 40 + row % 2) * stride
        for i in range(stride):
            features[at + i] = entering[start + i, row] if i < n else 0.0


@inner
def gather(weights: LevelWeights, x: F8, stride: int, first: int, work: Workspace) -> None:
    """What the mixing of a block of nodes sees, squares excepted."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    products = len(weights.moments.component)
    step = blocks * channels * 2 * NODES
    for c in range(channels):
        for d in range(components):
            at, place = (c * 20 + d) * 2 * stride + first, d * step + c * 2 * NODES
            for part in range(2):
                source, into = at + part * stride, place + part * NODES
                copy_block(work.plain, source, work.mixed, into, False)
                copy_block(x, source, work.mixed, into + channels * 2 * NODES, False)
        table = weights.moments
        for row in range(products):
            into = table.component[row] * step + (table.block[row] * channels + c) * 2 * NODES
            sum_of_products(
                table.left, table.right, table.factor, table.first[row], table.first[row + 1],
                work.weighted, c * CHANNEL * stride + first, work.momenta, first, 2 * stride, stride,
                work.mixed, into, NODES, work.moved, (c * products + row) * 2 * stride + first, True,
            )  # fmt: skip


@inner
def square(weights: LevelWeights, x: F8, stride: int, first: int, work: Workspace) -> None:
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


@inner
def mix(weights: LevelWeights, mixed: F8, out: F8, stride: int, first: int) -> None:
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


@inner
def perceive(weights: LevelWeights, out: F8, n: int, stride: int, work: Workspace, at: int, step: int) -> None:
    """The perceptron on the scalars; what layers see is written `at` a place, `step` numbers apart."""
    seen, made = work.hidden, work.activated
    width = 2 * weights.channels[1]
    for k in range(width):
        for i in range(stride):
            seen[at + k * stride + i] = out[(k // 2 * 40 + k % 2) * stride + i]
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


@inner
def sum_scalars(features: F8, channels: int, n: int, stride: int, sums: F8, at: int) -> int:
    """Scalars summed over the jet, from ``sums[at]``; where they end."""
    for row in range(2 * channels):
        begin = (row // 2 * 40 + row % 2) * stride
        total = 0.0
        for i in range(n):
            total += features[begin + i]
        sums[at + row] = total
    return at + 2 * channels


@inner
def sum_norms(weights: LevelWeights, features: F8, n: int, stride: int, block: F8, sums: F8, at: int) -> int:
    """Squares of the other tensors summed over the jet, from ``sums[at]``; where they end."""
    table, channels = weights.norms, weights.channels[1]
    for row in range(len(table.component)):
        for c in range(channels):
            re = im = 0.0
            for i in range(0, n, NODES):
                sum_of_products(
                    table.left, table.right, table.factor, table.first[row], table.first[row + 1],
                    features, c * 40 * stride + i, features, c * 40 * stride + i, 2 * stride, stride,
                    block, 0, NODES, block, 0, False,
                )  # fmt: skip
                for lane in range(min(NODES, n - i)):
                    re += block[lane]
                    im += block[NODES + lane]
            sums[at], sums[at + 1] = re, im
            at += 2
    return at


@inner
def keep_sums(weights: LevelWeights, mixed: F8, n: int, first: int, kept: F4, at: int) -> None:
    """Sums over pairs, as [channel][component, then moment][Re, Im][node], nodes in whole blocks."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    table, padded = weights.moments, whole_blocks(n)
    for c in range(channels):
        for row in range(components + len(table.component)):
            component = row if row < components else table.component[row - components]
            block = 0 if row < components else table.block[row - components]
            place = ((component * blocks + block) * channels + c) * 2 * NODES
            for part in range(2):
                copy_block(mixed, place + part * NODES, kept, at + part * padded + first, False)
            at += 2 * padded


@inner
def recall(weights: LevelWeights, kept: F4, at: int, n: int, stride: int, x: F8, first: int, work: Workspace) -> None:
    """As `gather`, with sums over pairs that were kept."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    table, padded = weights.moments, whole_blocks(n)
    for c in range(channels):
        for row in range(components + len(table.component)):
            component = row if row < components else table.component[row - components]
            block = 0 if row < components else table.block[row - components]
            place = ((component * blocks + block) * channels + c) * 2 * NODES
            for part in range(2):
                copy_block(kept, at + part * padded + first, work.mixed, place + part * NODES, False)
            at += 2 * padded
        for d in range(components):
            source = (c * 20 + d) * 2 * stride + first
            place = ((d * blocks + 1) * channels + c) * 2 * NODES
            for part in range(2):
                copy_block(x, source + part * stride, work.mixed, place + part * NODES, False)


@inner
def keep_features(channels: int, components: int, features: F8, n: int, stride: int, kept: F4, at: int) -> None:
    """Features, as [channel][component][Re, Im][node], nodes in whole blocks."""
    padded = whole_blocks(n)
    for c in range(channels):
        for row in range(2 * components):
            for first in range(0, n, NODES):
                copy_block(features, (c * CHANNEL + row) * stride + first, kept, at + first, False)
            at += padded


@inner
def recall_features(channels: int, components: int, features: F8, n: int, stride: int, kept: F4, at: int) -> None:
    """What `keep_features` wrote."""
    padded = whole_blocks(n)
    for c in range(channels):
        for row in range(2 * components):
            for first in range(0, n, NODES):
                copy_block(kept, at + first, features, (c * CHANNEL + row) * stride + first, False)
            at += padded


@inner
def whole_blocks(n: int) -> int:
    """Nodes, padded to whole blocks."""
    return (n + NODES - 1) // NODES * NODES
