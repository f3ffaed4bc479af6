"""Jets that carry the links to their constituents themselves, which then survive any selection and sorting of jets.

PHYSLITE, EDM4HEP and Delphes store them so: each jet has a list of places among the particles of its event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.impact_parameter import columns_to_read
from ..jets.nesting import unmasked
from ..jets.tracing import is_traced
from .completeness import are_stored
from .links import gather, listed
from .shifted_jets import Constituents, check_constituents, matching, with_constituents
from .stored_jets import Keys, find_stored, touch_identities

__all__ = ["Column", "OwnLinks", "Words", "canonical_jets", "jets_of", "of_existing"]

#: One value per particle of the event, ``[event][particle]``, read when called.
Column = Callable[[], ak.Array]


class Words(NamedTuple):
    """What a format calls its particles, and what to do about what it lacks.

    Attributes
    ----------
    particles : str
        The constituents: "InDetTrackParticles".
    no_column : str
        What to do if they lack a column.
    not_stored : str
        What to do about jets whose constituents are not stored.
    """

    particles: str
    no_column: str
    not_stored: str


class OwnLinks(NamedTuple):
    """Jets with their own links.

    Attributes
    ----------
    jets : ak.Array
        ``[event][jet]``, none missing.
    exists : ak.Array or None
        Which of them exist, None if all do.
    index : ak.Array
        ``[event][jet][k]``, places among the particles of the event; negative if the particle is not stored, and none
        for jets that do not exist (`of_existing`).
    num_particles : ak.Array
        ``[event]``.
    columns : mapping of str to Column
        The particles, under canonical names: the four components of the momentum come first.
    keys : callable or None
        As for `stored_jets.find_stored`.
    anchor : str
        A table of the events that analyses leave as it is.
    canonical : callable
        Jets as in the file -> jets in canonical coordinates and GeV.
    """

    jets: ak.Array
    exists: ak.Array | None
    index: ak.Array
    num_particles: ak.Array
    columns: Mapping[str, Column]
    keys: Keys | None
    anchor: str
    canonical: Callable[[ak.Array], ak.Array] = lambda jets: jets


def jets_of(events: ak.Array, collection: str, found: Iterable[str]) -> tuple[ak.Array, ak.Array | None]:
    """The jets of a collection, and which of them exist (see `jets.nesting.unmasked`).

    Parameters
    ----------
    events : ak.Array
        Event records.
    collection : str
        The jets.
    found : iterable of str
        The collections of jets in these events, for the message.

    Raises
    ------
    JetError
        For a single event, an unknown collection, or jets that are not a list for each event.
    """
    if isinstance(events, ak.Record):
        raise JetError(explain("one event (ak.Record)", "an array of events", "slice: events[:1], not events[0]"))
    if collection not in events.fields:
        raise JetError(
            explain(
                f"events without '{collection}'",
                f"the name of a jet collection; these events have {listed(found)}",
                "pass one of them as collection",
            )
        )
    jets = events[collection]
    if jets.ndim != 2:
        raise JetError(
            explain(
                f"events whose '{collection}' are {jets.layout.form.type}",
                "a list of jets for each event",
                f"take the first jets with events.{collection}[:, :1], or read the jets first and select afterwards",
            )
        )
    return unmasked(jets)


def of_existing(column: ak.Array, exists: ak.Array | None) -> ak.Array:
    """A column of links, ``[event][jet]`` or ``[event][jet][k]``, with 0 or no entries for jets that do not exist."""
    if exists is None:
        return column
    if column.ndim == 2:
        return ak.where(exists, column, ak.zeros_like(column))
    return column[ak.broadcast_arrays(exists, column)[0]]


def canonical_jets(
    events: ak.Array,
    collection: str,
    links: OwnLinks,
    words: Words,
    *,
    fields: Iterable[str] | None,
    constituents: Constituents,
) -> ak.Array:
    """Jets with their constituents; the jets' columns stay as they are.

    Parameters
    ----------
    events : ak.Array
        The events that the jets are from.
    collection : str
        Name of the jets.
    links : OwnLinks
        The jets and what they link to.
    words : Words
        For messages.
    fields, constituents
        As for `readers.nanoaod`.

    Returns
    -------
    ak.Array
        ``[event][jet]``; jets that link to particles of which none is stored are missing.

    Raises
    ------
    JetError
        If columns are missing or links point outside their table.

    Warns
    -----
    ConstituentsWarning
        If particles that jets link to are not stored.
    """
    check_constituents(constituents)
    jets = links.jets
    names = _chosen(links.columns, fields, words)
    index = links.index[links.index >= 0]
    _check_inside(index, links.num_particles, collection, words)
    linked, flat = ak.num(index, axis=2), ak.flatten(index, axis=2)
    nested = gather({name: links.columns[name]()[flat] for name in names}, linked)
    known = are_stored(
        jets,
        linked if links.exists is None else ak.mask(linked, links.exists),
        collection,
        stated=ak.num(links.index, axis=2),
        count="links",
        remedy=words.not_stored,
    )
    if is_traced(jets):
        stored = None
        if links.keys is None:
            touch_identities(jets)
    else:
        stored = find_stored(events, collection, links.anchor, links.keys)
    nested, jets = matching(nested, jets, stored, collection, constituents)
    return with_constituents(links.canonical(jets), nested, known, links.exists)


def _chosen(columns: Mapping[str, Column], fields: Iterable[str] | None, words: Words) -> list[str]:
    """The momentum, and the columns requested or all that there are."""
    momentum = list(columns)[:4]
    if fields is None:
        return list(columns)
    if isinstance(fields, str):
        fields = (fields,)
    wanted = [name for name in columns_to_read(fields, columns.__contains__) if name not in momentum]
    for name in wanted:
        if name not in columns:
            raise JetError(
                explain(
                    f"{words.particles} without '{name}'; they give {listed(columns)}",
                    f"a column '{name}' for each constituent",
                    words.no_column,
                )
            )
    return momentum + wanted


def _check_inside(index: ak.Array, num_particles: ak.Array, collection: str, words: Words) -> None:
    if is_traced(index):
        return
    outside = ak.any(ak.any(index >= num_particles, axis=2), axis=1)
    if ak.any(outside):
        event = int(np.argmax(ak.to_numpy(outside)))
        raise JetError(
            explain(
                f"'{collection}' of event {event} link to number {ak.max(index[event])} of {words.particles}, of which "
                f"the event has {num_particles[event]}",
                "links to particles of the event",
                "read the events as they are stored: do not filter or concatenate the particles",
            )
        )
