"""The flat layout of published jet datasets: one list column per quantity (``part_px``, ...).

Used by JetClass (`Qu, Li, Qian 2022 <https://doi.org/10.5281/zenodo.6619768>`_), and by the Top Quark Tagging
Reference Dataset and the quark/gluon datasets converted for weaver: each row is a jet, ``part_*`` are lists over its
constituents, the other columns are properties of the jet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets import make_jets
from ..jets.coordinates import coordinates_of

__all__ = ["PREFIX", "from_flat", "is_flat", "is_particle", "jet_fields", "may_be"]

#: Prefix of the columns of constituents.
PREFIX = "part_"

#: Column (without the prefix) -> canonical name.
_NAMES = {
    "energy": "E",
    "e": "E",
    "pid": "pdgId",
    "pdgid": "pdgId",
    "d0val": "d0",
    "d0err": "d0Err",
    "dzval": "dz",
    "dzerr": "dzErr",
}

#: JetClass' flags: their pdgId, and how its sign follows from the charge (+1 same, -1 opposite, 0 neutral).
_FLAGS = {
    "isChargedHadron": (211, 1),
    "isNeutralHadron": (130, 0),
    "isPhoton": (22, 0),
    "isElectron": (11, -1),
    "isMuon": (13, -1),
}

#: Names that vector reads as coordinates: in addition to a complete set, they would contradict or duplicate it.
_COORDINATE_NAMES = frozenset(
    {
        *("px", "py", "pz", "x", "y", "z", "p", "pt", "rho", "eta", "theta", "phi"),
        *("mass", "m", "M", "tau", "E", "energy", "e", "t"),
    }
)


def is_flat(columns: Iterable[str]) -> bool:
    """Whether the columns are those of the flat layout."""
    return any(name.startswith(PREFIX) for name in columns)


def may_be(column: str, wanted: Collection[str]) -> bool:
    """Whether a column of constituents is one of those wanted, by canonical name, or one that it is derived from."""
    name = column[len(PREFIX) :]
    derived = "pdgId" in wanted and (name == "charge" or name in _FLAGS)
    return derived or name in wanted or _NAMES.get(name) in wanted


def from_flat(columns: Mapping[str, ak.Array], source: str) -> ak.Array:
    """Jets from flat columns.

    Constituents: the four-momentum is the first complete set of ``part_pt, part_eta, part_phi, part_mass``;
    ``part_px, part_py, part_pz, part_mass``; ``part_px, part_py, part_pz, part_energy``, in the file's precision.
    Further coordinates are dropped; other columns keep their names without the prefix, except ``pid → pdgId``,
    ``d0val → d0``, ``d0err → d0Err``, ``dzval → dz``, ``dzerr → dzErr`` (mm, sign as in Delphes). ``pdgId`` is also
    derived from JetClass' flags (``isElectron``, ...) and the charge. Constituents with all four components 0
    (padding) are dropped.

    Jets: columns keep their names (``label``, ``label_QCD``, ``aux_...``), except that complete
    ``jet_pt, jet_eta, jet_phi`` with ``jet_mass`` or ``jet_energy`` become ``pt, eta, phi, mass``.

    Parameters
    ----------
    columns : mapping of str to ak.Array
        All columns, one row per jet.
    source : str
        Name of the file, for messages.

    Raises
    ------
    JetError
        If the four-momentum is incomplete, or columns differ in length or have missing values.
    """
    parts = {
        _NAMES.get(name[len(PREFIX) :], name[len(PREFIX) :]): _lists(column, name, source)
        for name, column in columns.items()
        if name.startswith(PREFIX)
    }
    names = coordinates_of(parts)
    if names is None:
        raise JetError(
            explain(
                f"{source} without a complete four-momentum of the constituents; it has {', '.join(columns)}",
                "part_px, part_py, part_pz, part_energy or part_mass; or part_pt, _eta, _phi, _mass",
                "add the missing columns; for massless particles set part_mass = 0",
            )
        )
    extras = {name: column for name, column in parts.items() if name not in _COORDINATE_NAMES}
    _check_lengths({**{name: parts[field] for name, field in names.items()}, **extras}, source)
    if "pdgId" not in extras and "charge" in extras and all(flag in extras for flag in _FLAGS):
        extras["pdgId"] = _pdg_id(extras)
    momenta = {coordinate: parts[field] for coordinate, field in names.items()}
    present = is_particle(momenta)
    constituents = ak.zip({name: column[present] for name, column in {**momenta, **extras}.items()})
    return make_jets(constituents, **jet_fields(columns, source))


def _lists(column: ak.Array, name: str, source: str) -> ak.Array:
    """Check a column of lists and remove its option types (which Parquet files often declare)."""
    column = ak.from_regular(column, axis=None)
    if column.ndim != 2:
        raise JetError(
            explain(
                f"column '{name}' of {source} of type {column.type}",
                "one list per jet, with a number for each constituent",
                f"rename the column: only columns of constituents may be called '{PREFIX}...'",
            )
        )
    missing = ak.to_numpy(ak.is_none(column) | ak.fill_none(ak.any(ak.is_none(column, axis=1), axis=1), True))
    if missing.any():
        raise JetError(
            explain(
                f"jet {int(np.argmax(missing))} of {source} has a missing value in '{name}'",
                "a number for each constituent",
                "drop these jets, or fill the values before writing the file",
            )
        )
    return ak.drop_none(ak.drop_none(column, axis=1), axis=0)


def _check_lengths(columns: Mapping[str, ak.Array], source: str) -> None:
    first, *others = columns
    counts = ak.to_numpy(ak.num(columns[first], axis=1))
    for name in others:
        differs = ak.to_numpy(ak.num(columns[name], axis=1)) != counts
        if differs.any():
            jet = int(np.argmax(differs))
            raise JetError(
                explain(
                    f"jet {jet} of {source} has {counts[jet]} values of '{first}' "
                    f"but {len(columns[name][jet])} of '{name}'",
                    f"lists of equal length in all '{PREFIX}...' columns of a jet",
                    "write all columns from the same list of constituents",
                )
            )


def _pdg_id(columns: Mapping[str, ak.Array]) -> ak.Array:
    charge = columns["charge"]
    values = ak.zeros_like(charge, dtype=np.int32)
    for flag, (code, sign) in _FLAGS.items():
        signed = code * sign * charge if sign else code
        values = ak.where(columns[flag] != 0, signed, values)
    return ak.values_astype(values, np.int32)


def is_particle(momenta: Mapping[str, ak.Array]) -> ak.Array:
    """Mask of real particles: one of px, py, pz, pt, mass and E, as far as given, differs from 0; padding has none."""
    present: Any = False
    for name, column in momenta.items():
        if name not in ("eta", "phi"):
            present = present | (column != 0)
    return present


def jet_fields(columns: Mapping[str, ak.Array], source: str) -> dict[str, ak.Array]:
    """Fields of the jets, as `from_flat` names them."""
    fields = {
        name: _without_options(column, name, source) for name, column in columns.items() if not name.startswith(PREFIX)
    }
    own = {name: f"jet_{name}" for name in ("pt", "eta", "phi", "mass", "energy")}
    if all(own[name] in fields for name in ("pt", "eta", "phi")):
        if own["mass"] not in fields and own["energy"] in fields:
            fields[own["mass"]] = _mass(*(fields[own[name]] for name in ("pt", "eta", "energy")))
        if own["mass"] in fields:
            momentum = {name: fields.pop(own[name]) for name in ("pt", "eta", "phi", "mass")}
            fields = {**momentum, **{name: column for name, column in fields.items() if name not in momentum}}
    names = coordinates_of(fields)
    if names is None:
        return fields
    return {name: column for name, column in fields.items() if name in names.values() or name not in _COORDINATE_NAMES}


def _without_options(column: ak.Array, name: str, source: str) -> ak.Array:
    """Remove the option type of a jet column in which nothing is missing."""
    if name == "constituents":
        raise JetError(
            explain(
                f"{source} with both 'constituents' and '{PREFIX}...' columns",
                "one of the two layouts",
                "drop the columns of one of them",
            )
        )
    if column.ndim == 1 and not ak.any(ak.is_none(column), axis=None):
        return ak.drop_none(column, axis=0)
    return column


def _mass(pt: ak.Array, eta: ak.Array, energy: ak.Array) -> ak.Array:
    momentum = ak.values_astype(pt, np.float64) * np.cosh(ak.values_astype(eta, np.float64))
    squared = ak.values_astype(energy, np.float64) ** 2 - momentum**2
    return np.sqrt(ak.where(squared > 0, squared, 0.0))
