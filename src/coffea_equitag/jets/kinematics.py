"""From coordinates to four-momenta, with masses free of rounding noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..array_types import F8, AnyArray
from ..compiled import fma, njit
from ..errors import JetError, explain
from .mass_resolution import squared_mass_resolution

__all__ = ["FourMomenta", "four_momenta"]


#: E < |p| by more than this fraction is not rounding.
ENERGY_TOLERANCE = 1e-3


@dataclass(frozen=True)
class FourMomenta:
    """Four-momenta as the invariants need them.

    Attributes
    ----------
    p4 : ndarray of float64, shape (N, 4)
        (E, px, py, pz), GeV.
    mass : ndarray of float64, shape (N,)
        As given, or derived, with values below the rounding error of the inputs set to 0; never negative.
    polar : ndarray of float64, shape (N, 3), or None
        (pT, η, φ), if those were the coordinates given: they resolve the angle of nearly collinear pairs.
    """

    p4: F8
    mass: F8
    polar: F8 | None


def four_momenta(coordinates: Mapping[str, AnyArray], locate: Callable[[int], str], what: str) -> FourMomenta:
    """Four-momenta from one coordinate set, rejecting unphysical values.

    Parameters
    ----------
    coordinates : mapping of str to ndarray
        ``pt, eta, phi, mass`` or ``px, py, pz, mass`` or ``px, py, pz, E``; GeV.
    locate : callable
        Row -> description of the jet and constituent, for messages.
    what : str
        What a row represents, for messages.

    Raises
    ------
    JetError
        For NaN or infinite values, pT < 0, and E < |p| beyond rounding.
    """
    for name, values in coordinates.items():
        _reject(~np.isfinite(values), values, name, locate, what)
    given = {name: np.asarray(values, dtype=np.float64) for name, values in coordinates.items()}
    if "pt" in given:
        pt, eta, phi = given["pt"], given["eta"], given["phi"]
        _reject(pt < 0, pt, "pt", locate, what)
        x, y, z = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
        _reject(~np.isfinite(z), eta, "eta", locate, what)
        polar = np.stack([pt, eta, phi], axis=1)
    else:
        x, y, z = given["px"], given["py"], given["pz"]
        polar = None
    if "mass" in given:
        mass = np.maximum(given["mass"], 0.0)
        energy = np.sqrt(x * x + y * y + z * z + mass * mass)
    else:
        energy = given["E"]
        mass2 = np.empty_like(energy)
        _squared_masses(energy, x, y, z, mass2)
        resolution = squared_mass_resolution(coordinates)
        # a truncated energy is short by up to a unit: E² by 2E + 1, four times the resolution of whole numbers or less
        below = mass2 < -np.maximum(2 * ENERGY_TOLERANCE * energy * energy, 4 * resolution)
        if (below | (energy < 0)).any():
            row = int(np.argmax(below | (energy < 0)))
            momentum = np.sqrt(x[row] ** 2 + y[row] ** 2 + z[row] ** 2)
            raise JetError(
                explain(
                    f"{locate(row)}: E = {energy[row]:.6g} GeV is less than |p| = {momentum:.6g} GeV",
                    "E ≥ |p|, up to rounding",
                    f"check the units and the order of the {what} columns (px, py, pz, E)",
                )
            )
        mass2[mass2 <= resolution] = 0.0
        mass = np.sqrt(mass2)
    return FourMomenta(np.stack([energy, x, y, z], axis=1), mass, polar)


@njit
def _squared_masses(e: F8, x: F8, y: F8, z: F8, out: F8) -> None:
    # E² − p² with every product split by fma into value and error, so that nothing is lost to cancellation
    for k in range(len(e)):
        high = e[k] * e[k]
        low = fma(e[k], e[k], -high)
        for v in (x[k], y[k], z[k]):
            square = v * v
            error = fma(v, v, -square)
            total = high - square
            added = total - high
            low += (high - (total - added)) + (-square - added) - error
            high = total
        out[k] = high + low


def _reject(
    bad: AnyArray,
    values: AnyArray,
    name: str,
    locate: Callable[[int], str],
    what: str,
) -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    raise JetError(
        explain(
            f"{locate(row)}: {name} = {values[row]} ({int(bad.sum())} of {len(bad)} {what}s are like this)",
            "finite numbers, pT ≥ 0",
            f"drop these {what}s, e.g. jets[ak.all(np.isfinite(jets.constituents.{name}), axis=-1)]"
            if what == "constituent"
            else f"drop these {what}s",
        )
    )
