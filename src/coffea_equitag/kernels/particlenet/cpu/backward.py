"""Passes backward over the edges of a training batch, a few rows at a time: what lies between two BatchNorms.

A pass works on the edges ``first:last`` of one group of jets and adds to sums of that group alone.
"""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import njit
from ...common.cpu.batch_norm import Norm, activate, add_projections
from ...common.cpu.wide_dense import LINEAR, MARGIN, add_products, layer
from .edge_rows import CHUNK, ZERO, Ends, first_layer

__all__ = ["backward_first", "backward_layer", "backward_mean", "backward_pairs"]


@njit
def backward_mean(z: F4, grad_mean: F4, receiver: I8, norm: Norm, sums: F8, first: int, last: int) -> None:
    """Sums (2, C) over edges of ∂L/∂y and ∂L/∂y ẑ of the last layer, from gradients of the means, (N, C)."""
    grad_y = np.empty((CHUNK, z.shape[1]), np.float32)
    for begin in range(first, last, CHUNK):
        count = min(CHUNK, last - begin)
        _grad_of_last(z, grad_mean, receiver, norm, begin, count, grad_y)
        add_projections(grad_y, z, begin, count, norm, sums)


@njit
def backward_layer(
    ends: Ends,
    before: F4,
    norm: Norm,
    z: F4,
    grad_y: F4,
    last_norm: Norm,
    step: tuple[F4, F4, F4],
    transposed: F4,
    zeros: F4,
    grad_before: F4,
    grad_weight: F4,
    sums: F8,
    first: int,
    last: int,
) -> None:
    """Backward through one layer: from the gradient of its normalised values to that of the values before.

    Parameters
    ----------
    before, norm
        Values before the layer (empty: the first layer's) and their normalisation.
    z
        The layer's values (P, C).
    grad_y
        Gradients of its normalised values (P, C); with `last_norm`, those of the means, (N, C).
    last_norm
        The last layer's normalisation; empty arrays for another layer.
    step
        ∂L/∂z = a ∂L/∂y + b z + c of the layer's own normalisation, (C,) each.
    transposed, zeros
        The transposed matrix, in blocks, and no bias.
    grad_before
        Where the gradient of the normalised values before goes, (P, C'); it may be `grad_y` or `z`.
    grad_weight
        The matrix's gradient (C + margin, C'), added to.
    sums
        Sums (2, C') of ∂L/∂y and ∂L/∂y ẑ before, added to.
    """
    is_first, is_last, depth, width = len(before) == 0, len(last_norm.scale) > 0, len(norm.scale), z.shape[1]
    values, active = np.empty((CHUNK, depth), np.float32), np.zeros((CHUNK + MARGIN, depth), np.float32)
    grad_z = np.zeros((CHUNK + MARGIN, width), np.float32)
    out = np.empty((CHUNK + MARGIN, depth), np.float32)
    for begin in range(first, last, CHUNK):
        count = min(CHUNK, last - begin)
        if is_last:
            _grad_of_last(z, grad_y, ends.receiver, last_norm, begin, count, grad_z)
        for row in range(count):
            value, target = z[begin + row], grad_z[row]
            source = target if is_last else grad_y[begin + row]
            for c in range(width):
                target[c] = step[0][c] * source[c] + (step[1][c] * value[c] + step[2][c])
        if is_first:
            first_layer(ends, begin, count, values)
        else:
            for row in range(count):
                source, target = before[begin + row], values[row]
                for c in range(depth):
                    target[c] = source[c]
        activate(values, 0, count, norm, active)
        add_products(grad_z, active, 0, count, grad_weight)
        layer(grad_z, 0, width, transposed, zeros, LINEAR, out, 0, count)
        for row in range(count):
            a, source, target = active[row], out[row], grad_before[begin + row]
            for c in range(depth):
                value = source[c] if a[c] > ZERO else ZERO
                source[c] = value
                target[c] = value
        add_projections(out, values, 0, count, norm, sums)


@njit
def backward_first(
    ends: Ends, grad_y: F4, step: tuple[F4, F4, F4], grad_own: F4, grad_other: F4, first: int, last: int
) -> None:
    """Gradients of the first layer's parts, added to grad_own and grad_other (N, C); phantoms have none."""
    for p in range(first, last):
        i, j = ends.receiver[p], ends.sender[p]
        a, b, g, to_own = ends.own[i], ends.other[j], grad_y[p], grad_own[i]
        real = j < len(grad_own)
        to_other = grad_other[j if real else i]
        for c in range(len(a)):
            value = step[0][c] * g[c] + (step[1][c] * (a[c] + b[c]) + step[2][c])
            to_own[c] += value
            to_other[c] += value if real else ZERO


@njit
def backward_pairs(
    ends: Ends,
    grad_y: F4,
    step: tuple[F4, F4, F4],
    transposed: F4,
    zeros: F4,
    grad_own: F4,
    grad_other: F4,
    grad_features: F4,
    grad_pair: F4,
    first: int,
    last: int,
) -> None:
    """As `backward_first` with the pairwise patch: also gradients of its features (P, E), and of W_eᵀ, added up.

    `transposed` is W_eᵀ, in blocks; `grad_pair` (E + margin, C).
    """
    extra, width = ends.features.shape[1], ends.own.shape[1]
    grad_z, features = np.zeros((CHUNK + MARGIN, width), np.float32), np.zeros((CHUNK + MARGIN, extra), np.float32)
    z, out = np.empty((CHUNK, width), np.float32), np.empty((CHUNK + MARGIN, len(zeros)), np.float32)
    for begin in range(first, last, CHUNK):
        count = min(CHUNK, last - begin)
        first_layer(ends, begin, count, z)
        features[:count] = ends.features[begin : begin + count]
        for row in range(count):
            value, g, target = z[row], grad_y[begin + row], grad_z[row]
            to_own, to_other = grad_own[ends.receiver[begin + row]], grad_other[ends.sender[begin + row]]
            for c in range(width):
                target[c] = step[0][c] * g[c] + (step[1][c] * value[c] + step[2][c])
                to_own[c] += target[c]
                to_other[c] += target[c]
        add_products(features, grad_z, 0, count, grad_pair)
        layer(grad_z, 0, width, transposed, zeros, LINEAR, out, 0, count)
        grad_features[begin : begin + count] = out[:count, :extra]


@njit
def _grad_of_last(z: F4, grad_mean: F4, receiver: I8, norm: Norm, begin: int, count: int, grad_y: F4) -> None:
    """The receivers' gradients, where the last ReLU lets them through."""
    for row in range(count):
        value, source, target = z[begin + row], grad_mean[receiver[begin + row]], grad_y[row]
        for c in range(len(norm.scale)):
            target[c] = source[c] if value[c] * norm.scale[c] + norm.shift[c] > ZERO else ZERO
