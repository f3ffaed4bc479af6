"""What jets shifted in energy look like to a network: like the stored jet, or with scaled constituents."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import awkward as ak
import numpy as np
import vector

from ..errors import JetError, explain
from ..jets.coordinates import coordinates_of
from ..jets.tracing import is_traced, touch
from .stored_jets import StoredJets

__all__ = ["Constituents", "check_constituents", "matching", "with_constituents"]

#: What jets shifted in energy look like.
Constituents: TypeAlias = Literal["nominal", "scaled"]


def check_constituents(given: str) -> None:
    """Refuse another word."""
    if given not in get_args(Constituents):
        raise JetError(
            explain(f"constituents={given!r}", "'nominal' or 'scaled'", "leave it out to score shifted jets as stored")
        )


def matching(
    constituents: ak.Array, jets: ak.Array, stored: StoredJets | None, collection: str, how: Constituents
) -> tuple[ak.Array, ak.Array]:
    """Constituents and jets whose four-momenta belong together: both as given, or both as stored.

    Parameters
    ----------
    constituents : ak.Array
        Those of the stored jets, ``[event][jet][constituent]`` with pt and mass, or px, py, pz and mass.
    jets : ak.Array
        The given jets.
    stored : StoredJets or None
        The stored jets that they were made from, if these are known.
    collection : str
        Name of the jets, for the error.
    how : {"nominal", "scaled"}
        What jets shifted in energy look like.

    Raises
    ------
    JetError
        If constituents should be scaled, and the stored jets are not known.
    """
    if how == "scaled":
        return _scaled(constituents, jets, stored, collection), jets
    return constituents, jets if stored is None else _with_stored_momenta(jets, stored)


def with_constituents(jets: ak.Array, constituents: ak.Array, *present: ak.Array | None) -> ak.Array:
    """Canonical jets; those that one of the masks ``[event][jet]`` does not allow are missing."""
    jets = ak.with_name(jets, "Momentum4D", behavior=vector.backends.awkward.behavior)
    jets = ak.with_field(jets, constituents, "constituents")
    for mask in present:
        jets = jets if mask is None else ak.mask(jets, mask)
    return jets


def _with_stored_momenta(jets: ak.Array, stored: StoredJets) -> ak.Array:
    """The jets with the four-momenta of the stored jets, so that jet and constituents belong together."""
    for name in _coordinates(jets):
        if name in jets.fields and name in stored.jets.fields:
            jets = ak.with_field(jets, stored.column(name, jets), name)
    return jets


def _scaled(constituents: ak.Array, jets: ak.Array, stored: StoredJets | None, collection: str) -> ak.Array:
    """The constituents with their four-momenta multiplied by pT / (pT stored)."""
    if is_traced(jets):
        for name in _transverse(jets):
            touch(jets[name])
        return constituents
    if stored is None:
        raise JetError(
            explain(
                f"constituents='scaled' for '{collection}' whose stored pT is not known",
                "events opened by coffea, with jets that keep the (eta, phi) or global index of the file",
                "shift the jets after opening the events with NanoEventsFactory, or scale the constituents yourself",
            )
        )
    names = _transverse(jets)
    before = _size([stored.column(name, jets) for name in names])
    # a jet without momentum has no constituents to multiply
    factor = _size([jets[name] for name in names]) / ak.where(before == 0, 1.0, before)
    for name in ("pt", "px", "py", "pz", "mass"):
        if name in constituents.fields:
            constituents = ak.with_field(constituents, constituents[name] * factor, name)
    return constituents


def _coordinates(jets: ak.Array) -> list[str]:
    """Columns of the four-momentum."""
    return list((coordinates_of(jets.fields) or {}).values()) or ["pt", "eta", "phi"]


def _transverse(jets: ak.Array) -> tuple[str, ...]:
    """Columns of the transverse momentum."""
    return ("pt",) if "pt" in jets.fields else ("px", "py")


def _size(components: list[ak.Array]) -> ak.Array:
    first, *others = (ak.values_astype(component, np.float64) for component in components)
    return np.hypot(first, others[0]) if others else first
