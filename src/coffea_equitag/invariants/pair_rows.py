"""One jet's Minkowski products, one row at a time, in loops that the compiler can vectorize.

The formulas are those of `minkowski`. Calls to library functions for sinh and sin would prevent vectorization, so
they are ten-term series here, accurate to rounding for |Δη| ≤ 2 and all Δφ.
"""

from __future__ import annotations

import numpy as np

from ..array_types import F8
from ..compiled import fma, njit

__all__ = ["LARGEST_DELTA_ETA", "fill_cartesian_row", "fill_polar_row", "mirror"]


#: Up to this |Δη| the series for sinh(Δη/2) is accurate to rounding.
LARGEST_DELTA_ETA = 2.0

#: π as the sum of two floats, and 1/π.
_PI, _PI_REST, _PER_PI = np.pi, 1.2246467991473532e-16, 1.0 / np.pi

# 1/(2k + 1)! for k = 9, ..., 1
_C9, _C8, _C7 = 1.0 / 121645100408832000, 1.0 / 355687428096000, 1.0 / 1307674368000
_C6, _C5, _C4 = 1.0 / 6227020800, 1.0 / 39916800, 1.0 / 362880
_C3, _C2, _C1 = 1.0 / 5040, 1.0 / 120, 1.0 / 6
_C10 = 1.0 / 51090942171709440000


# compiled as functions of their own: inlined into a caller, LLVM does not vectorize their loops
@njit
def fill_polar_row(pt: F8, eta: F8, phi: F8, energy: F8, mass: F8, size: F8, i: int, row: F8) -> None:
    """p_i·p_j for j < i, from (pT, η, φ, m); the arrays cover one jet, `size` is |p|."""
    pt_i, eta_i, phi_i, energy_i, mass_i, size_i = 2.0 * pt[i], eta[i], phi[i], energy[i], mass[i], size[i]
    for j in range(i):
        x = 0.5 * (eta_i - eta[j])
        x2 = x * x
        s = fma(x2, fma(x2, fma(x2, fma(x2, _C9, _C8), _C7), _C6), _C5)
        s = fma(x2, fma(x2, fma(x2, fma(x2, fma(x2, s, _C4), _C3), _C2), _C1), 1.0) * x
        t = 0.5 * (phi_i - phi[j])
        turns = np.floor(fma(t, _PER_PI, 0.5))
        t = fma(-turns, _PI_REST, fma(-turns, _PI, t))
        t2 = -(t * t)
        u = fma(t2, fma(t2, fma(t2, fma(t2, fma(t2, _C10, _C9), _C8), _C7), _C6), _C5)
        u = fma(t2, fma(t2, fma(t2, fma(t2, fma(t2, u, _C4), _C3), _C2), _C1), 1.0) * t
        angular = pt_i * pt[j] * (s * s + u * u)
        denominator = energy_i * energy[j] + size_i * size[j]
        heavy_i, heavy_j = mass_i * energy[j], mass[j] * size_i
        value = (heavy_i * heavy_i + heavy_j * heavy_j) / denominator + angular
        row[j] = value if denominator != 0.0 else 0.0


@njit
def fill_cartesian_row(
    x: F8, y: F8, z: F8, energy: F8, mass: F8, size: F8, i: int, first: int, last: int, row: F8
) -> None:
    """p_i·p_j for first ≤ j < last, from (px, py, pz, m)."""
    x_i, y_i, z_i, energy_i, mass_i, size_i = x[i], y[i], z[i], energy[i], mass[i], size[i]
    for j in range(first, last):
        cosine = x_i * x[j] + y_i * y[j] + z_i * z[j]
        both = size_i * size[j]
        zy = z_i * y[j]
        a = fma(y_i, z[j], -zy) + fma(-z_i, y[j], zy)
        xz = x_i * z[j]
        b = fma(z_i, x[j], -xz) + fma(-x_i, z[j], xz)
        yx = y_i * x[j]
        c = fma(x_i, y[j], -yx) + fma(-y_i, x[j], yx)
        near = (a * a + b * b + c * c) / (both + cosine)
        angular = near if cosine > 0.0 else both - cosine
        denominator = energy_i * energy[j] + both
        heavy_i, heavy_j = mass_i * energy[j], mass[j] * size_i
        value = (heavy_i * heavy_i + heavy_j * heavy_j) / denominator + angular
        row[j] = value if denominator != 0.0 else 0.0


@njit
def mirror(block: F8) -> None:
    """Copy the part below the diagonal to the part above."""
    for i in range(len(block)):
        for j in range(i):
            block[j, i] = block[i, j]
