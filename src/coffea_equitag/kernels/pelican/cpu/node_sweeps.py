"""PELICAN's training on the nodes of jets, forth and back: from sums of messages to the terms of a 2→2 layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from .forward import MARGIN
from .pair_encoding import exp
from .pair_gradient_tile import outer_rows, outer_tile
from .pair_shapes import Columns
from .pair_tile import block_of, mixed_rows, node_tile, scaled_row

__all__ = ["NodeSlopes", "NodeWeights", "Sums", "terms_back", "terms_forth"]


class NodeWeights(NamedTuple):
    """Parameters; letters and layouts as in `PelicanWeights`, targets u, v, d and sources diagonal, column, row."""

    narrow: Columns
    wide: Columns
    scale: F8  # BatchNorm and dropout, (N,)
    shift: F8
    node: F4  # (3, W / B, 3 N, B): targets, below each other the sources
    node_plain: F4  # (3, 3, N, W)
    node_back: F4  # (3, 3, N / B, W, B)
    node_exponent: F8  # (3, 3, N), 0 of the diagonal
    whole: F8  # trace and total into u and d, (2, 2, N, W)
    whole_exponent: F8  # (2, 2, N)
    bias: F8  # (2, W)
    mean_count: float
    means: bool  # not sums over n̄


class Sums(NamedTuple):
    """The batch, and what was summed of its messages."""

    offsets: I8  # (J + 1,)
    groups: I8  # (G + 1,)
    values: F8  # (N, 3, C): diagonal, column, row
    counts: F4


class NodeSlopes(NamedTuple):
    """Slopes in the shapes of what they belong to, of parameters a group each."""

    values: F8  # (N, 3, C)
    norm: F8  # of scale and shift, (G, 2, N)
    node: F4  # (G, 3, 3, N, W)
    node_exponent: F8
    whole: F8  # (G, 2, 2, N, W)
    whole_exponent: F8
    bias: F8  # (G, 2, W)


@njit
def terms_forth(weights: NodeWeights, sums: Sums, terms: F4, first: int, last: int) -> None:
    """Terms (3, N, W) of the nodes of some groups."""
    narrow, wide, block = len(weights.scale), weights.bias.shape[1], block_of(weights.wide)
    most, rows = _largest(sums, first, last), mixed_rows(weights.wide)
    values, matrix = aligned_rows(most + MARGIN, 3 * narrow), np.empty(weights.node.shape[1:], np.float32)
    out, starts = aligned_rows(most + MARGIN, wide), np.zeros((3, wide), np.float32)
    aggregates, whole = np.empty((most, 3, narrow)), np.empty((2, narrow))
    node_powers, whole_powers = np.empty((3, 3, narrow)), np.empty((2, 2, narrow))
    for jet in range(sums.groups[first], sums.groups[last]):
        start, n = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet]
        _aggregate(weights, sums, jet, aggregates, whole, values)
        _powers(weights, n, node_powers, whole_powers)
        for target in range(2):
            _of_whole(weights, target, whole, whole_powers, starts[2 * target])
        for target in range(3):
            for b in range(wide // block):
                for k in range(3 * narrow):
                    at = (b * 3 * narrow + k) * block
                    scaled_row(
                        weights.wide, matrix, at, weights.node, target * matrix.size + at,
                        np.float32(node_powers[target, k // narrow, k % narrow]),
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
def _largest(sums: Sums, first: int, last: int) -> int:
    most = 0
    for jet in range(sums.groups[first], sums.groups[last]):
        most = max(most, sums.offsets[jet + 1] - sums.offsets[jet])
    return most


@inner
def _norm(weights: NodeWeights, n: int) -> float:
    return float(max(n, 1)) if weights.means else weights.mean_count


@inner
def _aggregate(weights: NodeWeights, sums: Sums, jet: int, aggregates: F8, whole: F8, values: F4) -> None:
    """Normalised aggregates of a jet's nodes, in both precisions; trace and total."""
    start, n, narrow = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet], len(weights.scale)
    share = 1 / _norm(weights, n)
    whole[:] = 0.0
    for i in range(n):
        for source in range(3):
            given, counts = sums.values[start + i, source], sums.counts[start + i, source]
            factor = share if source > 0 else 1.0
            for k in range(narrow):
                value = (weights.scale[k] * given[k] + weights.shift[k] * counts[k]) * factor
                aggregates[i, source, k] = value
                values[i, source * narrow + k] = value
        for k in range(narrow):
            whole[0, k] += aggregates[i, 0, k] * share
            whole[1, k] += aggregates[i, 2, k] * share


@inner
def _powers(weights: NodeWeights, n: int, node: F8, whole: F8) -> None:
    log_ratio = np.log(max(n, 1) / weights.mean_count)
    for a in range(3):
        for b in range(3):
            for k in range(node.shape[2]):
                node[a, b, k] = exp(weights.node_exponent[a, b, k] * log_ratio)
    for a in range(2):
        for b in range(2):
            for k in range(node.shape[2]):
                whole[a, b, k] = exp(weights.whole_exponent[a, b, k] * log_ratio)


@inner
def _of_whole(weights: NodeWeights, target: int, whole: F8, powers: F8, out: F4) -> None:
    """What trace and total give to all pairs, or to the diagonal."""
    total = weights.bias[target].copy()
    for source in range(2):
        for k in range(whole.shape[1]):
            value, row = whole[source, k] * powers[target, source, k], weights.whole[target, source, k]
            for c in range(len(total)):
                total[c] += value * row[c]
    for c in range(len(total)):
        out[c] = total[c]


@njit
def terms_back(weights: NodeWeights, sums: Sums, arriving: F4, slopes: NodeSlopes, first: int, last: int) -> None:
    """Slopes of some groups from those of the terms, (3, N, W)."""
    narrow, wide, block = len(weights.scale), weights.bias.shape[1], block_of(weights.narrow)
    most, rows = _largest(sums, first, last), mixed_rows(weights.narrow)
    values, found = aligned_rows(most + MARGIN, 3 * narrow), aligned_rows(most + MARGIN, narrow)
    given, product = aligned_rows(most + MARGIN, wide), aligned_rows(narrow + MARGIN, wide)
    zeros, of_jet = np.zeros(narrow, np.float32), np.empty((2, wide))
    aggregates, whole = np.empty((most, 3, narrow)), np.empty((2, narrow))
    of_aggregates, of_whole = np.empty((most, 3, narrow)), np.empty((2, narrow))
    node_powers, whole_powers = np.empty((3, 3, narrow)), np.empty((2, 2, narrow))
    for group in range(first, last):
        for jet in range(sums.groups[group], sums.groups[group + 1]):
            start, n = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet]
            log_ratio = np.log(max(n, 1) / weights.mean_count)
            _aggregate(weights, sums, jet, aggregates, whole, values)
            _powers(weights, n, node_powers, whole_powers)
            of_aggregates[:n] = 0.0
            of_jet[:] = 0.0
            for target in range(3):
                above = arriving[target]
                for i in range(n):
                    for c in range(wide):
                        given[i, c] = above[start + i, c]
                if target != 1:
                    total = of_jet[target // 2]
                    for i in range(n):
                        for c in range(wide):
                            total[c] += given[i, c]
                for source in range(3):
                    powers = node_powers[target, source]
                    _outer(weights, values, source * narrow, n, given, product)
                    _to_weights(
                        product, weights.node_plain[target, source], powers, log_ratio,
                        slopes.node[group, target, source], slopes.node_exponent[group, target, source],
                    )  # fmt: skip
                    back = weights.node_back[target, source]
                    for b in range(narrow // block):
                        for i in range(0, n, rows):
                            node_tile(
                                weights.narrow, given, i * wide, wide, wide, back, b * wide * block, zeros, b * block,
                                found, i * narrow + b * block, narrow,
                            )  # fmt: skip
                    for i in range(n):
                        for k in range(narrow):
                            of_aggregates[i, source, k] += powers[k] * found[i, k]
            _whole_back(weights, whole, whole_powers, log_ratio, of_jet, slopes, group, of_whole)
            _to_sums(weights, sums, jet, of_aggregates, of_whole, slopes, group)


@inner
def _outer(weights: NodeWeights, values: F4, first: int, n: int, given: F4, out: F4) -> None:
    """valuesᵀ given over a jet's nodes, from one column of the values on."""
    narrow, wide = len(weights.scale), given.shape[1]
    out[:] = np.float32(0)
    for c in range(0, wide, block_of(weights.wide)):
        for r in range(0, narrow, outer_rows(weights.wide, weights.narrow)):
            outer_tile(
                weights.wide, weights.narrow, values, first + r, values.shape[1], n, given, c, out, r * wide + c
            )  # fmt: skip


@inner
def _to_weights(product: F4, matrix: F4, powers: F8, log_ratio: float, of_matrix: F4, of_exponent: F8) -> None:
    for k in range(len(powers)):
        power, total = np.float32(powers[k]), 0.0
        for c in range(matrix.shape[1]):
            total += product[k, c] * matrix[k, c]
            of_matrix[k, c] += power * product[k, c]
        of_exponent[k] += total * powers[k] * log_ratio


@inner
def _whole_back(
    weights: NodeWeights,
    whole: F8,
    powers: F8,
    log_ratio: float,
    of_jet: F8,
    slopes: NodeSlopes,
    group: int,
    of_whole: F8,
) -> None:
    """Through what trace and total give to all pairs and to the diagonal."""
    of_whole[:] = 0.0
    for target in range(2):
        above, of_bias = of_jet[target], slopes.bias[group, target]
        for c in range(len(above)):
            of_bias[c] += above[c]
        for source in range(2):
            of_exponent = slopes.whole_exponent[group, target, source]
            for k in range(whole.shape[1]):
                value, total = whole[source, k] * powers[target, source, k], 0.0
                row, of_row = weights.whole[target, source, k], slopes.whole[group, target, source, k]
                for c in range(len(above)):
                    total += above[c] * row[c]
                    of_row[c] += value * above[c]
                of_whole[source, k] += powers[target, source, k] * total
                of_exponent[k] += value * total * log_ratio


@inner
def _to_sums(
    weights: NodeWeights, sums: Sums, jet: int, of_aggregates: F8, of_whole: F8, slopes: NodeSlopes, group: int
) -> None:
    """From slopes of aggregates, trace and total to those of sums, and of BatchNorm."""
    start, n, narrow = sums.offsets[jet], sums.offsets[jet + 1] - sums.offsets[jet], len(weights.scale)
    share = 1 / _norm(weights, n)
    of_scale, of_shift = slopes.norm[group, 0], slopes.norm[group, 1]
    for i in range(n):
        for source in range(3):
            given, counts = sums.values[start + i, source], sums.counts[start + i, source]
            out, above = slopes.values[start + i, source], of_aggregates[i, source]
            for k in range(narrow):
                slope = above[k]
                if source == 0:
                    slope += of_whole[0, k] * share
                else:
                    if source == 2:
                        slope += of_whole[1, k] * share
                    slope *= share
                of_scale[k] += slope * given[k]
                of_shift[k] += slope * counts[k]
                out[k] = slope * weights.scale[k]
