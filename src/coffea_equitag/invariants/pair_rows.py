"""One jet's Minkowski products, a row at a time, in loops that a compiler turns into vector instructions.

The formulas are those of `minkowski`. sinh and sin, whose library functions stand in the way of that, are sums of ten
terms here: to the last figure for |Δη| ≤ 2 and all Δφ.
"""

from __future__ import annotations

import numpy as np

from ..array_types import F8
from ..compiled import fma, njit

__all__ = ["LARGEST_DELTA_ETA", "fill_cartesian_row", "fill_polar_row", "mirror"]


#: Up to here the sum for sinh(Δη/2) is exact to rounding.
LARGEST_DELTA_ETA = 2.0

#: π as the sum of two numbers, and its inverse.
_PI, _PI_REST, _PER_PI = np.pi, 1.2246467991473532e-16, 1.0 / np.pi

# 1/(2k + 1)! for k = 9, ..., 1
_C9, _C8, _C7 = 1.0 / 121645100408832000, 1.0 / 355687428096000, 1.0 / 1307674368000
_C6, _C5, _C4 = 1.0 / 6227020800, 1.0 / 39916800, 1.0 / 362880
_C3, _C2, _C1 = 1.0 / 5040, 1.0 / 120, 1.0 / 6
_C10 = 1.0 / 51090942171709440000


# compiled by themselves: within a caller LLVM makes no vector loops of them
@njit
def fill_polar_row(pt: F8, eta: F8, phi: F8, energy: F8, mass: F8, size: F8, i: int, row: F8) -> None:
    """p_i·p_j for j < i, from (pT, η, φ, m); the arrays are those of the jet, `size` is |p|."""
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
        below = energy_i * energy[j] + size_i * size[j]
        heavy_i, heavy_j = mass_i * energy[j], mass[j] * size_i
        value = (heavy_i * heavy_i + heavy_j * heavy_j) / below + angular
        row[j] = value if below != 0.0 else 0.0


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
        below = energy_i * energy[j] + both
        heavy_i, heavy_j = mass_i * energy[j], mass[j] * size_i
        value = (heavy_i * heavy_i + heavy_j * heavy_j) / below + angular
        row[j] = value if below != 0.0 else 0.0


@njit
def mirror(block: F8) -> None:
    """The part above the diagonal from that below."""
    for i in range(len(block)):
        for j in range(i):
            block[j, i] = block[i, j]
