"""What LorentzNet's edges see of two vectors: ψ of their distance and of their product."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import njit
from ...common.cpu.elementary import psi

__all__ = ["edge_scalars"]


@njit
def edge_scalars(gram: F8, psi_norm: F4, psi_product: F4) -> None:
    """ψ(‖x_i − x_j‖²) and ψ(x_i·x_j) of all pairs of one jet, from its Gram matrix."""
    n = len(gram)
    diagonal = np.empty(n)
    for i in range(n):
        diagonal[i] = gram[i, i]
    for i in range(n):
        square = diagonal[i]
        for j in range(n):
            psi_norm[i, j] = psi(square + diagonal[j] - 2 * gram[i, j])
        for j in range(n):
            psi_product[i, j] = psi(gram[i, j])
