"""What LGN does with the nodes of one jet: sources of the mixing, the mixing, the perceptron."""

from __future__ import annotations

from ....array_types import F8
from ....compiled import inner
from ....layers.saturation import FEATURE_BOUND, INPUT_BOUND
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, complex_tile, small_real_tile
from .jets import Jets
from .tiles import NODES, copy_block, sum_products
from .weights import LevelWeights
from .workspace import CHANNEL, Workspace, scalar_at

__all__ = [
    "gather_sources",
    "load_inputs",
    "mix",
    "perceptron",
    "saturate",
    "square_features",
    "times_momentum",
    "within",
]


@inner
def load_inputs(jets: Jets, jet: int, n: int, stride: int, momenta: F8, features: F8) -> None:
    """Momenta of a jet, and its scalars (and vectors) before the first level; padding is 0."""
    start = jets.offsets[jet]
    for axis in range(4):
        for i in range(stride):
            momenta[2 * axis * stride + i] = jets.p4[start + i, axis] if i < n else 0.0
            momenta[(2 * axis + 1) * stride + i] = 0.0
    for row in range(jets.scalars.shape[1]):
        at = scalar_at(row, stride)
        for i in range(stride):
            features[at + i] = jets.scalars[start + i, row] if i < n else 0.0
    for c in range(len(jets.vectors)):
        for axis in range(4):
            for part in range(2):
                at = (c * CHANNEL + 2 * (1 + axis) + part) * stride
                for i in range(stride):
                    features[at + i] = jets.vectors[c, part] * momenta[2 * axis * stride + i]


@inner
def times_momentum(weights: LevelWeights, x: F8, n: int, stride: int, work: Workspace) -> None:
    """F_j ⊗ p_j."""
    table = weights.times_momentum
    products = len(table.component)
    for c in range(weights.channels[0]):
        for row in range(products):
            for i in range(0, n, NODES):
                sum_products(
                    table.terms, row, x, c * CHANNEL * stride + i, 2 * stride, stride,
                    work.momenta, i, 2 * stride, stride,
                    work.features_p, (c * products + row) * 2 * stride + i, stride, False,
                )  # fmt: skip


@inner
def gather_sources(weights: LevelWeights, x: F8, stride: int, first: int, work: Workspace) -> None:
    """Sources of a block of nodes, squares excepted: Σ_j f⁰ F_j, F_i and (Σ_j f¹ F_j) ⊗ p_i − Σ_j f¹ F_j ⊗ p_j."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    table, step = weights.times_momentum, blocks * channels * 2 * NODES
    products = len(table.component)
    for c in range(channels):
        for d in range(components):
            at, place = (c * CHANNEL + 2 * d) * stride + first, d * step + c * 2 * NODES
            for part in range(2):
                source, into = at + part * stride, place + part * NODES
                copy_block(work.f0_sums, source, work.sources, into, False)
                copy_block(x, source, work.sources, into + channels * 2 * NODES, False)
        for row in range(products):
            into = table.component[row] * step + (table.block[row] * channels + c) * 2 * NODES
            at = (c * products + row) * 2 * stride + first
            for part in range(2):
                copy_block(work.f1_p_sums, at + part * stride, work.sources, into + part * NODES, True)
            sum_products(
                table.terms, row, work.f1_sums, c * CHANNEL * stride + first, 2 * stride, stride,
                work.momenta, first, 2 * stride, stride, work.sources, into, NODES, True,
            )  # fmt: skip


@inner
def square_features(weights: LevelWeights, x: F8, stride: int, first: int, work: Workspace) -> None:
    """F_i ⊗ F_i of a block of nodes, among the sources."""
    blocks, channels = weights.channels[4], weights.channels[0]
    table, step = weights.squares, blocks * channels * 2 * NODES
    for c in range(channels):
        at = c * CHANNEL * stride + first
        for row in range(len(table.component)):
            into = table.component[row] * step + (table.block[row] * channels + c) * 2 * NODES
            sum_products(
                table.terms, row, x, at, 2 * stride, stride, x, at, 2 * stride, stride, work.sources, into, NODES, False
            )


@inner
def mix(weights: LevelWeights, sources: F8, out: F8, stride: int, first: int) -> None:
    """W · sources for a block of nodes."""
    channels, blocks = weights.channels[0], weights.channels[4]
    rows = (weights.channels[1] + COMPLEX_ROWS - 1) // COMPLEX_ROWS * COMPLEX_ROWS
    before = -1
    for term in range(len(weights.places)):
        component, source, block, depth, start = weights.places[term]
        for row in range(0, rows, COMPLEX_ROWS):
            complex_tile(
                weights.mixing, start + row * depth, depth, 1, rows * depth, depth,
                sources, (source * blocks + block) * channels * 2 * NODES, 2 * NODES, NODES,
                out, (row * CHANNEL + 2 * component) * stride + first, CHANNEL * stride, stride, component == before,
            )  # fmt: skip
        before = component


@inner
def saturate(weights: LevelWeights, features: F8, stride: int) -> None:
    """Features that go out between ±`FEATURE_BOUND`, as in the layers."""
    for c in range(weights.channels[1]):
        start = c * CHANNEL * stride
        for q in range(start, start + 2 * weights.channels[3] * stride):
            features[q] = within(features[q], FEATURE_BOUND)


@inner
def within(value: float, bound: float) -> float:
    """A number between ±`bound`; NaN stays NaN."""
    if value > bound:
        return bound
    return -bound if value < -bound else value


@inner
def perceptron(weights: LevelWeights, features: F8, n: int, stride: int, work: Workspace, at: int, step: int) -> None:
    """The perceptron on the scalars, in place; inputs of its layers are left `at` a place, `step` numbers apart."""
    inputs, outputs = work.hidden, work.activated
    width = 2 * weights.channels[1]
    for k in range(width):
        for i in range(stride):
            inputs[at + k * stride + i] = within(features[scalar_at(k, stride) + i], INPUT_BOUND)
    for layer in range(len(weights.layers)):
        start, rows, depth = weights.layers[layer]
        for i in range(stride):
            inputs[at + (depth - 1) * stride + i] = 1.0
        for row in range(0, rows, SMALL_ROWS):
            for i in range(0, n, NODES):
                small_real_tile(
                    weights.perceptron, start + row * depth, depth, 1, depth,
                    inputs, at + i, stride, outputs, row * stride + i, stride, False,
                )  # fmt: skip
        if layer < len(weights.layers) - 1:
            at += step
            for q in range(rows * stride):
                value = outputs[q]
                inputs[at + q] = 0.01 * value if value < 0 else value
    for k in range(width):
        for i in range(stride):
            features[scalar_at(k, stride) + i] = outputs[k * stride + i]
