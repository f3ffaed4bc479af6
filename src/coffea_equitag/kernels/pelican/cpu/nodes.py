"""Evaluation: what PELICAN does with the nodes of a jet between two sweeps over its pairs.

Aggregates are float64, since their terms cancel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from .chunks import NodeTerms
from .encoder import exp
from .pair_tiles import block_width, node_tile, scaled_row, tile_rows
from .weights import PelicanWeights

__all__ = ["JetNodes", "MessageSums", "aggregates", "node_terms", "powers", "scalar_terms"]


class JetNodes(NamedTuple):
    """A jet's nodes as its aggregates use them."""

    n: int
    weight: F8  # energy fractions of the IRC-safe variant, else 1; (n,)
    norm: float  # what sums over nodes are divided by: n, or n̄
    log_ratio: float  # log(n/n̄)


class MessageSums(NamedTuple):
    """A jet's messages before their BatchNorm, and their sums over each node's row and column."""

    pairs: F4  # S, then A, then 2 Y_ii and 0: (n (n + 1), N)
    row: F8  # Σ_j w_j Y_ij, (n, N)
    column: F8  # Σ_j w_j Y_ji


@inner
def scalar_terms(weights: PelicanWeights, scalars: F8, jet: JetNodes, terms: NodeTerms) -> None:
    """The 1→2 layer's u_i, v_j and d_i."""
    count, n, wide = scalars.shape[1], jet.n, len(weights.scalar_bias)
    (u, v, d), weight = terms, jet.weight
    if count == 0:
        for i in range(n):
            for c in range(wide):
                u[i, c], v[i, c], d[i, c] = 0, 0, 0
        return
    matrix = np.empty((5, count, wide))
    for operation in range(5):
        for s in range(count):
            factor = np.exp(weights.scalar_exponent[operation, s] * jet.log_ratio)
            for c in range(wide):
                matrix[operation, s, c] = factor * weights.scalar[operation, s, c]
    all_pairs, diagonal = np.empty(wide), np.zeros(wide)
    for c in range(wide):
        all_pairs[c] = weights.scalar_bias[c]
    for s in range(count):
        mean = 0.0
        for i in range(n):
            mean += weight[i] * scalars[i, s]
        mean /= jet.norm
        for c in range(wide):
            all_pairs[c] += mean * matrix[3, s, c]
            diagonal[c] += mean * matrix[4, s, c]
    for i in range(n):
        for c in range(wide):
            u_ic, v_ic, d_ic = all_pairs[c], 0.0, diagonal[c]
            for s in range(count):
                x = scalars[i, s]
                u_ic += x * matrix[0, s, c]
                v_ic += x * matrix[1, s, c]
                d_ic += x * matrix[2, s, c]
            u[i, c], v[i, c], d[i, c] = u_ic, v_ic, d_ic


@inner
def node_terms(weights: PelicanWeights, layer: int, sums: MessageSums, jet: JetNodes, terms: NodeTerms) -> None:
    """The 2→2 layer's u_i, v_j and d_i from the sums of messages whose BatchNorm is still to be applied."""
    depth, wide = weights.readout.shape[1], weights.bias.shape[2]
    block, rows = block_width(weights.wide), tile_rows(weights.wide)
    values = np.zeros((jet.n + rows, 3 * depth), np.float32)
    trace, total = aggregates(weights, layer, sums, jet, values)
    starts = _jet_terms(weights, layer, trace, total, jet)
    factors = powers(weights.node_exponent[layer].reshape(-1), jet.log_ratio).reshape(3, 3 * depth)
    # the powers of n go into the matrix
    matrix, coefficients = np.empty((3, wide // block, 3 * depth, block), np.float32), weights.node
    for target in range(3):
        for b in range(wide // block):
            at = (target * (wide // block) + b) * 3 * depth * block
            for k in range(3 * depth):
                scaled_row(
                    weights.wide, matrix, at + k * block, coefficients, layer * matrix.size + at + k * block,
                    np.float32(factors[target, k]),
                )  # fmt: skip
    for target in range(3):
        out = terms.u if target == 0 else (terms.v if target == 1 else terms.d)
        for b in range(wide // block):
            at = (target * (wide // block) + b) * 3 * depth * block
            for i in range(0, jet.n, rows):
                node_tile(
                    weights.wide, values, i * 3 * depth, 3 * depth, 3 * depth, matrix, at, starts,
                    target * wide + b * block, out, i * wide + b * block, wide,
                )  # fmt: skip


@inner
def _jet_terms(weights: PelicanWeights, layer: int, trace: F8, total: F8, jet: JetNodes) -> F4:
    """What trace, total and biases add to u, v and d of all nodes, (3, W) and rows for a tile."""
    depth, wide = weights.readout.shape[1], weights.bias.shape[2]
    block, rows = block_width(weights.wide), tile_rows(weights.wide)
    factors = powers(weights.jet_exponent[layer].reshape(-1), jet.log_ratio).reshape(2, 2, depth)
    sources, starts = np.zeros((1 + rows, 2 * depth), np.float32), np.zeros((3 + rows, wide), np.float32)
    for target in range(2):
        for k in range(depth):
            sources[0, k] = trace[k] * factors[target, 0, k]
            sources[0, depth + k] = total[k] * factors[target, 1, k]
        for b in range(wide // block):
            node_tile(
                weights.wide, sources, 0, 2 * depth, 2 * depth, weights.jet,
                ((layer * 2 + target) * (wide // block) + b) * 2 * depth * block, weights.bias,
                (layer * 2 + target) * wide + b * block, starts, target * wide + b * block, wide,
            )  # fmt: skip
    # what was computed for u and d belongs in rows 0 and 2; v has none
    for c in range(wide):
        starts[2, c] = starts[1, c]
        starts[1, c] = 0
    return starts


@inner
def powers(exponents: F8, log_ratio: float) -> F8:
    """(n/n̄)^α."""
    out = np.empty(len(exponents))
    for k in range(len(exponents)):
        out[k] = exp(exponents[k] * log_ratio)
    return out


@inner
def aggregates(weights: PelicanWeights, layer: int, sums: MessageSums, jet: JetNodes, values: F4) -> tuple[F8, F8]:
    """Diagonal, columns and rows of each node side by side into `values`; the trace and the total, shape (D,)."""
    depth, n, weight, norm = weights.readout.shape[1], jet.n, jet.weight, jet.norm
    all_weights = 0.0
    for i in range(n):
        all_weights += weight[i]
    trace, total = np.zeros(depth), np.zeros(depth)
    first = n * (n - 1)
    scale, shift = weights.scale[layer], weights.shift[layer]
    pairs, row, column = sums
    for i in range(n):
        for k in range(depth):
            # stored is Y_ii + Y_ii
            diagonal = scale[k] * 0.5 * pairs[first + i, k] + shift[k]
            mean = (scale[k] * row[i, k] + shift[k] * all_weights) / norm
            values[i, k] = diagonal
            values[i, depth + k] = (scale[k] * column[i, k] + shift[k] * all_weights) / norm
            values[i, 2 * depth + k] = mean
            trace[k] += weight[i] * diagonal
            total[k] += weight[i] * mean
    for k in range(depth):
        trace[k] /= norm
        total[k] /= norm
    return trace, total
