"""Vectors stored with jets: the truth that a regression learns, by the name of a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import awkward as ak
import numpy as np

from ..array_types import F8, AnyArray
from ..errors import JetError, explain
from .coordinates import COORDINATES, coordinates_of, listed
from .kinematics import four_momenta
from .nesting import unnest

__all__ = ["true_momenta", "true_vectors"]

#: Names of the components of a 3-vector.
_CARTESIAN = ("x", "y", "z")

#: What `equitag simulate` stores the truth as.
_USUAL = "true"


def true_momenta(jets: ak.Array, name: str = "momentum") -> F8:
    """Four-momenta stored with jets.

    Parameters
    ----------
    jets : ak.Array
        Jets, any nesting; missing ones are skipped.
    name : str
        A field of records with a four-momentum, or the first part of the names of four fields: ``"W"`` for ``W_pt,
        W_eta, W_phi, W_mass`` (or px, py, pz, mass or E). ``"momentum"`` also finds ``true_pt``, ..., the truth of
        `coffea_equitag.simulation`.

    Returns
    -------
    ndarray of float64, shape (J, 4)
        (E, px, py, pz) in GeV.

    Raises
    ------
    JetError
        If there are no such fields, or values are missing, not finite or unphysical.
    """
    records = unnest(jets)[1]
    columns = _columns(records, name, coordinates_of)
    if columns is None:
        raise _absent(records, name, [f"{name}_{part}" for part in COORDINATES[0]], "a four-momentum (GeV)")
    return four_momenta(columns, lambda row: f"{name} of jet {row}", "jet").p4


def true_vectors(jets: ak.Array, name: str) -> F8:
    """Vectors (J, 3) stored with jets: p⃗ of a four-momentum as in `true_momenta`, else the fields x, y, z."""
    records = unnest(jets)[1]
    if _columns(records, name, coordinates_of) is not None:
        return true_momenta(jets, name)[:, 1:]
    columns = _columns(records, name, _cartesian)
    if columns is None:
        raise _absent(records, name, [f"{name}_{part}" for part in _CARTESIAN], "a vector")
    values = np.stack([columns[part].astype(np.float64) for part in _CARTESIAN], axis=1)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        given = f"{name} of jet {int(np.argmax(bad))} is {values[int(np.argmax(bad))]} ({int(bad.sum())} such jets)"
        raise JetError(explain(given, "finite numbers", "drop these jets"))
    return values


def _columns(
    records: ak.Array, name: str, find: Callable[[Iterable[str]], Mapping[str, str] | None]
) -> Mapping[str, AnyArray] | None:
    """The components by their names, from the first place where `find` sees a complete set; None if there is none."""
    for given, prefix in _sources(records, name):
        fields = {field.removeprefix(prefix): field for field in given.fields if field.startswith(prefix)}
        names = find(fields)
        if names is not None:
            return {part: _numbers(given[fields[alias]], fields[alias]) for part, alias in names.items()}
    return None


def _cartesian(fields: Iterable[str]) -> Mapping[str, str] | None:
    return {part: part for part in _CARTESIAN} if set(fields) >= set(_CARTESIAN) else None


def _sources(records: ak.Array, name: str) -> list[tuple[ak.Array, str]]:
    """Records to look into, each with what the names of the components begin with."""
    own = [(records[name], "")] if name in records.fields and records[name].fields else []
    usual = [(records, f"{_USUAL}_")] if name == "momentum" else []
    return [*own, (records, f"{name}_"), *usual]


def _numbers(values: ak.Array, field: str) -> AnyArray:
    missing = ak.to_numpy(ak.is_none(values))
    if missing.any():
        given = f"{field} of jet {int(np.argmax(missing))} is missing ({int(missing.sum())} such of {len(values)})"
        raise JetError(explain(given, "a value for each jet", "drop these jets"))
    return np.asarray(ak.to_numpy(ak.drop_none(values)))


def _absent(records: ak.Array, name: str, parts: Iterable[str], what: str) -> JetError:
    return JetError(
        explain(
            f"jets without {what} '{name}'; they have {listed(records.fields)}",
            f"a field '{name}' of records, or fields {', '.join(parts)}",
            "store the truth with the jets, or name the field that holds it",
        )
    )
