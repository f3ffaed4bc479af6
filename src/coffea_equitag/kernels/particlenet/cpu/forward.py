"""ParticleNet's edge convolution forward: fused for evaluation, in passes from BatchNorm to BatchNorm for training.

For evaluation, edges live in chunks of whole neighbourhoods that stay in the caches. A pass of training works on the
edges ``first:last`` of one group of jets and adds to sums of that group alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from ....array_types import F4, F8, I4, I8, U2
from ....compiled import inner, inner_by_type, njit
from ...common.cpu.batch_norm import Norm, activate, add_moments
from ...common.cpu.patch import PatchWeights, patch_rows
from ...common.cpu.sparse_layer import bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, MARGIN, RELU, layer, mean_row, sum_row, sum_row_of_three
from .edge_rows import CHUNK, ZERO, Ends, first_layer
from .weights import EdgeConvWeights

__all__ = ["convolve", "forward_first", "forward_layer", "forward_mean"]

#: Edges of a chunk, if no neighbourhood has more: three of 16 are whole tiles of 6 and of 12 rows.
_NEIGHBOURHOODS = 48


@njit
def convolve(
    weights: EdgeConvWeights,
    bf16: tuple[I4, ...] | None,
    patch: PatchWeights,
    x: F4,
    offsets: I8,
    edges: I8,
    sender: I8,
    scalars: F8,
    out: F4,
    first: int,
    last: int,
) -> None:
    """ReLU(shortcut + mean over the neighbours) of jets ``first:last``, into the first columns of `out`.

    `x` has `MARGIN` rows more than constituents; `scalars` (P, 1) are what the pairwise patch sees, if there is one. A
    sender beyond all constituents is a phantom, whose features are 0. `bf16` are the matrices of the edge network's
    later layers, if these are in bf16.
    """
    depth, extra = x.shape[1], patch.width
    largest, most = _largest(offsets, edges, first, last)
    inner, outer = len(weights.own_bias), len(weights.shortcut_bias)
    own, other = np.empty((largest + MARGIN, inner), np.float32), np.empty((largest + MARGIN, inner), np.float32)
    short = np.empty((largest + MARGIN, outer), np.float32)
    capacity, widest = max(_NEIGHBOURHOODS, most) + MARGIN, inner
    for bias in weights.edge_bias:
        widest = max(widest, len(bias))
    here, there = np.zeros(capacity * widest, np.float32), np.zeros(capacity * widest, np.float32)
    bits = bits_for(capacity, widest)
    pair_width = max(1, len(patch.first_bias))
    spare, further = np.empty((capacity, pair_width), np.float32), np.empty((capacity, pair_width), np.float32)
    from_pairs = np.zeros((capacity, inner), np.float32)
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        if n == 0:
            continue
        layer(x, start, depth, weights.own, weights.own_bias, LINEAR, own, 0, n)
        layer(x, start, depth, weights.other, weights.other_bias, LINEAR, other, 0, n)
        other[n] = ZERO  # a phantom
        layer(x, start, depth, weights.shortcut, weights.shortcut_bias, LINEAR, short, 0, n)
        degree = edges[start + 1] - edges[start]
        if degree == 0:
            _shortcut_alone(short, n, out, start)
            continue
        at_once = max(1, _NEIGHBOURHOODS // degree)
        for i_first in range(0, n, at_once):
            nodes = min(at_once, n - i_first)
            count, begin = nodes * degree, edges[start + i_first]
            rows = first_rows(bf16, here, capacity, inner)
            if extra:
                patch_rows(patch, scalars, begin, count, spare, further)
                layer(further, 0, extra, weights.pair, weights.zeros, LINEAR, from_pairs, 0, count)
                for row in range(count):
                    i, j = i_first + row // degree, sender[begin + row] - start
                    sum_row_of_three(own, i * inner, other, j * inner, from_pairs, rows, row)
            else:
                for row in range(count):
                    i, j = i_first + row // degree, min(sender[begin + row] - start, n)
                    sum_row(own, i * inner, other, j * inner, rows, row)
            edges_out = through_layers(weights, bf16, rows, here, there, count, bits)
            for i in range(nodes):
                place = (start + i_first + i) * out.shape[1]
                mean_row(edges_out, i * degree, degree, short, (i_first + i) * outer, out, place)


@inner_by_type
def first_rows(bf16: Any, *_: Any) -> Any:
    """The beginning of a buffer of float32 as rows (number, width), of bf16 if there are such matrices."""
    return _float32_rows if bf16 == types.none else _bf16_rows


def _float32_rows(bf16: None, buffer: F4, number: int, width: int) -> F4:
    return buffer[: number * width].reshape(number, width)


@inner
def _bf16_rows(bf16: Any, buffer: F4, number: int, width: int) -> U2:
    return buffer.view(np.uint16)[: number * width].reshape(number, width)


@inner_by_type
def through_layers(weights: EdgeConvWeights, bf16: Any, *_: Any) -> Any:
    """Rows of edges, which are in `here`, after the later layers of the edge network: float32, in either buffer."""
    return _through_float32 if bf16 == types.none else _through_bf16


def _through_float32(weights: EdgeConvWeights, bf16: None, rows: F4, here: F4, there: F4, count: int, bits: U2) -> F4:
    for level in range(len(weights.edge)):
        bias = weights.edge_bias[level]
        after = there[: len(rows) * len(bias)].reshape(len(rows), len(bias))
        sparse_layer(rows, weights.edge_inputs[level], weights.edge[level], bias, RELU, after, count, bits)
        rows, here, there = after, there, here
    return rows


def _through_bf16(
    weights: EdgeConvWeights, bf16: tuple[I4, ...], rows: U2, here: F4, there: F4, count: int, bits: U2
) -> F4:
    last = len(bf16) - 1
    for level in range(last):
        bias = weights.edge_bias[level]
        after = _bf16_rows(bf16, there, len(rows), len(bias))
        layer(rows, 0, bf16[level].shape[1], bf16[level], bias, RELU, after, 0, count)
        rows, here, there = after, there, here
    bias = weights.edge_bias[last]
    found = there[: len(rows) * len(bias)].reshape(len(rows), len(bias))
    layer(rows, 0, bf16[last].shape[1], bf16[last], bias, RELU, found, 0, count)
    return found


@njit
def _largest(offsets: I8, edges: I8, first: int, last: int) -> tuple[int, int]:
    """Most constituents of a jet, and most neighbours of a constituent."""
    largest, most = 1, 1
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        largest = max(largest, n)
        if n:
            most = max(most, edges[start + 1] - edges[start])
    return largest, most


@njit
def _shortcut_alone(short: F4, n: int, out: F4, start: int) -> None:
    for i in range(n):
        for c in range(short.shape[1]):
            value = short[i, c]
            out[start + i, c] = ZERO if value < 0 else value


@njit
def forward_first(ends: Ends, moments: F8, first: int, last: int) -> None:
    """Sums of the first layer's values and of their squares, into moments (2, C)."""
    z = np.empty((CHUNK, ends.own.shape[1]), np.float32)
    for begin in range(first, last, CHUNK):
        count = min(CHUNK, last - begin)
        first_layer(ends, begin, count, z)
        add_moments(z, count, moments)


@njit
def forward_layer(
    ends: Ends, before: F4, norm: Norm, weight: F4, zeros: F4, after: F4, moments: F8, first: int, last: int
) -> None:
    """A layer's values (P, C) of those before it, (P, C') or, if that is empty, the first layer's; their moments.

    `before` and `after` may be one array.
    """
    is_first, depth, width = len(before) == 0, len(norm.scale), after.shape[1]
    z, out = np.zeros((CHUNK + MARGIN, depth), np.float32), np.empty((CHUNK + MARGIN, width), np.float32)
    bits = bits_for(CHUNK, depth)
    for begin in range(first, last, CHUNK):
        count = min(CHUNK, last - begin)
        if is_first:
            first_layer(ends, begin, count, z)
            activate(z, 0, count, norm, z)
        else:
            activate(before, begin, count, norm, z)
        sparse_layer(z, depth, weight, zeros, LINEAR, out, count, bits)
        for row in range(count):
            source, target = out[row], after[begin + row]
            for c in range(width):
                target[c] = source[c]
        add_moments(out, count, moments)


@njit
def forward_mean(z: F4, norm: Norm, edges: I8, mean: F4, first: int, last: int) -> None:
    """The mean over each receiver's edges of the last activations, for receivers ``first:last``."""
    for i in range(first, last):
        total, begin, end = mean[i], edges[i], edges[i + 1]
        total[:] = ZERO
        for p in range(begin, end):
            row = z[p]
            for c in range(len(total)):
                value = row[c] * norm.scale[c] + norm.shift[c]
                total[c] += ZERO if value < ZERO else value
        degree = np.float32(max(end - begin, 1))
        for c in range(len(total)):
            total[c] /= degree
