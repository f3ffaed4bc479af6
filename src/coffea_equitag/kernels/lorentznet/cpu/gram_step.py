"""The step of LorentzNet's vectors on a jet's Gram matrix, G ← S G Sᵀ, and its way back; in double precision."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from .product import PRODUCT_COLUMNS, PRODUCT_ROWS, product_tile

__all__ = ["move_back", "move_forth"]


@inner
def move_forth(steps: F4, gram: F8, c_weight: float, moved: F8) -> None:
    """Write S G Sᵀ, with S of x_i ← x_i + c mean_j (x_i − x_j) w_ij; `steps` (n²,) are the w, `moved` is (n²,)."""
    n = len(gram)
    mixing = _mixing(steps, n, c_weight)
    found = _product(_product(mixing, _padded(gram), False), _turned(mixing), False)
    for i in range(n):
        for j in range(n):
            moved[i * n + j] = found[i, j]


@inner
def move_back(steps: F4, gram: F8, c_weight: float, slopes: F8, steps_slopes: F4) -> None:
    """From slopes of S G Sᵀ, (n²,), to those of the w, in `steps_slopes`, and of G, in place."""
    n = len(gram)
    mixing, moved = _mixing(steps, n, c_weight), _padded(slopes.reshape(n, n))
    both = _turned(moved)
    for i in range(n):
        for j in range(n):
            both[i, j] += moved[i, j]
    # ∂/∂S = (slopes + slopesᵀ) S G
    change = _product(both, _product(mixing, _padded(gram), False), False)
    scale = c_weight / max(n - 1, 1)
    found = _product(mixing, _product(moved, mixing, False), True)
    for i in range(n):
        for j in range(n):
            steps_slopes[i * n + j] = scale * (change[i, i] - change[i, j])
            slopes[i * n + j] = found[i, j]


@inner
def _mixing(steps: F4, n: int, c_weight: float) -> F8:
    """S, padded to whole tiles."""
    size = -(-n // PRODUCT_COLUMNS) * PRODUCT_COLUMNS
    scale = c_weight / max(n - 1, 1)
    mixing = np.zeros((size, size))
    for i in range(n):
        total = 0.0
        for j in range(n):
            if j != i:
                step = scale * steps[i * n + j]
                mixing[i, j] = -step
                total += step
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
def _product(left: F8, right: F8, turned: bool) -> F8:
    """left·right, or leftᵀ·right, of padded square matrices."""
    size = len(left)
    row, step = (1, size) if turned else (size, 1)
    out = np.empty((size, size))
    for c in range(0, size, PRODUCT_COLUMNS):
        for i in range(0, size, PRODUCT_ROWS):
            product_tile(left, i * row, row, step, right, c, size, size, out, i * size + c, size)
    return out


@inner
def _turned(matrix: F8) -> F8:
    out = np.empty_like(matrix)
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            out[i, j] = matrix[j, i]
    return out
