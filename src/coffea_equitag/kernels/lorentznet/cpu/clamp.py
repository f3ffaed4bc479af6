"""The step of the vectors themselves, and the official LorentzNet's clamp of the components of (x_i − x_j) φ_x.

Without the clamp x becomes x° = S x, and G becomes S G Sᵀ; the clamp adds its excess d to x°. See ``../README.md``.
"""

from __future__ import annotations

from ....array_types import F4, F8
from ....compiled import inner

__all__ = ["clamped_step", "clamped_step_backward", "cut_off", "cut_off_backward"]


@inner
def clamped_step(phi_x: F4, c_weight: float, clamp: float, x: F8, excess: F8) -> bool:
    """Update x (n, 4) without the clamp and write into `excess` what the clamp adds to it; whether that is anything."""
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
                raw = (before[i, d] - before[j, d]) * phi_x[i * n + j]
                total += raw
                if raw > clamp:
                    cut += clamp - raw
                elif raw < -clamp:
                    cut += -clamp - raw
            x[i, d] = before[i, d] + scale * total
            excess[i, d] = scale * cut
            cuts = cuts or cut != 0
    return cuts


@inner
def cut_off(gram: F8, x: F8, excess: F8) -> None:
    """Let the excess d_i enter: G_ij ← (x_i + d_i)·(x_j + d_j), and x_i ← x_i + d_i."""
    n = len(x)
    for i in range(n):
        for j in range(n):
            for d in range(4):
                sign = 1.0 if d == 0 else -1.0
                gram[i, j] += sign * (x[i, d] * excess[j, d] + excess[i, d] * (x[j, d] + excess[j, d]))
    for i in range(n):
        for d in range(4):
            x[i, d] += excess[i, d]


@inner
def cut_off_backward(moved: F8, excess: F8, grad_gram: F8, grad_free: F8, grad_excess: F8) -> None:
    """Through `cut_off` of one jet: from dL/dG (n, n) after it to what is added to dL/dx° and to dL/dd, (n, 4) each.

    Both come with dL/dx after it; `moved` are the vectors then.
    """
    n = len(moved)
    for i in range(n):
        for d in range(4):
            sign = 1.0 if d == 0 else -1.0
            with_excess, with_moved = 0.0, 0.0
            for j in range(n):
                both = grad_gram[i, j] + grad_gram[j, i]
                with_excess += both * excess[j, d]
                with_moved += both * moved[j, d]
            grad_free[i, d] += sign * with_excess
            grad_excess[i, d] += sign * with_moved


@inner
def clamped_step_backward(
    phi_x: F4, c_weight: float, clamp: float, x: F8, grad_free: F8, grad_excess: F8, grad_x: F8, grad_phi_x: F4
) -> None:
    """Through `clamped_step` of one jet, with the vectors x (n, 4) before it.

    From dL/dx° and dL/dd to dL/dx, in `grad_x` (n, 4), and to dL/dφ_x in `grad_phi_x` (n²,), which leaves out S G Sᵀ.
    """
    n = len(x)
    scale = c_weight / max(n - 1, 1)
    for i in range(n):
        for d in range(4):
            grad_x[i, d] = grad_free[i, d]
    for i in range(n):
        for j in range(n):
            if j == i:
                continue
            weight, total = phi_x[i * n + j], 0.0
            for d in range(4):
                difference = x[i, d] - x[j, d]
                raw = difference * weight
                grad_raw = scale * grad_free[i, d]
                if raw > clamp or raw < -clamp:
                    grad_raw -= scale * grad_excess[i, d]
                total += grad_raw * difference
                grad_x[i, d] += grad_raw * weight
                grad_x[j, d] -= grad_raw * weight
            grad_phi_x[i * n + j] = total
