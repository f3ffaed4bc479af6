"""LorentzNet's update of the vectors as the Gram step G ← S G Sᵀ of one jet, forward and backward, in float64."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from .product import PRODUCT_COLUMNS, PRODUCT_ROWS, product_tile

__all__ = ["gram_step", "gram_step_backward"]


@inner
def gram_step(phi_x: F4, gram: F8, c_weight: float, stepped: F8) -> None:
    """Write S G Sᵀ into `stepped` (n²,): S of x_i ← x_i + c mean_j (x_i − x_j) φ_x(m_ij), with `phi_x` (n²,)."""
    n = len(gram)
    mixing = _mixing(phi_x, n, c_weight)
    found = _product(_product(mixing, _padded(gram), False), _transposed(mixing), False)
    for i in range(n):
        for j in range(n):
            stepped[i * n + j] = found[i, j]


@inner
def gram_step_backward(phi_x: F4, gram: F8, c_weight: float, grad: F8, grad_phi_x: F4) -> None:
    """From dL/d(S G Sᵀ) in `grad` (n²,) to dL/dG, in its place, and to dL/dφ_x in `grad_phi_x` (n²,)."""
    n = len(gram)
    mixing, above = _mixing(phi_x, n, c_weight), _padded(grad.reshape(n, n))
    both = _transposed(above)
    for i in range(n):
        for j in range(n):
            both[i, j] += above[i, j]
    # with M = dL/d(S G Sᵀ): dL/dS = (M + Mᵀ) S G and dL/dG = Sᵀ M S
    grad_mixing = _product(both, _product(mixing, _padded(gram), False), False)
    scale = c_weight / max(n - 1, 1)
    found = _product(mixing, _product(above, mixing, False), True)
    for i in range(n):
        for j in range(n):
            grad_phi_x[i * n + j] = scale * (grad_mixing[i, i] - grad_mixing[i, j])
            grad[i * n + j] = found[i, j]


@inner
def _mixing(phi_x: F4, n: int, c_weight: float) -> F8:
    """S, padded to whole tiles."""
    size = -(-n // PRODUCT_COLUMNS) * PRODUCT_COLUMNS
    scale = c_weight / max(n - 1, 1)
    mixing = np.zeros((size, size))
    for i in range(n):
        total = 0.0
        for j in range(n):
            if j != i:
                share = scale * phi_x[i * n + j]
                mixing[i, j] = -share
                total += share
        mixing[i, i] = 1 + total
    return mixing


@inner
def _padded(matrix: F8) -> F8:
    n = len(matrix)
    size = -(-n // PRODUCT_COLUMNS) * PRODUCT_COLUMNS
    out = np.zeros((size, size))
    for i in range(n):
        for j in range(n):
            out[i, j] = matrix[i, j]
    return out


@inner
def _product(left: F8, right: F8, transposed: bool) -> F8:
    """left·right, or leftᵀ·right, of padded square matrices."""
    size = len(left)
    row, next_k = (1, size) if transposed else (size, 1)
    out = np.empty((size, size))
    for c in range(0, size, PRODUCT_COLUMNS):
        for i in range(0, size, PRODUCT_ROWS):
            product_tile(left, i * row, row, next_k, right, c, size, size, out, i * size + c, size)
    return out


@inner
def _transposed(matrix: F8) -> F8:
    out = np.empty_like(matrix)
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            out[i, j] = matrix[j, i]
    return out
