"""Files in MeV: all columns that are momenta, energies or masses by their names, converted to GeV."""

from __future__ import annotations

import re
import warnings

import awkward as ak

from ..errors import JetError, UnitWarning, explain
from ..jets.coordinates import coordinates_of

__all__ = ["check_units", "converted", "in_gev"]

_GEV = {"GeV": 1.0, "MeV": 1e-3}

#: Last word of a column's name -> power of the unit of energy.
_POWERS = dict.fromkeys(["pt", "px", "py", "pz", "p", "e", "energy", "et", "ht", "mt", "met"], 1)
_POWERS |= dict.fromkeys(["mass", "m", "msoftdrop", "sdmass", "sumpt"], 1)
_POWERS |= dict.fromkeys(["mass2", "m2", "pt2", "p2"], 2) | {"qoverp": -1}

#: Words that may follow it.
_SUFFIXES = {"err", "error", "unc", "raw", "nom", "nominal", "up", "down", "gen", "true", "truth", "reco"}

#: Words that make a name that of a pure number or a length, wherever they stand.
_PURE = {"label", "is", "has", "n", "num", "number", "count", "id", "idx", "index", "key", "rel", "ratio", "frac"}
_PURE |= {"fraction", "log", "factor", "corr", "weight", "score", "prob", "disc", "btag", "eff", "flavour", "flavor"}
_PURE |= {"eta", "phi", "theta", "rapidity", "deta", "dphi", "dr", "area", "charge", "q", "pid", "ttv", "hash", "event"}
_PURE |= {
    "d0",
    "dz",
    "dxy",
    "z0",
    "ip",
    "ip3d",
    "d0val",
    "dzval",
    "chi2",
    "tau1",
    "tau2",
    "tau3",
    "tau4",
    "tau21",
    "tau32",
}


def check_units(units: str) -> None:
    """Refuse a unit that is not known."""
    if units not in _GEV:
        raise JetError(explain(f"units={units!r}", f"one of {', '.join(_GEV)}", "give the units of the file"))


def in_gev(jets: ak.Array, units: str) -> ak.Array:
    """Convert momenta, energies and masses of jets and constituents, known by their names (``truth_px``, ``ptErr``).

    Warns
    -----
    UnitWarning
        Naming the columns that are left as they were because their names do not tell what they are.
    """
    if units == "GeV":
        return jets
    left: list[str] = []
    jets = _converted(jets, _GEV[units], "", left)
    if left:
        warnings.warn(
            explain(
                f"units={units!r} left {', '.join(left)} as in the file: their names do not tell whether they are in "
                f"{units}",
                "names that end in pt, px, py, pz, p, E, energy or mass (in any case) for what is to be converted",
                f"multiply those that are in {units} by {_GEV[units]:g}",
            ),
            UnitWarning,
            stacklevel=3,
        )
    return jets


def converted(jets: ak.Array, units: str) -> ak.Array:
    """What `in_gev` gives, without its warning."""
    return jets if units == "GeV" else _converted(jets, _GEV[units], "", [])


def _converted(records: ak.Array, factor: float, path: str, left: list[str]) -> ak.Array:
    coordinates = {field: name for name, field in (coordinates_of(records.fields) or {}).items()}
    for field in records.fields:
        column = records[field]
        power = _power(coordinates.get(field, field))
        if column.fields and power is None:
            changed = _converted(column, factor, f"{path}{field}.", left)
        elif power and not column.fields:
            changed = column * factor**power
        else:
            if power is None and _is_number(column):
                left.append(path + field)
            continue
        records = ak.with_field(records, changed, field)
    return records


def _power(name: str) -> int | None:
    """Power of the unit of energy in a column of this name; 0 for pure numbers and lengths, None if unknown."""
    if name.lower() in _POWERS:
        return _POWERS[name.lower()]
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+", name)]
    while words[1:] and words[-1] in _SUFFIXES:
        words.pop()
    if words[-3:] == ["q", "over", "p"]:
        return -1
    return 0 if _PURE.intersection(words) else _POWERS.get(words[-1]) if words else None


def _is_number(column: ak.Array) -> bool:
    return re.search(r"\b(u?int|float)\d+", str(column.type)) is not None
