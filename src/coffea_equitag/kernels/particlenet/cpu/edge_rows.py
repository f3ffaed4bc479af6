"""Rows of a few edges of a training batch: values of the first layer, activations, and sums over rows.

Batch normalisation enters as y = scale z + shift; ẑ = inverse z + offset is the normalised value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import njit

__all__ = ["CHUNK", "ZERO", "Ends", "Norm", "activate", "add_moments", "add_projections", "first_layer"]

#: Edges worked on at once: whole tiles of 6 and of 12 rows.
CHUNK = 96
ZERO = np.float32(0.0)


class Ends(NamedTuple):
    """The graph, and what the first layer makes of an edge's two ends: z_p = own[receiver[p]] + other[sender[p]]."""

    own: F4  # (N, C): (A − B) x_i
    other: F4  # (N, C): B x_j; with phantoms (N + 1, C), the last row 0
    receiver: I8  # (P,)
    sender: I8


class Norm(NamedTuple):
    """A BatchNorm at work, (C,) each."""

    scale: F4
    shift: F4
    inverse: F4
    offset: F4


@njit
def first_layer(ends: Ends, begin: int, count: int, out: F4) -> None:
    """The first layer's values of a few edges."""
    for row in range(count):
        a, b, z = ends.own[ends.receiver[begin + row]], ends.other[ends.sender[begin + row]], out[row]
        for c in range(len(z)):
            z[c] = a[c] + b[c]


@njit
def activate(z: F4, first: int, count: int, norm: Norm, out: F4) -> None:
    """ReLU(y) of some rows of z; `out` may be z."""
    for row in range(count):
        source, target = z[first + row], out[row]
        for c in range(len(norm.scale)):
            value = source[c] * norm.scale[c] + norm.shift[c]
            target[c] = ZERO if value < ZERO else value


@njit
def add_moments(z: F4, count: int, moments: F8) -> None:
    """Add Σ z and Σ z² to moments (2, C)."""
    total, square = moments[0], moments[1]
    for row in range(count):
        values = z[row]
        for c in range(len(values)):
            value = np.float64(values[c])
            total[c] += value
            square[c] += value * value


@njit
def add_projections(grad_y: F4, z: F4, first: int, count: int, norm: Norm, sums: F8) -> None:
    """Add Σ ∂L/∂y and Σ ∂L/∂y ẑ to sums (2, C)."""
    total, projection = sums[0], sums[1]
    for row in range(count):
        gradient, values = grad_y[row], z[first + row]
        for c in range(len(gradient)):
            normalised = values[c] * norm.inverse[c] + norm.offset[c]
            total[c] += np.float64(gradient[c])
            projection[c] += np.float64(gradient[c] * normalised)
