"""Batch normalisation over all pairs i ≠ j without a pass over their channels.

The rows are z_ij = U_i + V_j + a·ν_ij + b·π_ij, so their mean and variance follow from sums over nodes and from row
sums of the scalars ν and π. Sums are centred, in double precision, and over fixed groups of jets: they do not depend
on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import njit
from ...common.cpu.elementary import psi
from .edge_scalars import edge_scalars

__all__ = ["ScalarSums", "back_to_gram", "back_to_nodes", "centred_sums", "node_sums", "scalar_sums", "slope_sums"]


class ScalarSums(NamedTuple):
    """Sums of the pairs' scalars ν = ψ(norm) and π = ψ(product), i ≠ j."""

    rows: F8  # (N, 2): Σ_j ν_ij and Σ_j π_ij
    squares: F8  # (J, 3): Σ ν², Σ νπ, Σ π²


@njit
def scalar_sums(gram: F8, offsets: I8, squares: I8, found: ScalarSums, first: int, last: int) -> None:
    """Fill the sums of jets ``first:last``."""
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        products = gram[squares[jet] : squares[jet + 1]].reshape(n, n)
        norms, dots = np.empty((n, n), np.float32), np.empty((n, n), np.float32)
        edge_scalars(products, norms, dots)
        first_square, mixed, second_square = 0.0, 0.0, 0.0
        for i in range(n):
            norm_sum, dot_sum = 0.0, 0.0
            for j in range(n):
                if j != i:
                    norm, dot = np.float64(norms[i, j]), np.float64(dots[i, j])
                    norm_sum += norm
                    dot_sum += dot
                    first_square += norm * norm
                    mixed += norm * dot
                    second_square += dot * dot
            found.rows[start + i, 0], found.rows[start + i, 1] = norm_sum, dot_sum
        found.squares[jet, 0], found.squares[jet, 1], found.squares[jet, 2] = first_square, mixed, second_square


@njit
def node_sums(u: F4, v: F4, offsets: I8, out: F8, first: int, last: int) -> None:
    """Σ_e U_i and Σ_e V_j over the pairs of jets ``first:last``: added to out (2, C)."""
    channels = u.shape[1]
    for jet in range(first, last):
        others = offsets[jet + 1] - offsets[jet] - 1
        for i in range(offsets[jet], offsets[jet + 1]):
            for c in range(channels):
                out[0, c] += others * np.float64(u[i, c])
                out[1, c] += others * np.float64(v[i, c])


@njit
def centred_sums(
    u: F4, v: F4, offsets: I8, rows: F8, means: F8, scalar_means: F8, out: F8, first: int, last: int
) -> None:
    """With u = U − Ū, v = V − V̄: Σ_e (u_i + v_j)², Σ_e (u_i + v_j) ν_ij and Σ_e (u_i + v_j) π_ij, added to out (3, C).

    ν and π have row sums `rows` (N, 2) and means `scalar_means` (2,).
    """
    channels = u.shape[1]
    u_sum, v_sum = np.empty(channels), np.empty(channels)
    for jet in range(first, last):
        others = offsets[jet + 1] - offsets[jet] - 1
        u_sum[:] = 0
        v_sum[:] = 0
        for i in range(offsets[jet], offsets[jet + 1]):
            norm, dot = rows[i, 0] - others * scalar_means[0], rows[i, 1] - others * scalar_means[1]
            for c in range(channels):
                from_i, from_j = u[i, c] - means[0, c], v[i, c] - means[1, c]
                u_sum[c] += from_i
                v_sum[c] += from_j
                out[0, c] += others * (from_i * from_i + from_j * from_j) - 2 * from_i * from_j
                out[1, c] += (from_i + from_j) * norm
                out[2, c] += (from_i + from_j) * dot
        for c in range(channels):
            out[0, c] += 2 * u_sum[c] * v_sum[c]


@njit
def back_to_nodes(
    u: F4,
    v: F4,
    offsets: I8,
    rows: F8,
    means: F8,
    scalar_means: F8,
    slopes: F8,
    scale: F8,
    shift: F8,
    spread: F8,
    u_slopes: F4,
    v_slopes: F4,
    first: int,
    last: int,
) -> None:
    """Slopes of U and V from those of the normalised ones, in place.

    A pair's slope is ``scale · its own − shift + spread · (z − mean)``, each (C,); a and b are `slopes` (2, C).
    """
    channels = u.shape[1]
    u_sum, v_sum = np.empty(channels), np.empty(channels)
    for jet in range(first, last):
        others = offsets[jet + 1] - offsets[jet] - 1
        u_sum[:] = 0
        v_sum[:] = 0
        for i in range(offsets[jet], offsets[jet + 1]):
            for c in range(channels):
                u_sum[c] += u[i, c] - means[0, c]
                v_sum[c] += v[i, c] - means[1, c]
        for i in range(offsets[jet], offsets[jet + 1]):
            norm, dot = rows[i, 0] - others * scalar_means[0], rows[i, 1] - others * scalar_means[1]
            for c in range(channels):
                from_i, from_j = u[i, c] - means[0, c], v[i, c] - means[1, c]
                both = slopes[0, c] * norm + slopes[1, c] * dot
                z_u = others * from_i + v_sum[c] - from_j + both
                z_v = others * from_j + u_sum[c] - from_i + both
                u_slopes[i, c] = scale[c] * u_slopes[i, c] - others * shift[c] + spread[c] * z_u
                v_slopes[i, c] = scale[c] * v_slopes[i, c] - others * shift[c] + spread[c] * z_v


@njit
def back_to_gram(
    gram: F8,
    u: F4,
    v: F4,
    offsets: I8,
    squares: I8,
    means: F8,
    scalar_means: F8,
    slopes: F8,
    shift: F8,
    spread: F8,
    scalar_slopes: F4,
    out: F8,
    first: int,
    last: int,
) -> None:
    """Add to `out` (Q,) the slopes of G from those of each pair's two scalars, (Q, 2).

    The statistics' part, Σ_c a_c (spread (z − mean) − shift)_c and the same with b, is added here.
    """
    channels = u.shape[1]
    # Σ_c of spread·(a, b)·(a, b), and of shift·(a, b)
    products, shifts, weighted = np.zeros((2, 2)), np.zeros(2), np.empty((2, channels))
    for s in range(2):
        for c in range(channels):
            weighted[s, c] = spread[c] * slopes[s, c]
            shifts[s] += shift[c] * slopes[s, c]
            for t in range(2):
                products[s, t] += weighted[s, c] * slopes[t, c]
    for jet in range(first, last):
        start, n, square = offsets[jet], offsets[jet + 1] - offsets[jet], squares[jet]
        from_i, from_j = np.zeros((n, 2)), np.zeros((n, 2))
        for i in range(n):
            for s in range(2):
                u_sum, v_sum = 0.0, 0.0
                for c in range(channels):
                    u_sum += weighted[s, c] * (u[start + i, c] - means[0, c])
                    v_sum += weighted[s, c] * (v[start + i, c] - means[1, c])
                from_i[i, s], from_j[i, s] = u_sum - shifts[s], v_sum
        own, columns, rows_slopes, norms = np.empty(n), np.zeros(n), np.empty(n), np.empty(n)
        psi_norms, psi_dots = np.empty(n, np.float32), np.empty(n, np.float32)
        for i in range(n):
            own[i] = gram[square + i * n + i]
        for i in range(n):
            at = square + i * n
            for j in range(n):
                dot = gram[at + j]
                norm = own[i] + own[j] - 2 * dot
                norms[j] = norm
                psi_norms[j], psi_dots[j] = psi(norm), psi(dot)
            row = 0.0
            for j in range(n):
                dot, norm = gram[at + j], norms[j]
                psi_norm, psi_dot = psi_norms[j] - scalar_means[0], psi_dots[j] - scalar_means[1]
                slope_norm = scalar_slopes[at + j, 0] + from_i[i, 0] + from_j[j, 0]
                slope_norm += products[0, 0] * psi_norm + products[0, 1] * psi_dot
                slope_dot = scalar_slopes[at + j, 1] + from_i[i, 1] + from_j[j, 1]
                slope_dot += products[1, 0] * psi_norm + products[1, 1] * psi_dot
                own_slope = 0.0 if j == i else slope_norm / (1 + abs(norm))
                out[at + j] += 0.0 if j == i else slope_dot / (1 + abs(dot)) - 2 * own_slope
                columns[j] += own_slope
                row += own_slope
            rows_slopes[i] = row
        for i in range(n):
            out[square + i * n + i] += rows_slopes[i] + columns[i]


@njit
def slope_sums(
    u_slopes: F4, v_slopes: F4, u: F4, v: F4, offsets: I8, means: F8, out: F8, first: int, last: int
) -> None:
    """Over nodes: Σ of U's slopes, and Σ of U's times (U − Ū) and V's times (V − V̄); added to out (2, C)."""
    channels = u.shape[1]
    for i in range(offsets[first], offsets[last]):
        for c in range(channels):
            out[0, c] += u_slopes[i, c]
            out[1, c] += u_slopes[i, c] * (u[i, c] - means[0, c]) + v_slopes[i, c] * (v[i, c] - means[1, c])
