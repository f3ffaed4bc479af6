"""The official LorentzNet's clamp of the components of (x_i − x_j) φ_x, which needs the vectors beside G."""

from __future__ import annotations

from ....array_types import F4, F8
from ....compiled import inner

__all__ = ["clamped_step", "cut_off"]


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
