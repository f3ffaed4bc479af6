"""The three-dimensional impact parameter of tracks, as given or computed from d0 and dz.

The point of closest approach to the beam line is v = (d0 sin φ, −d0 cos φ, dz), with the sign of Delphes' D0 (readers
flip the sign of CMS's). Its component perpendicular to the track, a = v − (v·p̂)p̂, is the vector from the origin to
the nearest point on the track (Shimmin, Li, Smith, arXiv:2303.11288). It rotates with the track, unlike (d0, dz).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ..array_types import F8, AnyArray
from ..errors import JetError, explain

__all__ = [
    "FLAT_IMPACT_COLUMNS",
    "IMPACT_COLUMNS",
    "TRACK_COLUMNS",
    "columns_to_read",
    "impact_columns",
    "impact_parameters",
]


#: Components of the vector ``ip`` of a constituent, mm.
IMPACT_COLUMNS = ("ip.x", "ip.y", "ip.z")

#: A vector to the beam line in files of plain columns, of which the component across the track is a.
FLAT_IMPACT_COLUMNS = ("ipx", "ipy", "ipz")

#: What they are computed from where a constituent has neither.
TRACK_COLUMNS = ("charge", "d0", "dz")


def impact_parameters(momenta: AnyArray, d0: AnyArray, dz: AnyArray, charge: AnyArray | None = None) -> F8:
    """Vectors from the origin to the nearest point on each track.

    Parameters
    ----------
    momenta : ndarray, shape (N, 3)
        Momenta at the point of closest approach, any unit.
    d0, dz : ndarray, shape (N,)
        Transverse (sign of Delphes' D0) and longitudinal impact parameter.
    charge : ndarray, shape (N,), optional
        Neutral particles have no track: their vectors are 0, whatever the values of d0 and dz.

    Returns
    -------
    ndarray of float64, shape (N, 3)
        In the units of d0 and dz.
    """
    p = np.asarray(momenta, dtype=np.float64)
    pt = np.hypot(p[:, 0], p[:, 1])
    size2 = pt * pt + p[:, 2] ** 2
    track = (pt > 0) if charge is None else (pt > 0) & (np.asarray(charge) != 0)
    pt, size2 = np.where(track, pt, 1.0), np.where(track, size2, 1.0)
    d0, dz = np.where(track, d0, 0.0).astype(np.float64), np.where(track, dz, 0.0).astype(np.float64)
    # only the longitudinal term contributes to v·p: the transverse part of v is perpendicular to the track
    along = dz * p[:, 2] / size2
    v = np.stack([d0 * p[:, 1] / pt, -d0 * p[:, 0] / pt, dz], axis=1)
    return np.where(track[:, None], v - along[:, None] * p, 0.0)


def columns_to_read(wanted: Iterable[str], has: Callable[[str], bool]) -> tuple[str, ...]:
    """Constituent columns to read in order to provide the wanted ones; `has` tells which are present."""
    asked = tuple(wanted)
    names = [name for name in asked if name not in IMPACT_COLUMNS]
    if len(names) < len(asked):
        for given in (IMPACT_COLUMNS, FLAT_IMPACT_COLUMNS):
            if all(has(name) for name in given):
                return tuple(dict.fromkeys([*names, *given, *(name for name in ("charge",) if has(name))]))
        names += TRACK_COLUMNS
    return tuple(dict.fromkeys(names))


def impact_columns(columns: Mapping[str, AnyArray], p4: AnyArray, locate: Callable[[int], str]) -> dict[str, AnyArray]:
    """Columns ``ip.x, ip.y, ip.z`` (mm): as given, else from ipx, ipy and ipz, else from d0, dz and charge.

    They are 0 for neutral constituents.

    Raises
    ------
    JetError
        If the impact parameter of a charged constituent is NaN or infinite.
    """
    given = next((names for names in (IMPACT_COLUMNS, FLAT_IMPACT_COLUMNS) if names[0] in columns), None)
    if given:
        charged = np.asarray(columns["charge"]) != 0 if "charge" in columns else np.ones(len(p4), dtype=np.bool_)
        vectors = np.where(charged, [columns[name] for name in given], 0.0).T
        vectors = vectors if given == IMPACT_COLUMNS else _across(vectors, p4[:, 1:])
    else:
        vectors = impact_parameters(p4[:, 1:], columns["d0"], columns["dz"], columns["charge"])
    found = {name: vectors[:, k] for k, name in enumerate(IMPACT_COLUMNS)}
    for name, values in found.items():
        bad = ~np.isfinite(values)
        if bad.any():
            row = int(np.argmax(bad))
            source = (
                given[IMPACT_COLUMNS.index(name)]
                if given
                else f"'ip' from d0 = {columns['d0'][row]}, dz = {columns['dz'][row]}"
            )
            raise JetError(
                explain(
                    f"{locate(row)}: {source} is not finite ({int(bad.sum())} of {len(bad)} constituents)",
                    "finite impact parameters for charged constituents",
                    "drop such constituents, or fill d0 and dz (or ip) with 0 where no track was fitted",
                )
            )
    return found


def _across(vectors: F8, momenta: F8) -> F8:
    """Components of vectors perpendicular to momenta; all of a vector where there is no momentum."""
    square = (momenta * momenta).sum(axis=1)
    along = (vectors * momenta).sum(axis=1) / np.where(square > 0, square, 1.0)
    perpendicular: F8 = vectors - along[:, None] * momenta
    return perpendicular
