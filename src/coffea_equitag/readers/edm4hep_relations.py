"""Relations between collections of EDM4HEP, as coffea's schemas for its two layouts give them.

============  ==================================================  ==========================================
relation      since 1.0 (``FCC.get_schema("latest")``)            before (``FCC.get_schema("pre-edm4hep1")``)
============  ==================================================  ==========================================
particles     ``Jet.particles_idx_ReconstructedParticles_index``  ``Jet.particles`` (begin, end), ``Jetidx2``
tracks        ``tracks_idx_EFlowTrack_index``                     ``tracks`` (begin, end), ``...idx1``
track states  ``EFlowTrack.trackStates``                          ``trackStates`` (begin, end), ``EFlowTrack_1``
============  ==================================================  ==========================================
"""

from __future__ import annotations

import re

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.tracing import is_traced, touch
from .links import listed
from .own_links import of_existing

__all__ = [
    "NUMBERS",
    "PARTICLES",
    "covariance_column",
    "first_of",
    "first_state",
    "has_relation",
    "relation",
    "take",
    "targets",
]

#: Relation of a ReconstructedParticle -> number of its table before 1.0.
NUMBERS = {"clusters": 0, "tracks": 1, "particles": 2}

#: Collections that jets link to before 1.0, which does not name them.
PARTICLES = ("ReconstructedParticles", "PandoraPFOs", "PandoraPFANewPFOs")


def has_relation(events: ak.Array, collection: str, name: str) -> bool:
    """Whether the records of a collection have a relation of that name."""
    fields = events[collection].fields
    return any(field.startswith(f"{name}_idx_") for field in fields) or _is_range(events[collection], name)


def targets(events: ak.Array, collection: str, name: str) -> list[str]:
    """Collections that a relation may point to, others than the collection itself."""
    records = events[collection]
    named = [match[1] for field in records.fields if (match := re.fullmatch(rf"{name}_idx_(\w+)_index", field))]
    if not named and _is_range(records, name) and f"{collection}idx{NUMBERS[name]}" in events.fields:
        named = [table for table in events.fields if _is_target(events, table, name)]
    return [table for table in named if table in events.fields and table != collection]


def relation(
    events: ak.Array, collection: str, records: ak.Array, name: str, target: str, exists: ak.Array | None = None
) -> ak.Array:
    """Places in the target collection that each record links to.

    Parameters
    ----------
    events : ak.Array
        The events.
    collection : str
        The collection; `records` may be any of its records, in any order.
    records : ak.Array
        ``[event][record]``.
    name, target : str
        The relation, and one of its `targets`.
    exists : ak.Array, optional
        Which records exist; others have no links.

    Returns
    -------
    ak.Array
        ``[event][record][k]``, int64.

    Raises
    ------
    JetError
        If the records link to several collections, of which EDM4HEP's events do not say which is which.
    """
    index, identifier = (
        _ranges(events[f"{collection}idx{NUMBERS[name]}"][column], records[name], exists, collection)
        if _is_range(records, name)
        else of_existing(records[f"{name}_idx_{target}_{column}"], exists)
        for column in ("index", "collectionID")
    )
    _check_single(identifier, collection, name)
    return ak.values_astype(index, np.int64)


def first_of(events: ak.Array, collection: str, records: ak.Array, name: str, target: str) -> ak.Array:
    """Place of the first linked record, ``[event][record]``, int64; -1 if there is none."""
    index = ak.firsts(relation(events, collection, records, name, target), axis=2)
    return ak.values_astype(ak.fill_none(index, -1, axis=None), np.int64)


def first_state(events: ak.Array, tracks: str, column: str, entry: int | None = None) -> ak.Array:
    """A column of the first state of each track, ``[event][track]``; missing for tracks without state.

    Parameters
    ----------
    events : ak.Array
        The events.
    tracks, column : str
        The collection of tracks, and the column of its states.
    entry : int, optional
        Which element of a column that has several for each state.
    """
    states = events[tracks]["trackStates"]
    if not _is_range(events[tracks], "trackStates"):
        values = ak.firsts(_element(states[column], None), axis=2)
        return values if entry is None else values[:, :, entry]
    values = _element(events[_state_table(events, tracks)][column], entry)
    begin, end = (ak.values_astype(states[bound], np.int64) for bound in ("begin", "end"))
    return take(values, ak.where(end > begin, begin, -1))


def covariance_column(events: ak.Array, tracks: str) -> str:
    """Name of the column of the states' covariance matrix, which has the number of its elements in the older layout."""
    table = _state_table(events, tracks)
    fields: list[str] = (events[table] if table else events[tracks]["trackStates"]).fields
    return next(name for name in fields if name.startswith("covMatrix"))


def take(values: ak.Array, index: ak.Array) -> ak.Array:
    """Values at places within their event, ``[event][k]``; missing where the place is negative."""
    return values[ak.mask(index, index >= 0)]


def _element(column: ak.Array, entry: int | None) -> ak.Array:
    """A column, or one element of a column of arrays (a record with one field, in the newer layout)."""
    column = column[column.fields[0]] if column.fields else column
    return column if entry is None else column[..., entry]


def _is_range(records: ak.Array, name: str) -> bool:
    return name in records.fields and {"begin", "end"} <= set(_fields_of(records, name))


def _fields_of(records: ak.Array, name: str) -> list[str]:
    """Fields of a column, from the type alone: coffea would read the column to give it."""
    form = records.layout.form
    while not form.is_record:
        form = form.content
    form = form.content(name)
    while form.is_list or form.is_option or form.is_indexed:
        form = form.content
    return list(form.fields)


def _is_target(events: ak.Array, table: str, name: str) -> bool:
    if name == "tracks":
        return _is_range(events[table], "trackStates") and bool(_state_table(events, table))
    return table in PARTICLES


def _state_table(events: ak.Array, tracks: str) -> str:
    """The table of track states of a collection of tracks, before 1.0."""
    tables = (name for name in events.fields if re.fullmatch(rf"{tracks}_\d", name))
    return next((name for name in tables if "D0" in events[name].fields), "")


def _ranges(values: ak.Array, ranges: ak.Array, exists: ak.Array | None, collection: str) -> ak.Array:
    """The values from begin to end of each record, ``[event][record][k]``."""
    begin, end = (ak.values_astype(of_existing(ranges[bound], exists), np.int64) for bound in ("begin", "end"))
    number = ak.where(end > begin, end - begin, 0)
    if is_traced(values):
        touch(values)
        chosen = values
    else:
        _check_ranges(number, end, values, collection)
        sizes, starts = (ak.to_numpy(ak.flatten(column, axis=1)) for column in (number, begin))
        place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(starts, sizes)
        chosen = values[ak.unflatten(place, ak.sum(number, axis=1))]
    by_record = ak.unflatten(ak.flatten(chosen, axis=1), ak.flatten(number, axis=1))
    return ak.unflatten(by_record, ak.num(number, axis=1))


def _check_ranges(number: ak.Array, end: ak.Array, values: ak.Array, collection: str) -> None:
    outside = ak.any((number > 0) & (end > ak.num(values, axis=1)), axis=1)
    if ak.any(outside):
        event = int(np.argmax(ak.to_numpy(outside)))
        raise JetError(
            explain(
                f"links of '{collection}' in event {event} end at {ak.max(end[event])} of {len(values[event])}",
                "links within their table",
                "read the events as they are stored: do not concatenate events or filter tables of links",
            )
        )


def _check_single(identifier: ak.Array, collection: str, name: str) -> None:
    if is_traced(identifier):
        touch(identifier)
        return
    values = np.unique(ak.to_numpy(ak.flatten(identifier, axis=None)))
    if len(values) > 1:
        raise JetError(
            explain(
                f"{name} of '{collection}' in several collections: collectionID {listed(f'{v:.0f}' for v in values)}",
                "links to one collection: the events do not tell which ID is which",
                "merge the collections when writing the file, or cluster the particles with readers.cluster",
            )
        )
