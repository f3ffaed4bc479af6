"""Jets from Delphes: constituents found by the unique identifiers that references carry.

``Jet.Constituents`` is a TRefArray: for each jet, the ``fUniqueID`` of objects in other branches. Delphes counts them
anew in each event, over all objects, whichever branches they are written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial, reduce
from operator import add

import awkward as ak
import numpy as np

from ..array_types import I8
from ..errors import JetError, explain
from ..jets.tracing import is_traced, touch
from .links import listed
from .own_links import Column, OwnLinks, Words, canonical_jets, jets_of, of_existing
from .shifted_jets import Constituents

__all__ = ["REFERENCES", "delphes", "jet_collections"]

#: Column of the jets: their references to constituents.
REFERENCES = "Constituents"

#: Branches that hold constituents of jets, in the order in which they are searched: energy flow, particle flow, then
#: what calorimeter, track and generator jets are made of. Identifiers differ between all objects of an event.
_SOURCES = (
    ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron"),
    ("ParticleFlowCandidate",),
    ("Tower",),
    ("Track",),
    ("Particle",),
)

#: Particle ID of objects without one.
_PDG_ID = {"EFlowPhoton": 22, "EFlowNeutralHadron": 130}

_TRACK_COLUMNS = {"d0": "D0", "d0Err": "ErrorD0", "dz": "DZ", "dzErr": "ErrorDZ"}

#: The bits of an identifier that count; those above number the process that wrote it.
_IDENTIFIER = 0xFFFFFF

_ADD_BRANCHES = (
    "add these branches to the TreeWriter of the card: 'add Branch HCal/eflowTracks EFlowTrack Track', "
    "'add Branch ECal/eflowPhotons EFlowPhoton Tower', 'add Branch HCal/eflowNeutralHadrons EFlowNeutralHadron Tower'"
)

_WORDS = Words(
    particles="constituents",
    no_column="choose a tagger that does not need it: tracks have charge, pdgId, and d0, dz with errors (Delphes 3.4.2 "
    "and later)",
    not_stored=_ADD_BRANCHES,
)


def delphes(
    events: ak.Array,
    collection: str = "Jet",
    *,
    fields: Iterable[str] | None = None,
    constituents: Constituents = "nominal",
) -> ak.Array:
    """Jets with the objects that they were clustered from, from Delphes events.

    The result is parallel to ``events[collection]``, whatever was filtered, sorted or shifted there, with all jet
    columns (``Flavor`` is the label): each jet carries its own references.

    Parameters
    ----------
    events : ak.Array
        NanoEvents (``DelphesSchema``; virtual, eager or traced; sliced or not).
    collection : str
        The jet collection: ``"Jet"``, ``"FatJet"``, ``"GenJet"``, ...
    fields : iterable of str, optional
        Constituent columns besides the four-momentum, from ``charge, pdgId, d0, d0Err, dz, dzErr``; by default all that
        the file has.
    constituents : {"nominal", "scaled"}
        As for `readers.nanoaod`.

    Returns
    -------
    ak.Array
        ``[event][jet]``, with ``constituents`` (pt, eta, phi, mass in GeV). Rules:

        * constituents are looked for in EFlowTrack, EFlowPhoton and EFlowNeutralHadron, then, for those not found,
          in ParticleFlowCandidate, Tower, Track and Particle; for generator jets (GenJet), first in Particle;
        * towers are massless, with pT = ET;
        * ``d0, d0Err, dz, dzErr`` are Delphes' D0, ErrorD0, DZ, ErrorDZ (mm), 0 for towers: not measured;
        * ``pdgId`` of tracks is the true one; photons have 22, neutral hadrons 130, other towers 0;
        * a jet of which no constituent is stored is missing (None).

    Raises
    ------
    JetError
        If branches or columns are missing.

    Warns
    -----
    ConstituentsWarning
        With the number of jets of which constituents are not stored.
    """
    jets, exists = jets_of(events, collection, jet_collections(events))
    if REFERENCES not in jets.fields:
        raise JetError(
            explain(
                f"'{collection}' without '{REFERENCES}'; jets with it: {listed(jet_collections(events))}",
                "a branch of the class Jet, with references to its constituents",
                "use one of these, and read them with all branches",
            )
        )
    sources, index = _found(events, collection, of_existing(jets[REFERENCES]["refs"], exists))
    links = OwnLinks(
        jets=jets,
        exists=exists,
        index=index,
        num_particles=reduce(add, (ak.num(events[name]["fUniqueID"], axis=1) for name in sources)),
        columns=_columns(events, sources),
        keys=None,
        anchor=sources[0],
    )
    return canonical_jets(events, collection, links, _WORDS, fields=fields, constituents=constituents)


def _found(events: ak.Array, collection: str, references: ak.Array) -> tuple[list[str], ak.Array]:
    """The branches that hold constituents, and the places of these in all of them together, -1 for none."""
    order = sorted(_SOURCES, key=lambda names: "Particle" not in names) if collection.startswith("Gen") else _SOURCES
    present = [[n for n in names if n in events.fields and "fUniqueID" in events[n].fields] for names in order]
    groups = [names for names in present if names]
    if not groups:
        raise JetError(
            explain(
                f"Delphes events without the constituents of '{collection}'",
                f"one of the branches {listed(name for names in _SOURCES for name in names)}, with fUniqueID",
                _ADD_BRANCHES,
            )
        )
    sources: list[str] = []
    index = references
    for names in groups:
        sources += names
        index = _match([events[name]["fUniqueID"] for name in sources], references)
        if is_traced(references) or not ak.any(index < 0, axis=None):
            break
    return sources, index


def _match(identifiers: Sequence[ak.Array], references: ak.Array) -> ak.Array:
    """Place of each reference among all identifiers of its event, ``[event][jet][k]``; -1 if there is none."""
    if is_traced(references):
        for column in (*identifiers, references):
            touch(column)
        return ak.values_astype(references, np.int64)
    together = ak.concatenate(identifiers, axis=1)
    known, number = _keys(together)
    first = np.cumsum(number) - number
    wanted, size = _keys(ak.flatten(references, axis=2))
    order = np.argsort(known, kind="stable")
    at = np.minimum(np.searchsorted(known[order], wanted), max(len(known) - 1, 0))
    place = order[at] if len(known) else at
    is_known = (known[place] == wanted) & (wanted & _IDENTIFIER > 0) if len(known) else np.zeros(len(wanted), bool)
    local = ak.unflatten(np.where(is_known, place - np.repeat(first, size), -1), size)
    by_jet = ak.unflatten(ak.flatten(local, axis=1), ak.flatten(ak.num(references, axis=2), axis=1))
    return ak.unflatten(by_jet, ak.num(references, axis=1))


def _keys(identifiers: ak.Array) -> tuple[I8, I8]:
    """Numbers that tell objects of all events apart, and how many there are in each event."""
    number: I8 = ak.to_numpy(ak.num(identifiers, axis=1)).astype(np.int64)
    values = ak.to_numpy(ak.flatten(identifiers, axis=1)).astype(np.int64) & _IDENTIFIER
    return (np.repeat(np.arange(len(number)), number) << 32) | values, number


def _columns(events: ak.Array, sources: Sequence[str]) -> dict[str, Column]:
    def joined(*names: str, kind: type = np.float32) -> ak.Array:
        parts = [_column(events, source, names) for source in sources]
        return ak.values_astype(ak.concatenate(parts, axis=1), kind)

    columns: dict[str, Column] = {
        "pt": lambda: joined("PT", "ET"),
        "eta": lambda: joined("Eta"),
        "phi": lambda: joined("Phi"),
        "mass": lambda: joined("Mass"),
        "charge": lambda: joined("Charge", kind=np.int32),
        "pdgId": lambda: joined("PID", kind=np.int32),
    }
    for name, stored in _TRACK_COLUMNS.items():
        if any(stored in events[source].fields for source in sources):
            columns[name] = partial(joined, stored)
    return columns


def _column(events: ak.Array, source: str, names: Sequence[str]) -> ak.Array:
    """The first of these columns that the branch has, else what holds for all of its objects."""
    objects = events[source]
    found = next((name for name in names if name in objects.fields), None)
    if found is not None:
        return objects[found]
    return ak.full_like(objects["Eta"], _PDG_ID.get(source, 0) if "PID" in names else 0)


def jet_collections(events: ak.Array) -> Iterator[str]:
    """Names of the jets with references to constituents."""
    return (name for name in events.fields if REFERENCES in events[name].fields)
