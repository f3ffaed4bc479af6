"""Evaluation: what PELICAN does with the nodes of a jet between two sweeps over its pairs.

Aggregates are float64, since their terms cancel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner, leaf
from ...common.cpu.aligned import aligned_rows
from .chunks import MARGIN, NodeTerms
from .node_rows import aggregate_rows, powers
from .pair_tiles import block_width, node_tile, scaled_row, tile_rows
from .weights import PelicanWeights

__all__ = ["JetNodes", "MessageSums", "NodeRows", "aggregate", "make_node_rows", "node_terms", "powers", "scalar_terms"]


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


class NodeRows(NamedTuple):
    """Work space for the nodes of a jet: diagonal, column and row are kinds 0, 1 and 2."""

    values: F4  # aggregates of each node, one kind beside the other, (n, 3 N)
    factors: F8  # of sums, (3, N)
    parts: F8  # what is added, (3, N)
    totals: F8  # aggregates of nodes' aggregates: the trace, none, the total; (3, N)
    node_powers: F8  # of n/n̄, (3, 3 N)
    jet_powers: F8  # (2, 2, N)
    matrix: F4  # coefficients into a block of channels with powers of n/n̄, (3 N, B)
    sources: F4  # trace and total with powers of n/n̄, (1, 2 N)
    starts: F4  # what they and biases add to u, v and d, (3, W)


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
def make_node_rows(weights: PelicanWeights, largest: int) -> NodeRows:
    """Room for those of the largest jet."""
    narrow, (_, targets, blocks, depth, block) = weights.scale.shape[1], weights.node.shape
    return NodeRows(
        aligned_rows(largest + MARGIN, depth), np.zeros((3, narrow)), np.zeros((3, narrow)), np.zeros((3, narrow)),
        np.zeros((targets, depth)), np.zeros((2, 2, narrow)), aligned_rows(depth, block),
        aligned_rows(1 + MARGIN, 2 * narrow), aligned_rows(3 + MARGIN, blocks * block),
    )  # fmt: skip


@leaf
def node_terms(
    weights: PelicanWeights, layer: int, sums: MessageSums, jet: JetNodes, terms: NodeTerms, rows: NodeRows
) -> None:
    """The 2→2 layer's u_i, v_j and d_i from the sums of messages whose BatchNorm is still to be applied."""
    aggregate(weights, layer, sums, jet, rows)
    _jet_terms(weights, layer, jet, rows)
    powers(weights.node_exponent[layer], jet.log_ratio, rows.node_powers)
    _term(weights, layer, 0, jet.n, rows, terms.u)
    _term(weights, layer, 1, jet.n, rows, terms.v)
    _term(weights, layer, 2, jet.n, rows, terms.d)


@leaf
def _term(weights: PelicanWeights, layer: int, target: int, n: int, rows: NodeRows, out: F4) -> None:
    values, matrix, starts, coefficients, factors = (
        rows.values,
        rows.matrix,
        rows.starts,
        weights.node,
        rows.node_powers,
    )
    _, targets, blocks, depth, block = coefficients.shape
    for b in range(blocks):
        first = ((layer * targets + target) * blocks + b) * depth * block
        for k in range(depth):
            # the powers of n go into the matrix
            scaled_row(
                weights.wide, matrix, k * block, coefficients, first + k * block, np.float32(factors[target, k])
            )  # fmt: skip
        for i in range(0, n, tile_rows(weights.wide)):
            node_tile(
                weights.wide, values, i * depth, depth, depth, matrix, 0, starts, (target * blocks + b) * block, out,
                (i * blocks + b) * block, blocks * block,
            )  # fmt: skip


@leaf
def _jet_terms(weights: PelicanWeights, layer: int, jet: JetNodes, rows: NodeRows) -> None:
    """What trace, total and biases add to u, v and d of all nodes: `starts`."""
    sources, starts, narrow, wide = rows.sources, rows.starts, weights.scale.shape[1], weights.bias.shape[2]
    block, blocks = block_width(weights.wide), len(weights.wide)
    factors = rows.jet_powers
    powers(weights.jet_exponent[layer], jet.log_ratio, factors)
    trace, total = rows.totals[0], rows.totals[2]
    for target in range(2):
        for k in range(narrow):
            sources[0, k] = trace[k] * factors[target, 0, k]
            sources[0, narrow + k] = total[k] * factors[target, 1, k]
        for b in range(blocks):
            node_tile(
                weights.wide, sources, 0, 2 * narrow, 2 * narrow, weights.jet,
                ((layer * 2 + target) * blocks + b) * 2 * narrow * block, weights.bias,
                (layer * 2 + target) * wide + b * block, starts, target * wide + b * block, wide,
            )  # fmt: skip
    # what was computed for u and d belongs in rows 0 and 2; v has none
    for c in range(wide):
        starts[2, c] = starts[1, c]
        starts[1, c] = 0


@leaf
def aggregate(weights: PelicanWeights, layer: int, sums: MessageSums, jet: JetNodes, rows: NodeRows) -> None:
    """Diagonal, columns and rows of each node side by side into `values`; the trace and the total."""
    n, weight, norm, scale, shift = jet.n, jet.weight, jet.norm, weights.scale[layer], weights.shift[layer]
    narrow, (pairs, row, column) = len(scale), sums
    values, factors, parts, totals = rows.values, rows.factors, rows.parts, rows.totals
    all_weights = 0.0
    for i in range(n):
        all_weights += weight[i]
    for c in range(narrow):
        # stored is Y_ii + Y_ii
        factors[0, c], parts[0, c] = 0.5 * scale[c], shift[c]
        factors[1, c] = factors[2, c] = scale[c] / norm
        parts[1, c] = parts[2, c] = shift[c] * all_weights / norm
    totals[:] = 0.0
    for c in range(0, narrow, block_width(weights.narrow)):
        aggregate_rows(
            weights.narrow, pairs, n * (n - 1) * narrow + c, narrow, factors, parts, c, n, weight, values, c,
            3 * narrow, totals, c,
        )  # fmt: skip
        for kind in range(1, 3):
            at = kind * narrow + c
            aggregate_rows(
                weights.narrow, column if kind == 1 else row, c, narrow, factors, parts, at, n, weight, values, at,
                3 * narrow, totals, at,
            )  # fmt: skip
    for kind in range(3):
        for c in range(narrow):
            totals[kind, c] /= norm
