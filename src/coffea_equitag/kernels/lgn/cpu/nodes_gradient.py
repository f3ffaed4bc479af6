"""Backward pass of what LGN does with the nodes of one jet, in float64; gradients are carried as complex conjugates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .adjoint import LevelAdjoint
from .tiles import (
    LANES,
    NODES,
    OUTER_COLUMNS,
    OUTER_ROWS,
    PAIR_COLUMNS,
    PAIR_ROWS,
    complex_outer_tile,
    copy_block,
    outer_tile,
    sum_products,
)
from .weights import LevelWeights
from .workspace import CHANNEL, Workspace, scalar_at

__all__ = [
    "GradWorkspace",
    "features_backward",
    "make_grad_workspace",
    "mixing_backward",
    "norms_backward",
    "perceptron_backward",
    "scalars_backward",
    "sources_backward",
]


class GradWorkspace(NamedTuple):
    """Gradients of what `Workspace` holds, laid out alike."""

    features: F8
    others: F8
    sources: F8
    f0_sums: F8
    f1_sums: F8
    f1_p_sums: F8
    pair_features: F8  # the part of the gradient of F that comes from the sums over pairs
    features_p: F8
    outputs: F8  # [channel][node], of one of the perceptron's layers
    inputs: F8
    norms: F8  # [norm][Re, Im][node], of one block of nodes


def make_grad_workspace(levels: tuple[LevelWeights, ...], work: Workspace) -> GradWorkspace:
    """Space for the jets that `work` has space for."""
    sizes = dict.fromkeys(GradWorkspace._fields, work.f0_sums.size) | {
        "features": work.features.size,
        "others": work.features.size,
        "sources": work.sources.size + 2 * COMPLEX_ROWS * NODES,
        "outputs": work.activated.size,
        "inputs": work.activated.size,
        "norms": max(1, *(len(level.norms.component) for level in levels)) * 2 * NODES,
    }
    return GradWorkspace(**{name: np.zeros(size) for name, size in sizes.items()})


@inner
def perceptron_backward(
    weights: LevelWeights,
    adjoint: LevelAdjoint,
    n: int,
    stride: int,
    grad_features: F8,
    inputs: F8,
    inputs_at: int,
    step: int,
    grad: GradWorkspace,
    sums: F8,
) -> None:
    """Gradients of the scalars, in place; inputs of the layers begin `inputs_at`, `step` numbers apart."""
    width, vectors = 2 * weights.channels[1], (n + LANES - 1) // LANES
    out, back = grad.outputs, grad.inputs
    for k in range(width):
        sign = 1.0 if k % 2 == 0 else -1.0
        for i in range(stride):
            out[k * stride + i] = sign * grad_features[scalar_at(k, stride) + i]
    for layer in range(len(weights.layers) - 1, -1, -1):
        _, outputs, depth = weights.layers[layer]
        start, sums_at, columns = adjoint.layers[layer]
        at = inputs_at + layer * step
        for row in range(0, outputs, OUTER_ROWS):
            for k in range(0, depth, OUTER_COLUMNS):
                outer_tile(
                    out, row * stride, stride, LANES, inputs, at + k * stride, stride, LANES, vectors,
                    sums, sums_at + (row * columns + k) * LANES, columns * LANES,
                )  # fmt: skip
        for row in range(0, depth - 1, SMALL_ROWS):
            for i in range(0, n, NODES):
                small_real_tile(
                    adjoint.perceptron, start + row * outputs, outputs, 1, outputs,
                    out, i, stride, back, row * stride + i, stride, False,
                )  # fmt: skip
        for k in range((depth - 1) * stride):
            out[k] = back[k] if layer == 0 or inputs[at + k] > 0 else 0.01 * back[k]
    for k in range(width):
        sign = 1.0 if k % 2 == 0 else -1.0
        for i in range(n):
            grad_features[scalar_at(k, stride) + i] = sign * out[k * stride + i]


@inner
def mixing_backward(
    weights: LevelWeights,
    adjoint: LevelAdjoint,
    stride: int,
    grad_out: F8,
    first: int,
    sources: F8,
    grad_sources: F8,
    sums: F8,
) -> None:
    """Gradients of a block of nodes' sources; those of the mixing's weights are added to the sums."""
    channels, channels_out, blocks = weights.channels[0], weights.channels[1], weights.channels[4]
    unit = blocks * channels * 2 * NODES
    for matrix in range(len(adjoint.matrices)):
        start, stop, block, depth, at = adjoint.matrices[matrix]
        columns = (depth + PAIR_COLUMNS - 1) // PAIR_COLUMNS * PAIR_COLUMNS
        for row in range(0, channels_out, PAIR_ROWS):
            for k in range(0, depth, PAIR_COLUMNS):
                complex_outer_tile(
                    grad_out, row * CHANNEL * stride + first, 2 * stride, CHANNEL * stride, stride,
                    sources, (block * channels + k) * 2 * NODES, unit, 2 * NODES, NODES, adjoint.terms, start, stop,
                    sums, at + (row * columns + k) * 2 * LANES, columns * 2 * LANES,
                )  # fmt: skip
    before = -1
    for term in range(len(adjoint.places)):
        component, source, block, depth, start = adjoint.places[term]
        tall = (depth + COMPLEX_ROWS - 1) // COMPLEX_ROWS * COMPLEX_ROWS
        for row in range(0, tall, COMPLEX_ROWS):
            complex_tile(
                adjoint.mixing, start + row * channels_out, channels_out, 1, tall * channels_out, channels_out,
                grad_out, component * 2 * stride + first, CHANNEL * stride, stride,
                grad_sources, source * unit + (block * channels + row) * 2 * NODES, 2 * NODES, NODES, source == before,
            )  # fmt: skip
        before = source


@inner
def sources_backward(
    weights: LevelWeights,
    adjoint: LevelAdjoint,
    stride: int,
    x: F8,
    grad_x: F8,
    first: int,
    momenta: F8,
    grad: GradWorkspace,
) -> None:
    """From gradients of a block of nodes' sources to those of the sums over pairs, and of features but for pairs."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    table, unit = weights.times_momentum, channels * 2 * NODES
    products = len(table.component)
    for c in range(channels):
        for d in range(components):
            at, place = (c * CHANNEL + 2 * d) * stride + first, d * blocks * unit + c * 2 * NODES
            for part in range(2):
                source = place + part * NODES
                copy_block(grad.sources, source, grad.f0_sums, at + part * stride, False)
                copy_block(grad.sources, source + unit, grad_x, at + part * stride, False)
            sum_products(
                adjoint.times_momentum, d, grad.sources, c * 2 * NODES, unit, NODES,
                momenta, first, 2 * stride, stride, grad.f1_sums, at, stride, False,
            )  # fmt: skip
            sum_products(
                adjoint.squares, d, grad.sources, c * 2 * NODES, unit, NODES,
                x, c * CHANNEL * stride + first, 2 * stride, stride, grad_x, at, stride, True,
            )  # fmt: skip
        for row in range(products):
            place = (table.component[row] * blocks + table.block[row]) * unit + c * 2 * NODES
            at = (c * products + row) * 2 * stride + first
            for part in range(2):
                copy_block(grad.sources, place + part * NODES, grad.f1_p_sums, at + part * stride, True)


@inner
def features_backward(
    weights: LevelWeights,
    adjoint: LevelAdjoint,
    n: int,
    stride: int,
    momenta: F8,
    grad_x: F8,
    grad: GradWorkspace,
) -> None:
    """Add to the gradients of features what comes from the sums over pairs."""
    products = len(weights.times_momentum.component)
    for c in range(weights.channels[0]):
        for d in range(weights.channels[2]):
            at = (c * CHANNEL + 2 * d) * stride
            for first in range(0, n, NODES):
                sum_products(
                    adjoint.times_momentum_rows, d, grad.features_p, c * products * 2 * stride + first, 2 * stride,
                    stride, momenta, first, 2 * stride, stride, grad_x, at + first, stride, True,
                )  # fmt: skip
            for part in range(2):
                begin = at + part * stride
                for i in range(n):
                    grad_x[begin + i] += grad.pair_features[begin + i]
                # padding has sums over pairs too
                for i in range(n, stride):
                    grad_x[begin + i] = 0.0


@inner
def norms_backward(
    weights: LevelWeights,
    adjoint: LevelAdjoint,
    grad_sums: F8,
    at: int,
    n: int,
    stride: int,
    x: F8,
    grad_x: F8,
    grad: GradWorkspace,
) -> None:
    """Add to the gradients of features x those through the squared norms summed over the jet, ``grad_sums[at]`` on."""
    channels, rows = weights.channels[1], len(weights.norms.component)
    for c in range(channels):
        for row in range(rows):
            place = at + (row * channels + c) * 2
            for lane in range(NODES):
                grad.norms[row * 2 * NODES + lane] = grad_sums[place]
                grad.norms[(row * 2 + 1) * NODES + lane] = -grad_sums[place + 1]
        for d in range(weights.channels[3]):
            begin = (c * CHANNEL + 2 * d) * stride
            for first in range(0, n, NODES):
                sum_products(
                    adjoint.norms, d, grad.norms, 0, 2 * NODES, NODES, x, c * CHANNEL * stride + first, 2 * stride,
                    stride, grad_x, begin + first, stride, True,
                )  # fmt: skip
            for part in range(2):
                for i in range(n, stride):
                    grad_x[begin + part * stride + i] = 0.0


@inner
def scalars_backward(grad_sums: F8, at: int, channels: int, n: int, stride: int, grad_features: F8) -> None:
    """Add the gradients of the scalars summed over the jet, ``grad_sums[at]`` on."""
    for row in range(2 * channels):
        value = grad_sums[at + row] if row % 2 == 0 else -grad_sums[at + row]
        begin = scalar_at(row, stride)
        for i in range(n):
            grad_features[begin + i] += value
