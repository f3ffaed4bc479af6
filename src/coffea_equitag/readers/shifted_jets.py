"""What jets shifted in energy look like to a network: like the stored jet, or with scaled constituents."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.tracing import is_traced, touch
from .stored_jets import StoredJets

__all__ = ["Constituents", "check_constituents", "scaled", "with_stored_momenta"]

#: What jets shifted in energy look like.
Constituents: TypeAlias = Literal["nominal", "scaled"]


def check_constituents(given: str) -> None:
    """Refuse another word."""
    if given not in get_args(Constituents):
        raise JetError(
            explain(f"constituents={given!r}", "'nominal' or 'scaled'", "leave it out to score shifted jets as stored")
        )


def with_stored_momenta(jets: ak.Array, stored: StoredJets) -> ak.Array:
    """The jets with the four-momenta of the stored jets, so that jet and constituents belong together."""
    for name in ("pt", "eta", "phi", "mass"):
        if name in jets.fields and name in stored.jets.fields:
            jets = ak.with_field(jets, stored.column(name, jets), name)
    return jets


def scaled(constituents: ak.Array, jets: ak.Array, stored: StoredJets | None, collection: str) -> ak.Array:
    """The constituents with pt and mass, and so all of the four-momentum, multiplied by pT / (pT stored).

    Parameters
    ----------
    constituents : ak.Array
        ``[event][jet][constituent]`` with pt and mass.
    jets : ak.Array
        The given jets.
    stored : StoredJets or None
        The stored jets that they were made from, if these are known.
    collection : str
        Name of the jets, for the error.

    Raises
    ------
    JetError
        If the stored jets are not known.
    """
    if is_traced(jets):
        touch(jets["pt"])
        return constituents
    if stored is None:
        raise JetError(
            explain(
                f"constituents='scaled' for '{collection}' whose stored pT is not known",
                "events opened by coffea, with jets that keep the (eta, phi) or global index of the file",
                "shift the jets after opening the events with NanoEventsFactory, or scale the constituents yourself",
            )
        )
    factor = ak.values_astype(jets["pt"], np.float64) / stored.column("pt", jets)
    for name in ("pt", "mass"):
        constituents = ak.with_field(constituents, constituents[name] * factor, name)
    return constituents
