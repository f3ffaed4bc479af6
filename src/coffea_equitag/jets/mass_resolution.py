"""How small a mass can be told from the digits in which an energy and a momentum were stored.

E² − p² of a massless particle is not 0 but what the rounding of E and p leaves: at 5 TeV in whole GeV a mass of 100
GeV. The type of a column does not always tell the rounding: integers keep theirs when they are divided by 1000, and
float32 values keep theirs in float64. The energy's digits do tell, in each row by itself, so that no other jet matters:
of arbitrary float64 numbers one in 10⁸ looks like one of these.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..array_types import F8, AnyArray, Bools

__all__ = ["squared_mass_resolution"]

_EPS32, _EPS64 = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)

#: GeV: an energy that is a multiple of it was a whole number of MeV.
_MEV = 1e-3


def squared_mass_resolution(coordinates: Mapping[str, AnyArray]) -> F8:
    """Largest E² − p² that the rounding of the numbers alone can give a massless particle.

    Parameters
    ----------
    coordinates : mapping of str to ndarray
        ``px, py, pz, E`` as they were stored, N rows; GeV.

    Returns
    -------
    ndarray of float64, shape (N,)
        GeV². Floating-point numbers are off by the rounding of the coarsest column (float32 if E is a float32 number,
        in GeV or in MeV); integers by half a unit if they were rounded, by up to one if they were truncated.
    """
    energy = np.asarray(coordinates["E"], np.float64)
    types = [values.dtype for values in coordinates.values()]
    eps = max([float(np.finfo(t).eps) for t in types if t.kind == "f"], default=0.0)
    relative = np.full(len(energy), eps)
    if eps == _EPS64:
        relative[_is_single(energy) | _is_single(energy / _MEV)] = _EPS32
    resolution = 4 * relative * energy * energy
    if any(t.kind in "iub" for t in types):
        resolution += _of_whole(coordinates, {n: float(v.dtype.kind in "iub") for n, v in coordinates.items()})
    elif eps == _EPS64 and (whole := _in_whole_mev(coordinates)).any():
        resolution[whole] += _of_whole({n: v[whole] for n, v in coordinates.items()}, dict.fromkeys(coordinates, _MEV))
    return resolution


def _of_whole(coordinates: Mapping[str, AnyArray], units: Mapping[str, float]) -> F8:
    """The resolution of multiples of these units (0: not multiples of anything), rounded or truncated."""
    sizes = {name: np.abs(np.asarray(values, np.float64)) for name, values in coordinates.items()}
    rounded = sum(units[name] * size + units[name] ** 2 / 4 for name, size in sizes.items())
    truncated = sum(2 * units[name] * size + units[name] ** 2 for name, size in sizes.items() if name != "E")
    return np.asarray(np.maximum(rounded, truncated), np.float64)


def _in_whole_mev(coordinates: Mapping[str, AnyArray]) -> Bools:
    """Rows whose energy is whole in MeV; where all four are float32 numbers, as 37.125 is, the momentum must be too."""
    whole = _is_whole(np.asarray(coordinates["E"]) / _MEV)
    rows = np.flatnonzero(whole)
    momentum = [np.asarray(values)[rows] for name, values in coordinates.items() if name != "E"]
    single = np.logical_and.reduce([_is_single(v) for v in (*momentum, np.asarray(coordinates["E"])[rows])])
    whole[rows] = ~single | np.logical_and.reduce([_is_whole(v / _MEV) for v in momentum])
    return whole


def _is_single(values: F8) -> Bools:
    """Float32 numbers, up to the last digits of a float64, which a change of units may have touched."""
    with np.errstate(over="ignore"):  # beyond float32's range
        single = values.astype(np.float32).astype(np.float64)
    return np.asarray(np.abs(values - single) <= 2 * _EPS64 * np.abs(values))


def _is_whole(values: F8) -> Bools:
    return np.asarray(np.abs(values - np.rint(values)) <= 2 * _EPS64 * np.abs(values))
