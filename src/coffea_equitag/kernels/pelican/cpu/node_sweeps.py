"""PELICAN's training on the nodes of jets, forward and backward: from sums of messages to a 2→2 layer's u, v and d."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from .channel_blocks import ChannelBlocks
from .chunks import MARGIN
from .node_rows import powers
from .pair_gradient_tiles import outer_rows, outer_tile
from .pair_tiles import block_width, node_tile, scaled_row, tile_rows

__all__ = ["NodeGrads", "NodeSums", "NodeWeights", "terms_backward", "terms_forward"]


class NodeWeights(NamedTuple):
    """Parameters; letters and layouts as in `PelicanWeights`, targets u, v, d and sources diagonal, column, row."""

    narrow: ChannelBlocks
    wide: ChannelBlocks
    scale: F8  # BatchNorm and dropout, (N,)
    shift: F8
    node: F4  # (3, W / B, 3 N, B): targets, below each other the sources
    node_rows: F4  # (3, 3, N, W)
    node_transposed: F4  # (3, 3, N / B, W, B)
    node_exponent: F8  # (3, 3, N), 0 of the diagonal
    jet: F8  # trace and total into u and d, (2, 2, N, W)
    jet_exponent: F8  # (2, 2, N)
    bias: F8  # (2, W)
    mean_count: float  # n̄
    means: bool  # aggregates are means, not sums over n̄


class NodeSums(NamedTuple):
    """The batch, and the sums of its messages."""

    offsets: I8  # (J + 1,)
    groups: I8  # (G + 1,)
    values: F8  # (N, 3, C): diagonal, column, row
    counts: F4


class NodeGrads(NamedTuple):
    """Gradients in the shapes of what they belong to; those of parameters once per group."""

    values: F8  # (N, 3, C)
    norm: F8  # of scale and shift, (G, 2, N)
    node: F4  # (G, 3, 3, N, W)
    node_exponent: F8
    jet: F8  # (G, 2, 2, N, W)
    jet_exponent: F8
    bias: F8  # (G, 2, W)


class _Aggregates(NamedTuple):
    """A jet's aggregates, and the powers of n/n̄ by which each layer input is multiplied."""

    nodes: F8  # (n, 3, N)
    values: F4  # the same in float32, (n, 3 N)
    jet: F8  # trace and total, (2, N)
    node_powers: F8  # (3, 3, N)
    jet_powers: F8  # (2, 2, N)


@inner
def _make_aggregates(nodes: int, narrow: int) -> _Aggregates:
    return _Aggregates(
        np.empty((nodes, 3, narrow)), aligned_rows(nodes + MARGIN, 3 * narrow), np.empty((2, narrow)),
        np.empty((3, 3, narrow)), np.empty((2, 2, narrow)),
    )  # fmt: skip


@njit
def terms_forward(weights: NodeWeights, sums: NodeSums, terms: F4, first: int, last: int) -> None:
    """Terms (3, N, W) of the nodes of some groups."""
    narrow, wide, block = len(weights.scale), weights.bias.shape[1], block_width(weights.wide)
    most, rows = _largest(sums, first, last), tile_rows(weights.wide)
    aggregates, matrix = _make_aggregates(most, narrow), np.empty(weights.node.shape[1:], np.float32)
    out, starts = aligned_rows(most + MARGIN, wide), np.zeros((3, wide), np.float32)
    values, powers, coefficients = aggregates.values, aggregates.node_powers, weights.node
    for jet in range(sums.groups[first], sums.groups[last]):
        start, n = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet]
        _aggregate(weights, sums, jet, aggregates)
        for target in range(2):
            _jet_terms(weights, target, aggregates, starts[2 * target])
        for target in range(3):
            for b in range(wide // block):
                for k in range(3 * narrow):
                    at = (b * 3 * narrow + k) * block
                    scaled_row(
                        weights.wide, matrix, at, coefficients, target * matrix.size + at,
                        np.float32(powers[target, k // narrow, k % narrow]),
                    )  # fmt: skip
                for i in range(0, n, rows):
                    node_tile(
                        weights.wide, values, i * 3 * narrow, 3 * narrow, 3 * narrow, matrix, b * 3 * narrow * block,
                        starts, target * wide + b * block, out, i * wide + b * block, wide,
                    )  # fmt: skip
            found = terms[target]
            for i in range(n):
                for c in range(wide):
                    found[start + i, c] = out[i, c]


@inner
def _largest(sums: NodeSums, first: int, last: int) -> int:
    most = 0
    for jet in range(sums.groups[first], sums.groups[last]):
        most = max(most, sums.offsets[jet + 1] - sums.offsets[jet])
    return most


@inner
def _norm(weights: NodeWeights, n: int) -> float:
    return float(max(n, 1)) if weights.means else weights.mean_count


@inner
def _log_ratio(weights: NodeWeights, n: int) -> float:
    return float(np.log(max(n, 1) / weights.mean_count))


@inner
def _aggregate(weights: NodeWeights, sums: NodeSums, jet: int, out: _Aggregates) -> None:
    """Normalised aggregates of a jet's nodes, trace and total, and powers of n/n̄."""
    start, n, narrow = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet], len(weights.scale)
    share, scale, shift = 1 / _norm(weights, n), weights.scale, weights.shift
    nodes, values, jet_sums = out.nodes, out.values, out.jet
    jet_sums[:] = 0.0
    for i in range(n):
        for source in range(3):
            given, counts = sums.values[start + i, source], sums.counts[start + i, source]
            factor = share if source > 0 else 1.0
            for k in range(narrow):
                value = (scale[k] * given[k] + shift[k] * counts[k]) * factor
                nodes[i, source, k] = value
                values[i, source * narrow + k] = value
        for k in range(narrow):
            jet_sums[0, k] += nodes[i, 0, k] * share
            jet_sums[1, k] += nodes[i, 2, k] * share
    log_ratio = _log_ratio(weights, n)
    powers(weights.node_exponent, log_ratio, out.node_powers)
    powers(weights.jet_exponent, log_ratio, out.jet_powers)


@inner
def _jet_terms(weights: NodeWeights, target: int, aggregates: _Aggregates, out: F4) -> None:
    """What trace and total add to all pairs, or to the diagonal."""
    total, coefficients = weights.bias[target].copy(), weights.jet
    given, powers = aggregates.jet, aggregates.jet_powers
    for source in range(2):
        for k in range(given.shape[1]):
            value, row = given[source, k] * powers[target, source, k], coefficients[target, source, k]
            for c in range(len(total)):
                total[c] += value * row[c]
    for c in range(len(total)):
        out[c] = total[c]


@njit
def terms_backward(
    weights: NodeWeights, sums: NodeSums, grad_terms: F4, grads: NodeGrads, first: int, last: int
) -> None:
    """Gradients of some groups from those of the terms, (3, N, W)."""
    narrow, wide, block = len(weights.scale), weights.bias.shape[1], block_width(weights.narrow)
    most, rows = _largest(sums, first, last), tile_rows(weights.narrow)
    aggregates, found = _make_aggregates(most, narrow), aligned_rows(most + MARGIN, narrow)
    given, product = aligned_rows(most + MARGIN, wide), aligned_rows(narrow + MARGIN, wide)
    zeros, grad_jet_terms = np.zeros(narrow, np.float32), np.empty((2, wide))
    grad_nodes, grad_jet = np.empty((most, 3, narrow)), np.empty((2, narrow))
    for group in range(first, last):
        for jet in range(sums.groups[group], sums.groups[group + 1]):
            start, n = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet]
            log_ratio = _log_ratio(weights, n)
            _aggregate(weights, sums, jet, aggregates)
            grad_nodes[:n] = 0.0
            grad_jet_terms[:] = 0.0
            for target in range(3):
                arriving = grad_terms[target]
                for i in range(n):
                    for c in range(wide):
                        given[i, c] = arriving[start + i, c]
                if target != 1:
                    total = grad_jet_terms[target // 2]
                    for i in range(n):
                        for c in range(wide):
                            total[c] += given[i, c]
                for source in range(3):
                    powers = aggregates.node_powers[target, source]
                    _outer(weights, aggregates.values, source * narrow, n, given, product)
                    _grad_weights(
                        product, weights.node_rows[target, source], powers, log_ratio,
                        grads.node[group, target, source], grads.node_exponent[group, target, source],
                    )  # fmt: skip
                    transposed = weights.node_transposed[target, source]
                    for b in range(narrow // block):
                        for i in range(0, n, rows):
                            node_tile(
                                weights.narrow, given, i * wide, wide, wide, transposed, b * wide * block, zeros,
                                b * block, found, i * narrow + b * block, narrow,
                            )  # fmt: skip
                    for i in range(n):
                        for k in range(narrow):
                            grad_nodes[i, source, k] += powers[k] * found[i, k]
            _through_jet_terms(weights, aggregates, log_ratio, grad_jet_terms, grads, group, grad_jet)
            _grad_sums(weights, sums, jet, grad_nodes, grad_jet, grads, group)


@inner
def _outer(weights: NodeWeights, values: F4, first: int, n: int, given: F4, out: F4) -> None:
    """valuesᵀ given over a jet's nodes, from one channel of the values on."""
    narrow, wide = len(weights.scale), given.shape[1]
    out[:] = np.float32(0)
    for c in range(0, wide, block_width(weights.wide)):
        for r in range(0, narrow, outer_rows(weights.wide, weights.narrow)):
            outer_tile(
                weights.wide, weights.narrow, values, first + r, values.shape[1], n, given, c, out, r * wide + c
            )  # fmt: skip


@inner
def _grad_weights(product: F4, matrix: F4, powers: F8, log_ratio: float, grad_matrix: F4, grad_exponent: F8) -> None:
    for k in range(len(powers)):
        power, total = np.float32(powers[k]), 0.0
        for c in range(matrix.shape[1]):
            total += product[k, c] * matrix[k, c]
            grad_matrix[k, c] += power * product[k, c]
        grad_exponent[k] += total * powers[k] * log_ratio


@inner
def _through_jet_terms(
    weights: NodeWeights, aggregates: _Aggregates, log_ratio: float, grad_terms: F8, grads: NodeGrads, group: int,
    grad_jet: F8,
) -> None:  # fmt: skip
    """Through what trace and total add to all pairs and to the diagonal."""
    grad_jet[:] = 0.0
    given, powers, coefficients, grad_coefficients = aggregates.jet, aggregates.jet_powers, weights.jet, grads.jet
    for target in range(2):
        arriving, grad_bias = grad_terms[target], grads.bias[group, target]
        for c in range(len(arriving)):
            grad_bias[c] += arriving[c]
        for source in range(2):
            grad_exponent = grads.jet_exponent[group, target, source]
            for k in range(grad_jet.shape[1]):
                power = powers[target, source, k]
                value, total = given[source, k] * power, 0.0
                row, grad_row = coefficients[target, source, k], grad_coefficients[group, target, source, k]
                for c in range(len(arriving)):
                    total += arriving[c] * row[c]
                    grad_row[c] += value * arriving[c]
                grad_jet[source, k] += power * total
                grad_exponent[k] += value * total * log_ratio


@inner
def _grad_sums(
    weights: NodeWeights, sums: NodeSums, jet: int, grad_nodes: F8, grad_jet: F8, grads: NodeGrads, group: int
) -> None:
    """From gradients of aggregates, trace and total to those of sums, and of BatchNorm."""
    start, n, narrow = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet], len(weights.scale)
    share, scale = 1 / _norm(weights, n), weights.scale
    grad_scale, grad_shift = grads.norm[group, 0], grads.norm[group, 1]
    for i in range(n):
        for source in range(3):
            given, counts = sums.values[start + i, source], sums.counts[start + i, source]
            out, arriving = grads.values[start + i, source], grad_nodes[i, source]
            for k in range(narrow):
                grad = arriving[k]
                if source == 0:
                    grad += grad_jet[0, k] * share
                else:
                    if source == 2:
                        grad += grad_jet[1, k] * share
                    grad *= share
                grad_scale[k] += grad * given[k]
                grad_shift[k] += grad * counts[k]
                out[k] = grad * scale[k]
