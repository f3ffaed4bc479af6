"""Minkowski products without loss of precision, in float64.

Computed directly, E_i E_j − p_i·p_j loses all its digits for collinear or boosted pairs. Instead, with P = |p|,

    p_i·p_j = (m_i² E_j² + m_j² P_i²) / (E_i E_j + P_i P_j) + A_ij,   A_ij = P_i P_j (1 − cos θ_ij),

where all terms are positive. From (pT, η, φ), A_ij = 2 pT_i pT_j (sinh²(Δη/2) + sin²(Δφ/2)). From Cartesian
components, A_ij = |p_i × p_j|² / (P_i P_j + p_i·p_j) for θ < π/2, with the cross product from Kahan's difference of
products (fma), exact to an ulp of the result; for θ ≥ π/2 nothing cancels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
import vector

from ..array_types import F8, I8
from ..compiled import fma, njit, over_jets
from ..errors import JetError, explain
from ..jets import flatten
from ..jets.coordinates import coordinates_of
from ..jets.kinematics import FourMomenta, four_momenta
from ..jets.nesting import Nesting, descend
from .pair_rows import LARGEST_DELTA_ETA, fill_cartesian_row, fill_polar_row, jet_columns, mirror

__all__ = ["dot", "pair_offsets", "pairwise_dot", "pairwise_products"]


def pair_offsets(offsets: I8) -> I8:
    """Offsets of each jet's n² ordered pairs, shape (J + 1,)."""
    counts = np.diff(offsets)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts * counts)])


def pairwise_products(momenta: FourMomenta, offsets: I8, threads: int | None = None) -> F8:
    """All p_i·p_j within each jet, with m_i² on the diagonal.

    Parameters
    ----------
    momenta : FourMomenta
        N four-momenta, GeV.
    offsets : ndarray of int64, shape (J + 1,)
        Jet boundaries.
    threads : int, optional
        Number of threads; the result does not depend on it.

    Returns
    -------
    ndarray of float64, shape (P,)
        One n × n row-major block per jet, P = Σ n²; GeV².
    """
    pairs = pair_offsets(offsets)
    out = np.empty(int(pairs[-1]))
    size = np.sqrt(np.einsum("ij,ij->i", momenta.p4[:, 1:], momenta.p4[:, 1:]))
    polar = np.empty((3, 0)) if momenta.polar is None else np.ascontiguousarray(momenta.polar.T)
    p4 = np.ascontiguousarray(momenta.p4.T)

    def run(first: int, last: int) -> None:
        _fill_products(p4, momenta.mass, size, polar, offsets, pairs, out, first, last)

    over_jets(run, pairs, threads)
    return out


def pairwise_dot(jets: ak.Array) -> ak.Array:
    """All p_i·p_j within each jet, as an awkward array.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets, any outer nesting.

    Returns
    -------
    ak.Array
        ``[...][jet][i][j]`` in GeV², with m_i² on the diagonal; missing jets stay missing.
    """
    flat = flatten(jets)
    products = pairwise_products(flat.momenta, flat.offsets)
    counts = np.diff(flat.offsets)
    rows = ak.unflatten(products, np.repeat(counts, counts))
    return flat.nesting.restore(ak.unflatten(rows, counts))


def dot(first: Any, second: Any) -> Any:
    """Element-wise Minkowski product of two four-momenta or collections of them.

    Parameters
    ----------
    first, second : vector object, vector array or ak.Array of momenta
        Any four-momenta that ``vector`` accepts; awkward's broadcasting rules apply.

    Returns
    -------
    float, ndarray or ak.Array
        p·q in GeV², float64.
    """
    if isinstance(first, ak.Array) or isinstance(second, ak.Array):
        left, right = _columns(first), _columns(second)
        spread = ak.broadcast_arrays(*left.values(), *right.values())
        flat = [ak.to_numpy(ak.flatten(column, axis=None)) for column in spread]
        values = _products_of(
            dict(zip(left, flat[: len(left)], strict=True)), dict(zip(right, flat[len(left) :], strict=True))
        )
        _, rebuild = descend(ak.to_layout(spread[0]), to_numbers=True)
        return Nesting(len(values), rebuild).restore(values)
    left_columns, right_columns = _columns(first), _columns(second)
    scalar = all(np.ndim(v) == 0 for v in (*left_columns.values(), *right_columns.values()))
    shape = np.broadcast_shapes(*(np.shape(v) for v in (*left_columns.values(), *right_columns.values())))
    # a single vector's whole numbers are exact; those of a column are the rounding of what was stored
    dtype = np.float64 if scalar else None
    rows = [
        {name: np.broadcast_to(np.asarray(value, dtype), shape).ravel() for name, value in columns.items()}
        for columns in (left_columns, right_columns)
    ]
    values = _products_of(rows[0], rows[1]).reshape(shape)
    return float(values) if scalar else values


def _columns(momenta: Any) -> dict[str, Any]:
    """One coordinate set of a vector object or collection, under its canonical names."""
    if isinstance(momenta, ak.Array | ak.Record):
        names = coordinates_of(momenta.fields)
        if names is None:
            raise JetError(
                explain(
                    f"records with fields {', '.join(momenta.fields) or 'none'}",
                    "four-momenta",
                    "give them a mass or an energy",
                )
            )
        return {name: momenta[field] for name, field in names.items()}
    if isinstance(momenta, vector.Lorentz):
        azimuth = ("pt", "phi") if isinstance(momenta.azimuthal, vector._methods.AzimuthalRhoPhi) else None
        longitudinal = isinstance(momenta.longitudinal, vector._methods.LongitudinalEta)
        temporal = isinstance(momenta.temporal, vector._methods.TemporalTau)
        if azimuth and longitudinal and temporal:
            return {"pt": momenta.rho, "eta": momenta.eta, "phi": momenta.phi, "mass": momenta.tau}
        last = {"mass": momenta.tau} if temporal else {"E": momenta.t}
        return {"px": momenta.x, "py": momenta.y, "pz": momenta.z, **last}
    raise JetError(
        explain(
            f"an object of type {type(momenta).__name__}",
            "four-momenta",
            "build them with vector.obj or vector.zip",
        )
    )


def _products_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> F8:
    left = four_momenta(first, lambda row: f"row {row} of the first collection", "four-momentum")
    right = four_momenta(second, lambda row: f"row {row} of the second collection", "four-momentum")
    out = np.empty(len(left.mass))
    left_polar, right_polar = left.polar, right.polar
    if left_polar is None or right_polar is None:
        left_polar = right_polar = np.empty((0, 3))
    _fill_elementwise(left.p4, left.mass, left_polar, right.p4, right.mass, right_polar, out)
    return out


@njit
def _difference_of_products(a: float, b: float, c: float, d: float) -> float:
    """a·b − c·d to 1.5 ulp (Kahan)."""
    cd = c * d
    difference: float = fma(a, b, -cd) + fma(-c, d, cd)
    return difference


@njit
def _angular_cartesian(ax: float, ay: float, az: float, a: float, bx: float, by: float, bz: float, b: float) -> float:
    """P_i P_j (1 − cos θ) from Cartesian components."""
    cosine = ax * bx + ay * by + az * bz
    if cosine <= 0.0:
        return a * b - cosine
    x = _difference_of_products(ay, bz, az, by)
    y = _difference_of_products(az, bx, ax, bz)
    z = _difference_of_products(ax, by, ay, bx)
    return (x * x + y * y + z * z) / (a * b + cosine)


@njit
def _angular_polar(pt_a: float, eta_a: float, phi_a: float, pt_b: float, eta_b: float, phi_b: float) -> float:
    """P_i P_j (1 − cos θ) from (pT, η, φ)."""
    s = np.sinh(0.5 * (eta_a - eta_b))
    t = np.sin(0.5 * (phi_a - phi_b))
    product: float = 2.0 * pt_a * pt_b * (s * s + t * t)
    return product


@njit
def _product(
    energy_a: float,
    mass_a: float,
    size_a: float,
    energy_b: float,
    mass_b: float,
    size_b: float,
    angular: float,
) -> float:
    denominator = energy_a * energy_b + size_a * size_b
    if denominator == 0.0:
        return 0.0
    heavy_a, heavy_b = mass_a * energy_b, mass_b * size_a
    return (heavy_a * heavy_a + heavy_b * heavy_b) / denominator + angular


@njit
def _fill_products(
    p4: F8, mass: F8, size: F8, polar: F8, offsets: I8, pairs: I8, out: F8, first: int, last: int
) -> None:
    """Fill the blocks of jets first:last; p4 is (4, N), polar is (3, N) or (3, 0), component by component."""
    has_polar = polar.shape[1] > 0
    for jet in range(first, last):
        a, b = offsets[jet], offsets[jet + 1]
        n = b - a
        block = out[pairs[jet] : pairs[jet + 1]].reshape(n, n)
        columns = jet_columns(p4, mass, size, polar, a, b)
        row, other = np.empty(columns.shape[1]), np.empty(columns.shape[1])
        energy, m, p, pt, eta, phi = columns[0], columns[4], columns[5], columns[6], columns[7], columns[8]
        # rows without polar coordinates hold NaN, which fails this comparison
        low, high, known = np.inf, -np.inf, 0
        for i in range(n):
            if has_polar and pt[i] >= 0.0:
                low, high, known = min(low, eta[i]), max(high, eta[i]), known + 1
        narrow = high - low <= LARGEST_DELTA_ETA
        for i in range(n):
            if has_polar and pt[i] >= 0.0:
                if narrow:
                    fill_polar_row(columns, i, row)
                for j in range(0 if known < n or not narrow else i, i):
                    if not pt[j] >= 0.0:
                        fill_cartesian_row(columns, i, j, j + 1, other)
                        row[j] = other[j]
                    elif not narrow:
                        angular = _angular_polar(pt[i], eta[i], phi[i], pt[j], eta[j], phi[j])
                        row[j] = _product(energy[i], m[i], p[i], energy[j], m[j], p[j], angular)
            else:
                fill_cartesian_row(columns, i, 0, i, row)
            for j in range(i):
                block[i, j] = row[j]
            block[i, i] = m[i] * m[i]
        mirror(block)


@njit
def _fill_elementwise(p4_a: F8, mass_a: F8, polar_a: F8, p4_b: F8, mass_b: F8, polar_b: F8, out: F8) -> None:
    has_polar = len(polar_a) > 0
    for k in range(len(out)):
        size_a = np.sqrt(p4_a[k, 1] ** 2 + p4_a[k, 2] ** 2 + p4_a[k, 3] ** 2)
        size_b = np.sqrt(p4_b[k, 1] ** 2 + p4_b[k, 2] ** 2 + p4_b[k, 3] ** 2)
        if has_polar:
            angular = _angular_polar(
                polar_a[k, 0], polar_a[k, 1], polar_a[k, 2], polar_b[k, 0], polar_b[k, 1], polar_b[k, 2]
            )
        else:
            angular = _angular_cartesian(
                p4_a[k, 1], p4_a[k, 2], p4_a[k, 3], size_a, p4_b[k, 1], p4_b[k, 2], p4_b[k, 3], size_b
            )
        out[k] = _product(p4_a[k, 0], mass_a[k], size_a, p4_b[k, 0], mass_b[k], size_b, angular)
