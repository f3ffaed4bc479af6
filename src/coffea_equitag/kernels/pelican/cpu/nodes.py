"""What PELICAN does on the nodes of a jet, between two sweeps over its pairs; aggregates are float64: they cancel."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from .pair_encoding import exp
from .pair_tile import block_of, mixed_rows, node_tile, scaled_row
from .weights import PelicanWeights

__all__ = ["node_terms", "readout", "scalar_terms"]


@inner
def scalar_terms(
    weights: PelicanWeights,
    scalars: F8,
    weight: F8,
    n: int,
    mean_count: float,
    norm: float,
    u: F4,
    v: F4,
    d: F4,
) -> None:
    """The 1→2 layer's u_i, v_j and d_i."""
    count, wide = scalars.shape[1], len(weights.scalar_bias)
    if count == 0:
        for i in range(n):
            for c in range(wide):
                u[i, c], v[i, c], d[i, c] = 0, 0, 0
        return
    log_ratio = np.log(max(n, 1) / mean_count)
    matrix = np.empty((5, count, wide))
    for operation in range(5):
        for s in range(count):
            factor = np.exp(weights.scalar_exponent[operation, s] * log_ratio)
            for c in range(wide):
                matrix[operation, s, c] = factor * weights.scalar[operation, s, c]
    of_all, of_diagonal = np.empty(wide), np.zeros(wide)
    for c in range(wide):
        of_all[c] = weights.scalar_bias[c]
    for s in range(count):
        mean = 0.0
        for i in range(n):
            mean += weight[i] * scalars[i, s]
        mean /= norm
        for c in range(wide):
            of_all[c] += mean * matrix[3, s, c]
            of_diagonal[c] += mean * matrix[4, s, c]
    for i in range(n):
        for c in range(wide):
            from_i, from_j, on_diagonal = of_all[c], 0.0, of_diagonal[c]
            for s in range(count):
                x = scalars[i, s]
                from_i += x * matrix[0, s, c]
                from_j += x * matrix[1, s, c]
                on_diagonal += x * matrix[2, s, c]
            u[i, c], v[i, c], d[i, c] = from_i, from_j, on_diagonal


@inner
def node_terms(
    weights: PelicanWeights,
    layer: int,
    pairs: F4,
    row: F8,
    column: F8,
    weight: F8,
    n: int,
    mean_count: float,
    norm: float,
    u: F4,
    v: F4,
    d: F4,
) -> None:
    """The 2→2 layer's u_i, v_j and d_i from the sums of messages whose BatchNorm is still to be applied."""
    depth, wide = weights.readout.shape[1], weights.bias.shape[2]
    block = block_of(weights.wide)
    rows = mixed_rows(weights.wide)
    values = np.zeros((n + rows, 3 * depth), np.float32)
    trace, total = _aggregates(weights, layer, pairs, row, column, weight, n, norm, values)

    log_ratio = np.log(max(n, 1) / mean_count)
    factors = _powers(weights.node_exponent[layer].reshape(-1), log_ratio).reshape(3, 3 * depth)
    whole = _powers(weights.whole_exponent[layer].reshape(-1), log_ratio).reshape(2, 2, depth)
    of_jet, starts = np.zeros((1 + rows, 2 * depth), np.float32), np.zeros((3 + rows, wide), np.float32)
    for target in range(2):
        for k in range(depth):
            of_jet[0, k] = trace[k] * whole[target, 0, k]
            of_jet[0, depth + k] = total[k] * whole[target, 1, k]
        for b in range(wide // block):
            node_tile(
                weights.wide, of_jet, 0, 2 * depth, 2 * depth, weights.whole,
                ((layer * 2 + target) * (wide // block) + b) * 2 * depth * block, weights.bias,
                (layer * 2 + target) * wide + b * block, starts, target * wide + b * block, wide,
            )  # fmt: skip
    # of u, v and d
    for c in range(wide):
        starts[2, c] = starts[1, c]
        starts[1, c] = 0

    # the powers of n go into the matrix
    matrix = np.empty((3, wide // block, 3 * depth, block), np.float32)
    for target in range(3):
        for b in range(wide // block):
            at = (target * (wide // block) + b) * 3 * depth * block
            for k in range(3 * depth):
                scaled_row(
                    weights.wide, matrix, at + k * block, weights.node, layer * matrix.size + at + k * block,
                    np.float32(factors[target, k]),
                )  # fmt: skip
    for target in range(3):
        out = u if target == 0 else (v if target == 1 else d)
        for b in range(wide // block):
            at = (target * (wide // block) + b) * 3 * depth * block
            for i in range(0, n, rows):
                node_tile(
                    weights.wide, values, i * 3 * depth, 3 * depth, 3 * depth, matrix, at, starts,
                    target * wide + b * block, out, i * wide + b * block, wide,
                )  # fmt: skip


@inner
def _powers(exponents: F8, log_ratio: float) -> F8:
    out = np.empty(len(exponents))
    for k in range(len(exponents)):
        out[k] = exp(exponents[k] * log_ratio)
    return out


@inner
def _aggregates(
    weights: PelicanWeights,
    layer: int,
    pairs: F4,
    row: F8,
    column: F8,
    weight: F8,
    n: int,
    norm: float,
    values: F4,
) -> tuple[F8, F8]:
    """Diagonal, columns and rows of each node side by side into `values`; the trace and the total, shape (D,)."""
    depth = weights.readout.shape[1]
    all_weights = 0.0
    for i in range(n):
        all_weights += weight[i]
    trace, total = np.zeros(depth), np.zeros(depth)
    first = n * (n - 1)
    scale, shift = weights.scale[layer], weights.shift[layer]
    for i in range(n):
        for k in range(depth):
            # what is kept of it is X_ii + X_ii
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


@inner
def readout(
    weights: PelicanWeights,
    layer: int,
    pairs: F4,
    row: F8,
    weight: F8,
    n: int,
    mean_count: float,
    norm: float,
    logits: F4,
) -> None:
    """The 2→0 layer and the head."""
    depth, channels = weights.readout.shape[1:]
    values = np.empty((n, 3 * depth), np.float32)
    trace, total = _aggregates(weights, layer, pairs, row, row, weight, n, norm, values)
    log_ratio = np.log(max(n, 1) / mean_count)
    hidden = np.empty(channels)
    for c in range(channels):
        hidden[c] = weights.readout_bias[c]
    for operation in range(2):
        aggregate = total if operation == 0 else trace
        for k in range(depth):
            value = _leaky(aggregate[k] * np.exp(weights.readout_exponent[operation, k] * log_ratio))
            for c in range(channels):
                hidden[c] += value * weights.readout[operation, k, c]
    for out in range(len(logits)):
        value = weights.head_bias[out]
        for c in range(channels):
            value += hidden[c] * weights.head[out, c]
        logits[out] = _leaky(value)


@inner
def _leaky(x: float) -> float:
    return 0.01 * x if x < 0 else x
