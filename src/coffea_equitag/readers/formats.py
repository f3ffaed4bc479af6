"""Formats of events, recognised by their tables and branches.

A format is added by an entry in `FORMATS`: how to tell it, from event records and from the branches of a file, its
reader, and how coffea opens it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import awkward as ak
import vector

from ..errors import JetError, explain
from .delphes import REFERENCES, delphes
from .delphes import jet_collections as delphes_jets
from .edm4hep import edm4hep
from .edm4hep import jet_collections as edm4hep_jets
from .links import listed
from .nanoevents import nanoaod
from .physlite import GHOSTS, TRACKS, physlite
from .physlite import jet_collections as physlite_jets
from .shifted_jets import Constituents

__all__ = ["FORMATS", "EventReader", "Format", "auto", "format_of_file", "read_events", "recognise"]


class EventReader(Protocol):
    """What every reader of event records takes and returns."""

    def __call__(
        self,
        events: ak.Array,
        collection: str,
        *,
        fields: Iterable[str] | None = None,
        constituents: Constituents = "nominal",
    ) -> ak.Array:
        """Jets with their constituents, parallel to ``events[collection]``."""
        ...


class Format(NamedTuple):
    """A format of events.

    Attributes
    ----------
    name : str
        For messages.
    reader : EventReader
        Event records and the name of a collection -> jets.
    jets : callable
        Event records -> the names of the collections that it reads.
    of_records : callable
        Names of the tables, and columns of the jets, as coffea's schema names them -> whether it is this format.
    of_branches : callable
        Names of the branches of a file -> whether it is this format.
    tree : str
        Usual name of the tree.
    opened_by : callable
        Names of the branches of a file -> coffea's schema, and further options of ``NanoEventsFactory.from_root``.
    """

    name: str
    reader: EventReader
    jets: Callable[[ak.Array], Iterable[str]]
    of_records: Callable[[Sequence[str], Sequence[str]], bool]
    of_branches: Callable[[Sequence[str]], bool]
    tree: str
    opened_by: Callable[[Sequence[str]], tuple[Any, dict[str, Any]]]


def auto(
    events: ak.Array,
    collection: str,
    *,
    fields: Iterable[str] | None = None,
    constituents: Constituents = "nominal",
) -> ak.Array:
    """Jets with their constituents from events of any schema that is known (see `recognise`).

    Parameters
    ----------
    events : ak.Array
        NanoEvents.
    collection : str
        The jets.
    fields, constituents
        As for `readers.nanoaod`.

    Returns
    -------
    ak.Array
        What the reader of the format returns.
    """
    return recognise(events, collection).reader(events, collection, fields=fields, constituents=constituents)


def recognise(events: ak.Array, collection: str) -> Format:
    """The format of event records; NanoAOD, whose reader says what is missing, if they look like no other."""
    tables = events.fields
    columns = events[collection].fields if collection in tables else []
    return next((known for known in FORMATS if known.of_records(tables, columns)), NANOAOD)


def format_of_file(branches: Sequence[str]) -> Format | None:
    """The format of a file with these branches; None for NanoAOD and flat files, which `readers.root` reads itself."""
    return next((known for known in FORMATS if known.of_branches(branches)), None)


def read_events(
    path: Path, tree: str, branches: Sequence[str], known: Format, collection: str | None, start: int, stop: int
) -> ak.Array:
    """Jets of a file, with their constituents and those of their columns that are one number per jet.

    Raises
    ------
    JetError
        If no `collection` is given, or the reader of the format fails.
    """
    from coffea.nanoevents import NanoEventsFactory

    schema, options = known.opened_by(branches)
    with warnings.catch_warnings():
        # of branches that coffea cannot read: those of jets are missed later
        warnings.simplefilter("ignore")
        events = NanoEventsFactory.from_root(
            {str(path): tree}, schemaclass=schema, mode="virtual", entry_start=start, entry_stop=stop, **options
        ).events()
    if collection is None:
        raise JetError(
            explain(
                f"{path} ({known.name}) without jets=...",
                f"the name of a jet collection: {listed(known.jets(events))}",
                "pass one of them as jets=... (--jets)",
            )
        )
    jets = known.reader(events, collection)
    numbers = [name for name in jets.fields if jets[name].ndim == 2 and not jets[name].fields and name[0] != "_"]
    layout = ak.to_layout(ak.materialize(jets[[*numbers, "constituents"]]))
    return ak.Array(layout, behavior=vector.backends.awkward.behavior)


def _physlite_schema(_: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    from coffea.nanoevents import PHYSLITESchema

    return PHYSLITESchema, {}


def _edm4hep_schema(branches: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    from coffea.nanoevents import FCC

    if any("#" in name for name in branches):
        # coffea fails on the maps of collection parameters
        return FCC.get_schema("pre-edm4hep1"), {"iteritems_options": {"filter_name": "/^(?!.*(PARAMETERS|_.*Map))/"}}
    return FCC.get_schema("latest"), {}


def _delphes_schema(_: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    from coffea.nanoevents import DelphesSchema

    return DelphesSchema, {}


def _nanoaod_schema(_: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    from ..schema import QuietPFNano

    return QuietPFNano, {}


NANOAOD = Format(
    name="NanoAOD",
    reader=nanoaod,
    jets=lambda events: (name for name in events.fields if name.endswith("Jet")),
    of_records=lambda tables, columns: True,
    of_branches=lambda branches: False,
    tree="Events",
    opened_by=_nanoaod_schema,
)

#: In the order in which they are tried.
FORMATS: tuple[Format, ...] = (
    Format(
        name="PHYSLITE",
        reader=physlite,
        jets=physlite_jets,
        of_records=lambda tables, columns: TRACKS in tables or GHOSTS in columns,
        of_branches=lambda branches: any("AuxDyn." in name for name in branches),
        tree="CollectionTree",
        opened_by=_physlite_schema,
    ),
    Format(
        name="EDM4HEP",
        reader=edm4hep,
        jets=edm4hep_jets,
        of_records=lambda tables, columns: (
            "particles" in columns or any(c.startswith("particles_idx_") for c in columns)
        ),
        of_branches=lambda branches: any(name.endswith(".momentum.x") for name in branches),
        tree="events",
        opened_by=_edm4hep_schema,
    ),
    Format(
        name="Delphes",
        reader=delphes,
        jets=delphes_jets,
        of_records=lambda tables, columns: REFERENCES in columns,
        of_branches=lambda branches: any(name.endswith(".fUniqueID") for name in branches),
        tree="Delphes",
        opened_by=_delphes_schema,
    ),
)
