"""Backward through BatchNorm's statistics of the pairs, to nodes, edge scalars and Gram matrices."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ....array_types import F8
from ....compiled import inner, njit
from ...common.cpu.elementary import psi
from ..scalar_kinds import DELTA_R, INTERVAL
from .buffers import EdgeGradients, Jets
from .edge_scalars import SAME_DIRECTION, angle_between
from .edge_statistics import PairMeans

__all__ = ["NormGradient", "coordinates_backward", "gradient_sums", "gram_backward", "nodes_backward"]


class NormGradient(NamedTuple):
    """A pair's dL/dz = scale · dL/dẑ − shift + spread · (z − mean), ẑ without BatchNorm's weight in it; (C,) each."""

    scalar_weights: F8  # (2, C): a and b
    scale: F8
    shift: F8  # zeros for running statistics, as `spread`
    spread: F8


@njit
def gradient_sums(jets: Jets, found: EdgeGradients, means: PairMeans, out: F8, first: int, last: int) -> None:
    """Over nodes: Σ dL/dU, and Σ dL/dU (U − Ū) + Σ dL/dV (V − V̄); added to out (2, C)."""
    u, v, grad_u, grad_v, of_nodes = jets.u, jets.v, found.u, found.v, means.nodes
    for i in range(jets.offsets[first], jets.offsets[last]):
        for c in range(u.shape[1]):
            out[0, c] += grad_u[i, c]
            out[1, c] += grad_u[i, c] * (u[i, c] - of_nodes[0, c]) + grad_v[i, c] * (v[i, c] - of_nodes[1, c])


@njit
def nodes_backward(
    jets: Jets, means: PairMeans, norm: NormGradient, found: EdgeGradients, first: int, last: int
) -> None:
    """From gradients of the normalised U and V to those of U and V, in place."""
    u, v, grad_u, grad_v, of_nodes, rows = jets.u, jets.v, found.u, found.v, means.nodes, means.rows
    scale, shift, spread, a_b = norm.scale, norm.shift, norm.spread, norm.scalar_weights
    channels = u.shape[1]
    u_sum, v_sum = np.empty(channels), np.empty(channels)
    for jet in range(first, last):
        begin, end = jets.offsets[jet], jets.offsets[jet + 1]
        others = end - begin - 1
        u_sum[:] = 0
        v_sum[:] = 0
        for i in range(begin, end):
            for c in range(channels):
                u_sum[c] += u[i, c] - of_nodes[0, c]
                v_sum[c] += v[i, c] - of_nodes[1, c]
        for i in range(begin, end):
            nu, pi = rows[i, 0] - others * means.scalars[0], rows[i, 1] - others * means.scalars[1]
            for c in range(channels):
                from_i, from_j = u[i, c] - of_nodes[0, c], v[i, c] - of_nodes[1, c]
                both = a_b[0, c] * nu + a_b[1, c] * pi
                z_u = others * from_i + v_sum[c] - from_j + both
                z_v = others * from_j + u_sum[c] - from_i + both
                grad_u[i, c] = scale[c] * grad_u[i, c] - others * shift[c] + spread[c] * z_u
                grad_v[i, c] = scale[c] * grad_v[i, c] - others * shift[c] + spread[c] * z_v


@njit
def gram_backward(
    jets: Jets, means: PairMeans, norm: NormGradient, found: EdgeGradients, first: int, last: int
) -> None:
    """Add to `found.gram` (Q,) the gradients of G from those of the edge scalars in `found.edge_scalars` (Q, 2).

    The statistics' part, Σ_c a_c (spread (z − mean) − shift)_c and the same with b, is added to the latter here.
    """
    gram, grad_gram, grad_scalars, mean_nu, mean_pi = (
        jets.gram, found.gram, found.edge_scalars, means.scalars[0], means.scalars[1],
    )  # fmt: skip
    weighted, products, shifts = _of_statistics(norm)
    # of ‖x_i − x_j‖² and x_i·x_j, or of ‖x_i + x_j‖²
    twice, both = (-2.0, True) if jets.kind == INTERVAL else (2.0, False)
    for jet in range(first, last):
        n, square = jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
        from_i, from_j = _of_nodes(jets, means, weighted, shifts, jet)
        diagonal, columns, rows, norms = np.empty(n), np.zeros(n), np.empty(n), np.empty(n)
        psi_norms, psi_dots = np.empty(n, np.float32), np.zeros(n, np.float32)
        for i in range(n):
            diagonal[i] = gram[square + i * n + i]
        for i in range(n):
            at = square + i * n
            for j in range(n):
                dot = gram[at + j]
                norms[j] = diagonal[i] + diagonal[j] + twice * dot
                psi_norms[j] = psi(norms[j])
                if both:
                    psi_dots[j] = psi(dot)
            row = 0.0
            for j in range(n):
                dot, nu, pi = gram[at + j], psi_norms[j] - mean_nu, psi_dots[j] - mean_pi
                grad_nu = grad_scalars[at + j, 0] + from_i[i, 0] + from_j[j, 0]
                grad_nu += products[0, 0] * nu + products[0, 1] * pi
                grad_pi = grad_scalars[at + j, 1] + from_i[i, 1] + from_j[j, 1]
                grad_pi += products[1, 0] * nu + products[1, 1] * pi
                # ψ′ = 1 / (1 + |x|)
                grad_norm = 0.0 if j == i else grad_nu / (1 + abs(norms[j]))
                grad_gram[at + j] += 0.0 if j == i else grad_pi / (1 + abs(dot)) + twice * grad_norm
                columns[j] += grad_norm
                row += grad_norm
            rows[i] = row
        for i in range(n):
            grad_gram[square + i * n + i] += rows[i] + columns[i]


@njit
def coordinates_backward(
    jets: Jets, means: PairMeans, norm: NormGradient, found: EdgeGradients, first: int, last: int
) -> None:
    """The same for scalars made of coordinates, (w_i + w_j) ΔR_ij or w_i + w_j: into `found.coordinates` (N, 3)."""
    y, grad_y, grad_scalars, angles = jets.coordinates, found.coordinates, found.edge_scalars, jets.kind >= DELTA_R
    weighted, products, shifts = _of_statistics(norm)
    for jet in range(first, last):
        start, n, square = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
        from_i, from_j = _of_nodes(jets, means, weighted, shifts, jet)
        grad_y[start : start + n] = 0
        for i in range(start, start + n):
            for j in range(start, start + n):
                if j == i:
                    continue
                total, eta, phi, square_r, delta_r = y[i, 0] + y[j, 0], 0.0, 0.0, 1.0, 1.0
                if angles:
                    eta, phi = y[i, 1] - y[j, 1], angle_between(y[i, 2], y[j, 2])
                    square_r = eta * eta + phi * phi
                    delta_r = math.sqrt(max(square_r, SAME_DIRECTION))
                value = total * delta_r
                grad = (
                    grad_scalars[square + (i - start) * n + j - start, 0] + from_i[i - start, 0] + from_j[j - start, 0]
                )
                grad += products[0, 0] * (psi(value) - means.scalars[0])
                # ψ′ = 1 / (1 + |x|)
                grad /= 1 + abs(value)
                grad_y[i, 0] += grad * delta_r
                grad_y[j, 0] += grad * delta_r
                if angles and square_r >= SAME_DIRECTION:
                    scale = grad * total / delta_r
                    grad_y[i, 1] += scale * eta
                    grad_y[j, 1] -= scale * eta
                    grad_y[i, 2] += scale * phi
                    grad_y[j, 2] -= scale * phi


@inner
def _of_statistics(norm: NormGradient) -> tuple[F8, F8, F8]:
    """Spread times a and b (2, C); its products with them, summed over channels, (2, 2); and shift times a and b."""
    a_b = norm.scalar_weights
    products, shifts, weighted = np.zeros((2, 2)), np.zeros(2), np.empty(a_b.shape)
    for s in range(2):
        for c in range(a_b.shape[1]):
            weighted[s, c] = norm.spread[c] * a_b[s, c]
            shifts[s] += norm.shift[c] * a_b[s, c]
            for t in range(2):
                products[s, t] += weighted[s, c] * a_b[t, c]
    return weighted, products, shifts


@inner
def _of_nodes(jets: Jets, means: PairMeans, weighted: F8, shifts: F8, jet: int) -> tuple[F8, F8]:
    """What U_i and V_j add to the gradients of the edge scalars of one jet, (n, 2) each."""
    u, v, of_nodes, start = jets.u, jets.v, means.nodes, jets.offsets[jet]
    n = jets.offsets[jet + 1] - start
    from_i, from_j = np.zeros((n, 2)), np.zeros((n, 2))
    for i in range(n):
        for s in range(2):
            u_sum, v_sum = 0.0, 0.0
            for c in range(u.shape[1]):
                u_sum += weighted[s, c] * (u[start + i, c] - of_nodes[0, c])
                v_sum += weighted[s, c] * (v[start + i, c] - of_nodes[1, c])
            from_i[i, s], from_j[i, s] = u_sum - shifts[s], v_sum
    return from_i, from_j
