"""BatchNorm's statistics over all pairs i ≠ j without a pass over their channels.

The rows are z_ij = U_i + V_j + a·ν_ij + b·π_ij, so their mean and variance follow from sums over nodes and from row
sums of the edge scalars ν and π. Sums are centred, in float64, and over fixed groups of jets: they do not depend on
the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F8
from ....compiled import njit
from .buffers import Jets, coordinates_of_jet, gram_of
from .edge_scalars import edge_scalars

__all__ = ["PairMeans", "ScalarSums", "centred_sums", "node_sums", "scalar_sums"]


class ScalarSums(NamedTuple):
    """Sums of the edge scalars ν and π, i ≠ j."""

    rows: F8  # (N, 2): Σ_j ν_ij and Σ_j π_ij
    squares: F8  # (J, 3): Σ ν², Σ νπ, Σ π²


class PairMeans(NamedTuple):
    """Means over the batch's pairs, and row sums; all zeros for running statistics."""

    nodes: F8  # (2, C): Ū and V̄
    scalars: F8  # (2,): of ν and π
    rows: F8  # (N, 2): Σ_j ν_ij and Σ_j π_ij


@njit
def scalar_sums(jets: Jets, found: ScalarSums, first: int, last: int) -> None:
    """Fill the sums of jets ``first:last``."""
    for jet in range(first, last):
        start, n = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet]
        nus, pis = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
        edge_scalars(jets.kind, gram_of(jets, jet), coordinates_of_jet(jets, jet), nus, pis)
        nu_nu, nu_pi, pi_pi = 0.0, 0.0, 0.0
        for i in range(n):
            nu_sum, pi_sum = 0.0, 0.0
            for j in range(n):
                if j != i:
                    nu, pi = np.float64(nus[i, j]), np.float64(pis[i, j])
                    nu_sum += nu
                    pi_sum += pi
                    nu_nu += nu * nu
                    nu_pi += nu * pi
                    pi_pi += pi * pi
            found.rows[start + i, 0], found.rows[start + i, 1] = nu_sum, pi_sum
        found.squares[jet, 0], found.squares[jet, 1], found.squares[jet, 2] = nu_nu, nu_pi, pi_pi


@njit
def node_sums(jets: Jets, out: F8, first: int, last: int) -> None:
    """Σ U_i and Σ V_j over the pairs of jets ``first:last``: added to out (2, C)."""
    u, v = jets.u, jets.v
    for jet in range(first, last):
        others = jets.offsets[jet + 1] - jets.offsets[jet] - 1
        for i in range(jets.offsets[jet], jets.offsets[jet + 1]):
            for c in range(u.shape[1]):
                out[0, c] += others * np.float64(u[i, c])
                out[1, c] += others * np.float64(v[i, c])


@njit
def centred_sums(jets: Jets, means: PairMeans, out: F8, first: int, last: int) -> None:
    """Σ (u_i + v_j)², Σ (u_i + v_j) ν and Σ (u_i + v_j) π over pairs, u = U − Ū, v = V − V̄; added to out (3, C)."""
    u, v, of_nodes, rows = jets.u, jets.v, means.nodes, means.rows
    channels = u.shape[1]
    u_sum, v_sum = np.empty(channels), np.empty(channels)
    for jet in range(first, last):
        others = jets.offsets[jet + 1] - jets.offsets[jet] - 1
        u_sum[:] = 0
        v_sum[:] = 0
        for i in range(jets.offsets[jet], jets.offsets[jet + 1]):
            nu, pi = rows[i, 0] - others * means.scalars[0], rows[i, 1] - others * means.scalars[1]
            for c in range(channels):
                from_i, from_j = u[i, c] - of_nodes[0, c], v[i, c] - of_nodes[1, c]
                u_sum[c] += from_i
                v_sum[c] += from_j
                out[0, c] += others * (from_i * from_i + from_j * from_j) - 2 * from_i * from_j
                out[1, c] += (from_i + from_j) * nu
                out[2, c] += (from_i + from_j) * pi
        for c in range(channels):
            out[0, c] += 2 * u_sum[c] * v_sum[c]
