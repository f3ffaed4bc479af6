"""The coordinate sets in which a four-momentum may be given, and vector's names for them."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import JetError, explain

__all__ = [
    "COORDINATES",
    "COORDINATE_NAMES",
    "check_coordinates",
    "coordinates_of",
    "listed",
    "no_coordinates",
    "surplus",
]

#: The coordinate sets in which a four-momentum may be given, in order of preference.
COORDINATES: tuple[tuple[str, str, str, str], ...] = (
    ("pt", "eta", "phi", "mass"),
    ("px", "py", "pz", "mass"),
    ("px", "py", "pz", "E"),
)

#: All names that vector has for the same coordinate.
_ALIASES = {
    "px": ("px", "x"),
    "py": ("py", "y"),
    "pz": ("pz", "z"),
    "pt": ("pt", "rho"),
    "eta": ("eta",),
    "phi": ("phi",),
    "mass": ("mass", "m", "M", "tau"),
    "E": ("E", "energy", "e", "t"),
}

#: Every name that vector reads as a coordinate.
COORDINATE_NAMES = frozenset(alias for aliases in _ALIASES.values() for alias in aliases) | {"theta"}


def coordinates_of(fields: Iterable[str]) -> dict[str, str] | None:
    """Find a complete coordinate set among field names.

    Parameters
    ----------
    fields : iterable of str
        Names of a record's fields.

    Returns
    -------
    dict or None
        Coordinate -> name of the field that holds it, for the first complete set of `COORDINATES`.
    """
    present = set(fields)
    for names in COORDINATES:
        found = {name: next((a for a in _ALIASES[name] if a in present), None) for name in names}
        if None not in found.values():
            return {name: field for name, field in found.items() if field is not None}
    return None


def surplus(fields: Iterable[str]) -> list[str]:
    """Coordinates in addition to a complete set, e.g. the energy besides the mass: vector accepts only one set."""
    names = list(fields)
    used = (coordinates_of(names) or {}).values()
    return [name for name in names if name in COORDINATE_NAMES and name not in used]


def check_coordinates(what: str, fields: Iterable[str]) -> None:
    """Reject records with no complete coordinate set, or with more than one.

    Raises
    ------
    JetError
        Naming the fields.
    """
    names = list(fields)
    found = coordinates_of(names)
    if found is None:
        raise JetError(no_coordinates(what, names))
    if more := surplus(names):
        raise JetError(
            explain(
                f"{what} with {', '.join(more)} in addition to {', '.join(found.values())}",
                "one set of coordinates",
                f"drop {', '.join(more)}, or rename so that vector does not read it as a coordinate",
            )
        )


def no_coordinates(what: str, fields: Iterable[str]) -> str:
    """Error message for records that lack a four-momentum."""
    sets = " or ".join("(" + ", ".join(names) + ")" for names in COORDINATES)
    return explain(
        f"{what} without a complete four-momentum; they have {listed(fields)}",
        f"one of the coordinate sets {sets}, in GeV",
        "add the missing coordinate; for massless particles set mass = 0",
    )


def listed(fields: Iterable[str]) -> str:
    """The names, comma-separated, for a message: at most the first twenty."""
    names = list(fields)
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "no fields"
