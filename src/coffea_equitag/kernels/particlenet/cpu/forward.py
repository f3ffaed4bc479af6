"""ParticleNet's edge convolution, fused: edges live in chunks of whole neighbourhoods that stay in the caches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, I8
from ....compiled import njit
from ...common.cpu.sparse_layer import bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, MARGIN, RELU, layer, mean_row, sum_row

__all__ = ["EdgeConvWeights", "convolve"]


#: Edges worked on at once, if no neighbourhood has more: three of 16 are whole tiles of 6 and of 12 rows.
_CHUNK = 48


class EdgeConvWeights(NamedTuple):
    """One convolution, BatchNorm folded in; matrices in blocks, biases padded.

    `own` and `other` are the first edge layer's parts of x_i and x_j.
    """

    own: F4
    own_bias: F4
    other: F4
    zeros: F4
    shortcut: F4
    shortcut_bias: F4
    pair: F4
    edge: tuple[F4, ...]
    edge_bias: tuple[F4, ...]
    edge_inputs: tuple[int, ...]


@njit
def convolve(
    weights: EdgeConvWeights,
    x: F4,
    offsets: I8,
    edges: I8,
    sender: I8,
    pairs: F4,
    out: F4,
    first: int,
    last: int,
) -> None:
    """ReLU(shortcut + mean over the neighbours) of jets ``first:last``, into the first columns of `out`.

    `x` has `MARGIN` rows more than constituents; `pairs` are the edges' further features, (P, 0) for none.
    """
    depth, extra = x.shape[1], pairs.shape[1]
    largest, most = 1, 1
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        largest = max(largest, n)
        if n:
            most = max(most, edges[start + 1] - edges[start])
    inner, outer = len(weights.own_bias), len(weights.shortcut_bias)
    own, other = np.empty((largest + MARGIN, inner), np.float32), np.empty((largest + MARGIN, inner), np.float32)
    short = np.empty((largest + MARGIN, outer), np.float32)
    capacity, widest = max(_CHUNK, most) + MARGIN, inner
    for bias in weights.edge_bias:
        widest = max(widest, len(bias))
    here, there = np.zeros(capacity * widest, np.float32), np.zeros(capacity * widest, np.float32)
    bits = bits_for(capacity, widest)
    further, from_pairs = np.zeros((capacity, extra), np.float32), np.zeros((capacity, inner), np.float32)
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        if n == 0:
            continue
        layer(x, start, depth, weights.own, weights.own_bias, LINEAR, own, 0, n)
        layer(x, start, depth, weights.other, weights.zeros, LINEAR, other, 0, n)
        layer(x, start, depth, weights.shortcut, weights.shortcut_bias, LINEAR, short, 0, n)
        degree = edges[start + 1] - edges[start]
        if degree == 0:
            for i in range(n):
                for c in range(outer):
                    value = short[i, c]
                    out[start + i, c] = np.float32(0) if value < 0 else value
            continue
        at_once = max(1, _CHUNK // degree)
        for i_first in range(0, n, at_once):
            nodes = min(at_once, n - i_first)
            count, begin = nodes * degree, edges[start + i_first]
            rows = here[: capacity * inner].reshape(capacity, inner)
            if extra:
                for row in range(count):
                    for c in range(extra):
                        further[row, c] = pairs[begin + row, c]
                layer(further, 0, extra, weights.pair, weights.zeros, LINEAR, from_pairs, 0, count)
                for row in range(count):
                    i, j = i_first + row // degree, sender[begin + row] - start
                    for c in range(inner):
                        value = own[i, c] + other[j, c] + from_pairs[row, c]
                        rows[row, c] = np.float32(0) if value < 0 else value
            else:
                for row in range(count):
                    i, j = i_first + row // degree, sender[begin + row] - start
                    sum_row(own, i * inner, other, j * inner, rows, row)
            for level in range(len(weights.edge)):
                bias = weights.edge_bias[level]
                after = there[: capacity * len(bias)].reshape(capacity, len(bias))
                sparse_layer(rows, weights.edge_inputs[level], weights.edge[level], bias, RELU, after, count, bits)
                rows, here, there = after, there, here
            for i in range(nodes):
                row = start + i_first + i
                mean_row(rows, i * degree, degree, short, (i_first + i) * outer, out, row * out.shape[1])
