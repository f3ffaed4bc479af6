"""The edge scalars of LorentzNet: ψ(‖x_i − x_j‖²) and ψ(x_i·x_j)."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import njit
from ...common.cpu.elementary import psi

__all__ = ["edge_scalars"]


@njit
def edge_scalars(gram: F8, psi_norm: F4, psi_dot: F4) -> None:
    """Both for all pairs of one jet, (n, n) each, from its Gram matrix (n, n)."""
    n = len(gram)
    diagonal = np.empty(n)
    for i in range(n):
        diagonal[i] = gram[i, i]
    for i in range(n):
        square = diagonal[i]
        for j in range(n):
            psi_norm[i, j] = psi(square + diagonal[j] - 2 * gram[i, j])
        for j in range(n):
            psi_dot[i, j] = psi(gram[i, j])
