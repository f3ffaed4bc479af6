"""Backward through BatchNorm's statistics of the pairs, to nodes, edge scalars and Gram matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F8
from ....compiled import njit
from ...common.cpu.elementary import psi
from .buffers import EdgeGradients, Jets
from .edge_statistics import PairMeans

__all__ = ["NormGradient", "gradient_sums", "gram_backward", "nodes_backward"]


class NormGradient(NamedTuple):
    """A pair's dL/dz = scale · dL/dẑ − shift + spread · (z − mean), ẑ without BatchNorm's weight in it; (C,) each."""

    scalar_weights: F8  # (2, C): a and b
    scale: F8
    shift: F8  # zeros for running statistics, as `spread`
    spread: F8


@njit
def gradient_sums(jets: Jets, found: EdgeGradients, means: PairMeans, out: F8, first: int, last: int) -> None:
    """Over nodes: Σ dL/dU, and Σ dL/dU (U − Ū) + Σ dL/dV (V − V̄); added to out (2, C)."""
    channels = jets.u.shape[1]
    for i in range(jets.offsets[first], jets.offsets[last]):
        for c in range(channels):
            out[0, c] += found.u[i, c]
            from_u, from_v = jets.u[i, c] - means.nodes[0, c], jets.v[i, c] - means.nodes[1, c]
            out[1, c] += found.u[i, c] * from_u + found.v[i, c] * from_v


@njit
def nodes_backward(
    jets: Jets, means: PairMeans, norm: NormGradient, found: EdgeGradients, first: int, last: int
) -> None:
    """From gradients of the normalised U and V to those of U and V, in place."""
    channels = jets.u.shape[1]
    u_sum, v_sum = np.empty(channels), np.empty(channels)
    for jet in range(first, last):
        others = jets.offsets[jet + 1] - jets.offsets[jet] - 1
        u_sum[:] = 0
        v_sum[:] = 0
        for i in range(jets.offsets[jet], jets.offsets[jet + 1]):
            for c in range(channels):
                u_sum[c] += jets.u[i, c] - means.nodes[0, c]
                v_sum[c] += jets.v[i, c] - means.nodes[1, c]
        for i in range(jets.offsets[jet], jets.offsets[jet + 1]):
            nu = means.rows[i, 0] - others * means.scalars[0]
            pi = means.rows[i, 1] - others * means.scalars[1]
            for c in range(channels):
                from_i, from_j = jets.u[i, c] - means.nodes[0, c], jets.v[i, c] - means.nodes[1, c]
                both = norm.scalar_weights[0, c] * nu + norm.scalar_weights[1, c] * pi
                z_u = others * from_i + v_sum[c] - from_j + both
                z_v = others * from_j + u_sum[c] - from_i + both
                found.u[i, c] = norm.scale[c] * found.u[i, c] - others * norm.shift[c] + norm.spread[c] * z_u
                found.v[i, c] = norm.scale[c] * found.v[i, c] - others * norm.shift[c] + norm.spread[c] * z_v


@njit
def gram_backward(
    jets: Jets, means: PairMeans, norm: NormGradient, found: EdgeGradients, first: int, last: int
) -> None:
    """Add to `found.gram` (Q,) the gradients of G from those of the edge scalars in `found.edge_scalars` (Q, 2).

    The statistics' part, Σ_c a_c (spread (z − mean) − shift)_c and the same with b, is added to the latter here.
    """
    channels = jets.u.shape[1]
    # Σ_c of spread·(a, b)·(a, b), and of shift·(a, b)
    products, shifts, weighted = np.zeros((2, 2)), np.zeros(2), np.empty((2, channels))
    for s in range(2):
        for c in range(channels):
            weighted[s, c] = norm.spread[c] * norm.scalar_weights[s, c]
            shifts[s] += norm.shift[c] * norm.scalar_weights[s, c]
            for t in range(2):
                products[s, t] += weighted[s, c] * norm.scalar_weights[t, c]
    for jet in range(first, last):
        start, n, square = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
        from_i, from_j = np.zeros((n, 2)), np.zeros((n, 2))
        for i in range(n):
            for s in range(2):
                u_sum, v_sum = 0.0, 0.0
                for c in range(channels):
                    u_sum += weighted[s, c] * (jets.u[start + i, c] - means.nodes[0, c])
                    v_sum += weighted[s, c] * (jets.v[start + i, c] - means.nodes[1, c])
                from_i[i, s], from_j[i, s] = u_sum - shifts[s], v_sum
        diagonal, columns, rows, norms = np.empty(n), np.zeros(n), np.empty(n), np.empty(n)
        psi_norms, psi_dots = np.empty(n, np.float32), np.empty(n, np.float32)
        for i in range(n):
            diagonal[i] = jets.gram[square + i * n + i]
        for i in range(n):
            at = square + i * n
            for j in range(n):
                dot = jets.gram[at + j]
                norms[j] = diagonal[i] + diagonal[j] - 2 * dot
                psi_norms[j], psi_dots[j] = psi(norms[j]), psi(dot)
            row = 0.0
            for j in range(n):
                dot = jets.gram[at + j]
                nu, pi = psi_norms[j] - means.scalars[0], psi_dots[j] - means.scalars[1]
                grad_nu = found.edge_scalars[at + j, 0] + from_i[i, 0] + from_j[j, 0]
                grad_nu += products[0, 0] * nu + products[0, 1] * pi
                grad_pi = found.edge_scalars[at + j, 1] + from_i[i, 1] + from_j[j, 1]
                grad_pi += products[1, 0] * nu + products[1, 1] * pi
                # ψ′ = 1 / (1 + |x|)
                grad_norm = 0.0 if j == i else grad_nu / (1 + abs(norms[j]))
                found.gram[at + j] += 0.0 if j == i else grad_pi / (1 + abs(dot)) - 2 * grad_norm
                columns[j] += grad_norm
                row += grad_norm
            rows[i] = row
        for i in range(n):
            found.gram[square + i * n + i] += rows[i] + columns[i]
