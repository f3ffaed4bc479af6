"""Four-momenta given as (pt, eta, phi, E), as ROOT's PtEtaPhiEVector stores them: not one of our coordinate sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import awkward as ak
import numpy as np

from ..jets.coordinates import coordinates_of

__all__ = ["with_cartesian", "without_mass"]

_ENERGY = ("E", "energy", "e")


def without_mass(fields: Iterable[str]) -> dict[str, str] | None:
    """Coordinate -> field of pt, eta, phi, E, where these are the only complete four-momentum; else None."""
    present = set(fields)
    energy = next((name for name in _ENERGY if name in present), None)
    if energy is None or coordinates_of(present) is not None or not {"pt", "eta", "phi"} <= present:
        return None
    return {"pt": "pt", "eta": "eta", "phi": "phi", "E": energy}


def with_cartesian(columns: Mapping[str, ak.Array]) -> dict[str, ak.Array]:
    """The same columns with (px, py, pz, E) in float64 in place of (pt, eta, phi, E); others are not touched.

    The energy stays a float64 that holds the number of the file, by whose digits masses are judged
    (`jets.mass_resolution`).
    """
    names = without_mass(columns)
    if names is None:
        return dict(columns)
    pt, eta, phi, energy = (ak.values_astype(columns[field], np.float64) for field in names.values())
    cartesian = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta), "E": energy}
    return cartesian | {name: column for name, column in columns.items() if name not in names.values()}
