"""Passes over the edges of a training batch, a few rows at a time: what lies between two BatchNorms.

A pass works on the edges ``first:last`` of one group of jets and adds to sums of that group alone. Batch
normalisation enters as ``scale z + shift``, and ẑ = ``inverse z + offset`` is the normalised value.
"""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import njit
from ...common.cpu.sparse_layer import bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, MARGIN, add_products, layer

__all__ = ["backward", "backward_first", "backward_last", "forward", "forward_first", "forward_last", "gather"]


#: Edges worked on at once: whole tiles of 6 and of 12 rows.
_CHUNK = 96
_ZERO = np.float32(0.0)


@njit
def gather(own: F4, other: F4, receiver: I8, sender: I8, begin: int, count: int, out: F4) -> None:
    """The first layer's values of a few edges."""
    for row in range(count):
        a, b, z = own[receiver[begin + row]], other[sender[begin + row]], out[row]
        for c in range(len(z)):
            z[c] = a[c] + b[c]


@njit
def forward_first(own: F4, other: F4, receiver: I8, sender: I8, moments: F8, first: int, last: int) -> None:
    """Sums of the first layer's values and of their squares, into moments (2, C)."""
    z = np.empty((_CHUNK, own.shape[1]), np.float32)
    for begin in range(first, last, _CHUNK):
        count = min(_CHUNK, last - begin)
        gather(own, other, receiver, sender, begin, count, z)
        _add_moments(z, count, moments)


@njit
def forward(
    own: F4,
    other: F4,
    receiver: I8,
    sender: I8,
    before: F4,
    scale: F4,
    shift: F4,
    weight: F4,
    zeros: F4,
    after: F4,
    moments: F8,
    first: int,
    last: int,
) -> None:
    """A layer's values (P, C) of those before it, (P, C') or, if that is empty, the first layer's; their moments.

    `before` and `after` may be one array.
    """
    gathers, depth, width = len(before) == 0, len(scale), after.shape[1]
    z, out = np.zeros((_CHUNK + MARGIN, depth), np.float32), np.empty((_CHUNK + MARGIN, width), np.float32)
    bits = bits_for(_CHUNK, depth)
    for begin in range(first, last, _CHUNK):
        count = min(_CHUNK, last - begin)
        if gathers:
            gather(own, other, receiver, sender, begin, count, z)
            _activate(z, 0, count, scale, shift, z)
        else:
            _activate(before, begin, count, scale, shift, z)
        sparse_layer(z, depth, weight, zeros, LINEAR, out, count, bits)
        for row in range(count):
            source, target = out[row], after[begin + row]
            for c in range(width):
                target[c] = source[c]
        _add_moments(out, count, moments)


@njit
def forward_last(z: F4, scale: F4, shift: F4, edges: I8, mean: F4, first: int, last: int) -> None:
    """The mean over each receiver's edges of the last activations, for receivers ``first:last``."""
    for i in range(first, last):
        total, begin, end = mean[i], edges[i], edges[i + 1]
        total[:] = _ZERO
        for p in range(begin, end):
            row = z[p]
            for c in range(len(total)):
                value = row[c] * scale[c] + shift[c]
                total[c] += _ZERO if value < _ZERO else value
        degree = np.float32(max(end - begin, 1))
        for c in range(len(total)):
            total[c] /= degree


@njit
def backward_last(
    z: F4,
    gradient: F4,
    receiver: I8,
    scale: F4,
    shift: F4,
    inverse: F4,
    offset: F4,
    sums: F8,
    first: int,
    last: int,
) -> None:
    """Sums (2, C) over edges of g and g ẑ, with g the gradient of the last normalised values; `gradient` is (N, C)."""
    g = np.empty((_CHUNK, z.shape[1]), np.float32)
    for begin in range(first, last, _CHUNK):
        count = min(_CHUNK, last - begin)
        _spread(z, gradient, receiver, scale, shift, begin, count, g)
        _add_projections(g, z, begin, count, inverse, offset, sums)


@njit
def backward(
    own: F4,
    other: F4,
    receiver: I8,
    sender: I8,
    before: F4,
    scale: F4,
    shift: F4,
    inverse: F4,
    offset: F4,
    z: F4,
    gradient: F4,
    top: tuple[F4, F4],
    step: tuple[F4, F4, F4],
    transposed: F4,
    zeros: F4,
    g_before: F4,
    d_weight: F4,
    sums: F8,
    first: int,
    last: int,
) -> None:
    """Back through one layer: from the gradient of its normalised values to that of the values before.

    Parameters
    ----------
    before, scale, shift, inverse, offset
        Values before the layer (empty: the first layer's) and their normalisation.
    z
        The layer's values (P, C).
    gradient
        Gradients of its normalised values (P, C); with `top`, those of the means, (N, C).
    top
        Scale and shift of the last layer, empty otherwise.
    step
        dz = a g + b z + c of the layer's own normalisation, (C,) each.
    transposed, zeros
        The matrix backwards, in blocks, and no bias.
    g_before
        Where the gradient of the normalised values before goes, (P, C'); it may be `gradient` or `z`.
    d_weight
        The matrix's gradient (C + margin, C'), added to.
    sums
        Sums (2, C') of g and g ẑ before, added to.
    """
    gathers, spreads, depth, width = len(before) == 0, len(top[0]) > 0, len(scale), z.shape[1]
    values, active = np.empty((_CHUNK, depth), np.float32), np.zeros((_CHUNK + MARGIN, depth), np.float32)
    g = np.zeros((_CHUNK + MARGIN, width), np.float32)
    out = np.empty((_CHUNK + MARGIN, depth), np.float32)
    for begin in range(first, last, _CHUNK):
        count = min(_CHUNK, last - begin)
        if spreads:
            _spread(z, gradient, receiver, top[0], top[1], begin, count, g)
        for row in range(count):
            value, target = z[begin + row], g[row]
            source = target if spreads else gradient[begin + row]
            for c in range(width):
                target[c] = step[0][c] * source[c] + (step[1][c] * value[c] + step[2][c])
        if gathers:
            gather(own, other, receiver, sender, begin, count, values)
        else:
            for row in range(count):
                source, target = before[begin + row], values[row]
                for c in range(depth):
                    target[c] = source[c]
        _activate(values, 0, count, scale, shift, active)
        add_products(g, active, 0, count, d_weight)
        layer(g, 0, width, transposed, zeros, LINEAR, out, 0, count)
        for row in range(count):
            a, source, target = active[row], out[row], g_before[begin + row]
            for c in range(depth):
                value = source[c] if a[c] > _ZERO else _ZERO
                source[c] = value
                target[c] = value
        _add_projections(out, values, 0, count, inverse, offset, sums)


@njit
def backward_first(
    own: F4,
    other: F4,
    receiver: I8,
    sender: I8,
    gradient: F4,
    step: tuple[F4, F4, F4],
    d_own: F4,
    d_other: F4,
    first: int,
    last: int,
) -> None:
    """Gradients of the first layer's parts, added to d_own and d_other (N, C)."""
    for p in range(first, last):
        i, j = receiver[p], sender[p]
        a, b, g, to_own, to_other = own[i], other[j], gradient[p], d_own[i], d_other[j]
        for c in range(len(a)):
            value = step[0][c] * g[c] + (step[1][c] * (a[c] + b[c]) + step[2][c])
            to_own[c] += value
            to_other[c] += value


@njit
def _activate(z: F4, first: int, count: int, scale: F4, shift: F4, out: F4) -> None:
    for row in range(count):
        source, target = z[first + row], out[row]
        for c in range(len(scale)):
            value = source[c] * scale[c] + shift[c]
            target[c] = _ZERO if value < _ZERO else value


@njit
def _spread(z: F4, gradient: F4, receiver: I8, scale: F4, shift: F4, begin: int, count: int, g: F4) -> None:
    """The receivers' gradients, where the last ReLU lets them through."""
    for row in range(count):
        value, source, target = z[begin + row], gradient[receiver[begin + row]], g[row]
        for c in range(len(scale)):
            target[c] = source[c] if value[c] * scale[c] + shift[c] > _ZERO else _ZERO


@njit
def _add_moments(z: F4, count: int, moments: F8) -> None:
    total, square = moments[0], moments[1]
    for row in range(count):
        values = z[row]
        for c in range(len(values)):
            value = np.float64(values[c])
            total[c] += value
            square[c] += value * value


@njit
def _add_projections(g: F4, z: F4, first: int, count: int, inverse: F4, offset: F4, sums: F8) -> None:
    total, projection = sums[0], sums[1]
    for row in range(count):
        gradient, values = g[row], z[first + row]
        for c in range(len(gradient)):
            normalised = values[c] * inverse[c] + offset[c]
            total[c] += np.float64(gradient[c])
            projection[c] += np.float64(gradient[c] * normalised)
