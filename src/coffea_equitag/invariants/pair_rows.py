"""One jet's Minkowski products, eight of a row at a time, in the processor's registers.

The formulas are those of `minkowski`. Library functions for sinh and sin take one number at a time; here they are
series of ten and eleven terms, accurate to rounding for |Δη| ≤ 2 and all Δφ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ..array_types import F8
from ..compiled import inner, njit
from .lanes import EIGHT, Lanes

__all__ = ["LARGEST_DELTA_ETA", "fill_cartesian_row", "fill_polar_row", "jet_columns", "mirror"]


#: Up to this |Δη| the series for sinh(Δη/2) is accurate to rounding.
LARGEST_DELTA_ETA = 2.0

#: π as the sum of two floats, and 1/π.
_PI, _PI_REST, _PER_PI = math.pi, 1.2246467991473532e-16, 1.0 / math.pi
#: 1/(2k + 1)! for k = 10, ..., 0: sin x = x Σ (−x²)ᵏ/(2k + 1)!; one term less suffices for sinh x = x Σ x²ᵏ/(2k + 1)!.
_SIN = tuple(1.0 / math.factorial(2 * k + 1) for k in range(10, -1, -1))
_SINH = _SIN[1:]


@inner
def jet_columns(p4: F8, mass: F8, size: F8, polar: F8, first: int, last: int) -> F8:
    """Components (9, whole eights) of constituents ``first:last`` as the rows want them; 0 beyond the last.

    E, px, py, pz, m, |p|, and pT, η, φ if `polar` (3, N) has any.
    """
    n = last - first
    columns = np.zeros((9, (n + EIGHT - 1) // EIGHT * EIGHT))
    columns[:4, :n], columns[4, :n], columns[5, :n] = p4[:, first:last], mass[first:last], size[first:last]
    if polar.shape[1]:
        columns[6:, :n] = polar[:, first:last]
    return columns


@njit
def fill_polar_row(columns: F8, i: int, row: F8) -> None:
    """p_i·p_j for j < i, and in whole eights beyond, from (pT, η, φ, m)."""
    for j in range(0, i, EIGHT):
        _polar(columns, columns.shape[1], i, j, row)


@njit
def fill_cartesian_row(columns: F8, i: int, first: int, last: int, row: F8) -> None:
    """p_i·p_j for first ≤ j < last, and the rest of their eights, from (px, py, pz, m)."""
    for j in range(first - first % EIGHT, last, EIGHT):
        _cartesian(columns, columns.shape[1], i, j, row)


@njit
def mirror(block: F8) -> None:
    """Copy the part below the diagonal to the part above."""
    for i in range(len(block)):
        for j in range(i):
            block[j, i] = block[i, j]


def _eight_of(formula: Callable[[list[Lanes], list[Lanes]], Lanes]) -> Any:
    @intrinsic
    def eight(typing_context: Any, columns: Any, stride: Any, i: Any, j: Any, row: Any) -> Any:
        """Write the formula's values of constituent i and j, ..., j + 7 to ``row[j : j + 8]``."""
        signature = types.void(columns, types.intp, types.intp, types.intp, row)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            columns, stride, i, j, row = arguments
            data = context.make_array(signature.args[0])(context, builder, columns).data
            starts = [builder.gep(data, [builder.mul(stride, stride.type(k))]) for k in range(9)]
            own = [Lanes.spread(builder, builder.gep(start, [i])) for start in starts]
            others = [Lanes.at(builder, builder.gep(start, [j])) for start in starts]
            target = context.make_array(signature.args[4])(context, builder, row).data
            formula(own, others).store(builder.gep(target, [j]))
            return context.get_dummy_value()

        return signature, generate

    return eight


def _from_polar(own: list[Lanes], others: list[Lanes]) -> Lanes:
    *_, pt_i, eta_i, phi_i = own
    *_, pt_j, eta_j, phi_j = others
    x = (eta_i - eta_j) * 0.5
    sinh = (x * x).polynomial(_SINH) * x
    t = (phi_i - phi_j) * 0.5
    turns = -t.fma(_PER_PI, 0.5).floor()
    t = turns.fma(_PI_REST, turns.fma(_PI, t))
    sin = (-(t * t)).polynomial(_SIN) * t
    return _product(own, others, pt_i * 2.0 * pt_j * (sinh * sinh + sin * sin))


def _from_cartesian(own: list[Lanes], others: list[Lanes]) -> Lanes:
    _, x_i, y_i, z_i, _, size_i, *_ = own
    _, x_j, y_j, z_j, _, size_j, *_ = others
    cosine = x_i * x_j + y_i * y_j + z_i * z_j
    both = size_i * size_j
    a, b, c = _cross(y_i, z_j, z_i, y_j), _cross(z_i, x_j, x_i, z_j), _cross(x_i, y_j, y_i, x_j)
    near = (a * a + b * b + c * c) / (both + cosine)
    return _product(own, others, cosine.where_positive(near, both - cosine))


def _cross(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> Lanes:
    """a·b − c·d to 1.5 ulp (Kahan)."""
    cd = c * d
    return a.fma(b, -cd) + (-c).fma(d, cd)


def _product(own: list[Lanes], others: list[Lanes], angular: Lanes) -> Lanes:
    energy_i, mass_i, size_i = own[0], own[4], own[5]
    energy_j, mass_j, size_j = others[0], others[4], others[5]
    denominator = energy_i * energy_j + size_i * size_j
    heavy_i, heavy_j = mass_i * energy_j, mass_j * size_i
    value = (heavy_i * heavy_i + heavy_j * heavy_j) / denominator + angular
    return denominator.where_not_zero(value, 0.0)


_polar, _cartesian = _eight_of(_from_polar), _eight_of(_from_cartesian)
