"""LorentzNet's step of the vectors, on their Gram matrix; on themselves too for the official code's clamp."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiled import njit

__all__ = ["clamped_step", "cut_off", "move"]

_F8 = np.ndarray[Any, np.dtype[np.float64]]


@njit
def clamped_step(mixing: _F8, c_weight: float, clamp: float, x: _F8, excess: _F8) -> bool:  # pragma: no cover
    """Move x without the clamp, write what the clamp cuts off into `excess`; whether that is anything."""
    n = len(x)
    scale = c_weight / max(n - 1, 1)
    cuts = False
    before = x.copy()
    for i in range(n):
        for d in range(4):
            total, cut = 0.0, 0.0
            for j in range(n):
                if j == i:
                    continue
                raw = (before[i, d] - before[j, d]) * mixing[i, j]
                total += raw
                if raw > clamp:
                    cut += clamp - raw
                elif raw < -clamp:
                    cut += -clamp - raw
            x[i, d] = before[i, d] + scale * total
            excess[i, d] = scale * cut
            cuts = cuts or cut != 0
    return cuts


@njit
def cut_off(gram: _F8, x: _F8, excess: _F8) -> None:  # pragma: no cover
    """What the clamp cuts off, d_i, enters as (x + d)·(x + d)."""
    n = len(x)
    for i in range(n):
        for j in range(n):
            for d in range(4):
                sign = 1.0 if d == 0 else -1.0
                gram[i, j] += sign * (x[i, d] * excess[j, d] + excess[i, d] * (x[j, d] + excess[j, d]))
    for i in range(n):
        for d in range(4):
            x[i, d] += excess[i, d]


@njit
def move(mixing: _F8, c_weight: float, gram: _F8, half_moved: _F8) -> None:  # pragma: no cover
    """G ← S G Sᵀ with S of x_i ← x_i + c mean_j (x_i − x_j) w_ij; `mixing` holds w off its diagonal."""
    n = len(gram)
    scale = c_weight / max(n - 1, 1)
    for i in range(n):
        total = 0.0
        for j in range(n):
            if j != i:
                step = scale * mixing[i, j]
                mixing[i, j] = -step
                total += step
        mixing[i, i] = 1 + total
    _product(mixing, gram, half_moved)
    _product(half_moved, mixing.T.copy(), gram)


@njit
def _product(left: _F8, right: _F8, out: _F8) -> None:  # pragma: no cover
    """Write left·right of n × n matrices into out, summed in the order of k, four at a time."""
    n = len(left)
    whole = n - n % 4
    for i in range(n):
        row = out[i]
        for j in range(n):
            row[j] = 0.0
        for k in range(0, whole, 4):
            a, b, c, d = left[i, k], left[i, k + 1], left[i, k + 2], left[i, k + 3]
            for j in range(n):
                row[j] += (a * right[k, j] + b * right[k + 1, j]) + (c * right[k + 2, j] + d * right[k + 3, j])
        for k in range(whole, n):
            a = left[i, k]
            for j in range(n):
                row[j] += a * right[k, j]
