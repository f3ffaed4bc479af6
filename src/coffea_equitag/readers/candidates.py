"""Tables of candidates, tracks and generator particles in CMS's names, as columns in canonical units and signs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.impact_parameter import columns_to_read
from .links import listed
from .particle_masses import charge_of, mass_of
from .track_conventions import D0_SIGNS, MILLIMETRES

__all__ = ["MOMENTUM", "STANDARD_FIELDS", "STORED_NAMES", "column_of", "is_weighted", "no_column", "wanted_columns"]

MOMENTUM = ("pt", "eta", "phi", "mass")

#: Columns of a constituent besides its four-momentum, as far as the file has them.
STANDARD_FIELDS = ("charge", "pdgId", "d0", "d0Err", "dz", "dzErr", "puppiWeight")

#: Canonical name -> names in the tables of offline, custom and scouting NanoAOD.
_ALIASES = {
    "mass": ("mass", "m"),
    "d0": ("d0", "dxy", "trkDxy"),
    "d0Err": ("d0Err", "dxyErr", "dxyError"),
    "dz": ("dz", "trkDz"),
    "dzErr": ("dzErr", "dzError"),
}

#: Canonical name -> value divided by its error, from which scouting tables give the error.
_SIGNIFICANCES = {"d0Err": ("trkDxysig", "dxysig"), "dzErr": ("trkDzsig", "dzsig")}

#: Every name under which one of the columns above, or what it follows from, may be stored.
STORED_NAMES = frozenset(
    {*MOMENTUM, *STANDARD_FIELDS, *(name for names in (*_ALIASES.values(), *_SIGNIFICANCES.values()) for name in names)}
)

#: Conversion factors from the file to canonical columns.
_CM = MILLIMETRES["cm"]
_FACTORS = {"d0": D0_SIGNS["cms"] * _CM, "d0Err": _CM, "dz": _CM, "dzErr": _CM}


def wanted_columns(particles: ak.Array, fields: Iterable[str] | None, table: str) -> list[str]:
    """Choose the columns: those requested, or the standard ones that the table has or that follow from others.

    Raises
    ------
    JetError
        If the four-momentum is incomplete, or a requested column neither is in the table nor follows from others.
    """
    for name in MOMENTUM:
        if not _available(particles, name):
            raise no_column(name, table, particles.fields)
    if fields is None:
        return [name for name in STANDARD_FIELDS if _available(particles, name)]
    if isinstance(fields, str):
        fields = (fields,)
    wanted = [name for name in columns_to_read(fields, lambda n: _available(particles, n)) if name not in MOMENTUM]
    for name in wanted:
        if not _available(particles, name):
            raise no_column(name, table, particles.fields)
    return wanted


def column_of(particles: ak.Array, name: str, index: ak.Array | None = None) -> ak.Array:
    """One column in canonical units and sign, of all particles or of those of an index ``[event][k]``."""

    def stored(field: str) -> ak.Array:
        return particles[field] if index is None else particles[field][index]

    field = _first(particles, _ALIASES.get(name, (name,)))
    if name in _FACTORS:
        values, measured = _track_column(particles, name, field, stored)
        return ak.values_astype(ak.where(measured, values * _FACTORS[name], 0.0), np.float32)
    if field is not None:
        return stored(field)
    return (charge_of if name == "charge" else mass_of)(stored("pdgId"))


def is_weighted(particles: ak.Array, puppi: bool | None, table: str) -> bool:
    """Whether pt and mass still have to be multiplied by the PUPPI weight.

    Raises
    ------
    JetError
        If `puppi` contradicts what is stored.
    """
    # central v15 stores weighted values, and says so only in the branch title
    if "puppi-weighted" in str(particles["pt"].layout.purelist_parameter("__doc__")).lower():
        if puppi is False:
            raise JetError(
                explain(
                    f"puppi=False for '{table}', whose pt is stored PUPPI-weighted",
                    "puppi=None or True",
                    "leave puppi out; only PFNano files have unweighted candidates",
                )
            )
        return False
    available = "puppiWeight" in particles.fields
    if puppi and not available:
        raise JetError(
            explain(
                f"puppi=True for '{table}' without 'puppiWeight'; it has {listed(particles.fields)}",
                "a column 'puppiWeight'",
                "leave puppi out if the momenta are already weighted, or should not be",
            )
        )
    return available if puppi is None else puppi


def no_column(name: str, table: str, present: Iterable[str]) -> JetError:
    """The error for a column that a table lacks, in the words of its format."""
    remedy = "remove it from fields, or use a file that stores it (PFNano has charge, d0 and dz)"
    if table == "PFCand" and name in _FACTORS:
        remedy = (
            "choose a tagger without impact parameters, or use PFNano or BTV NanoAOD: central v15 stores no track "
            "parameters of its candidates"
        )
    return JetError(
        explain(
            f"'{table}' without a column for '{name}'; it has {listed(present)}",
            f"a column '{name}' for the candidates",
            remedy,
        )
    )


def _available(particles: ak.Array, name: str) -> bool:
    names = (*_ALIASES.get(name, (name,)), *_SIGNIFICANCES.get(name, ()))
    derivable = name in ("charge", "mass") and "pdgId" in particles.fields
    return derivable or _first(particles, names) is not None


def _first(particles: ak.Array, names: Iterable[str]) -> str | None:
    return next((name for name in names if name in particles.fields), None)


def _track_column(
    particles: ak.Array, name: str, field: str | None, stored: Callable[[str], ak.Array]
) -> tuple[ak.Array, ak.Array]:
    """Values of d0, dz or an error in the file's units, and which were measured."""
    quantity = name[:2]
    error = _first(particles, _ALIASES[quantity + "Err"])
    if error is not None:
        return stored(error if field is None else field), stored(error) > 0
    significance = _first(particles, _SIGNIFICANCES[quantity + "Err"])
    if significance is None:
        assert field is not None  # an error without a column would not have been available
        # the stored -1 is the only sign of a missing track; no measured value is exactly -1
        return stored(field), stored(field) != -1
    ratio = stored(significance)
    measured = (ratio != 0) & np.isfinite(ratio)
    if field is not None:
        return stored(field), measured
    value = _first(particles, _ALIASES[quantity])
    assert value is not None  # significances come with values
    return abs(stored(value) / ak.where(measured, ratio, 1.0)), measured
