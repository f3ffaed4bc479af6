"""The coordinate sets a four-momentum may come in, and the names vector knows them by."""

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

#: The coordinate sets a four-momentum may come in, the preferred one first.
COORDINATES: tuple[tuple[str, str, str, str], ...] = (
    ("pt", "eta", "phi", "mass"),
    ("px", "py", "pz", "mass"),
    ("px", "py", "pz", "E"),
)

#: Other names vector gives to the same coordinate.
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

#: Every name that vector takes for a coordinate.
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
    """Coordinates beside a complete set, such as the energy beside the mass: vector takes one set alone."""
    names = list(fields)
    used = (coordinates_of(names) or {}).values()
    return [name for name in names if name in COORDINATE_NAMES and name not in used]


def check_coordinates(what: str, fields: Iterable[str]) -> None:
    """Refuse records that hold no complete coordinate set, or more than one.

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
                f"{what} with {', '.join(more)} beside {', '.join(found.values())}",
                "one set of coordinates",
                f"leave out {', '.join(more)}, or give it a name that is no coordinate's",
            )
        )


def no_coordinates(what: str, fields: Iterable[str]) -> str:
    """Message for records that lack a four-momentum."""
    sets = " or ".join("(" + ", ".join(names) + ")" for names in COORDINATES)
    return explain(
        f"{what} without a complete four-momentum; they have {listed(fields)}",
        f"one of the coordinate sets {sets}, in GeV",
        "add the missing coordinate; massless particles may be given mass = 0",
    )


def listed(fields: Iterable[str]) -> str:
    """Names for a message, the first twenty of them."""
    names = list(fields)
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "no fields"
