"""Which jets of the file the given ones are, after events were selected, and jets filtered, sorted or shifted.

coffea keeps the events as they were opened. In them a jet is found by its stored (η, φ), which differ between the jets
of an event and which no energy calibration changes; where a shift moved the axes, by the jet's own global index
``pFCandsIdxG``, which coffea makes for PFNano with nConstituents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import awkward as ak
import numpy as np

from ..array_types import I8
from ..jets.tracing import is_traced, touch

__all__ = ["Keys", "StoredJets", "find_stored", "touch_identities"]

#: A jet's constituents as global indices into the link table, made by coffea where the file has nConstituents.
_OWN_INDEX = "pFCandsIdxG"


#: Jets -> one number for each jet, flat; None if they have none.
Keys: TypeAlias = Callable[[ak.Array], I8 | None]


class StoredJets(NamedTuple):
    """The stored jets that the given ones were made from.

    Attributes
    ----------
    counts : ndarray of int64, shape (events,)
        Number of stored jets in each event.
    position : ak.Array or None
        Place of each given jet among the stored jets of its event, ``[event][jet]``, missing for missing jets; None if
        none has moved.
    jets : ak.Array
        The stored jets, parallel to the given ones.
    located : ak.Array or None
        Which of `jets` are known, ``[event][jet]``; None if all are. Those of events without links may not be.
    """

    counts: I8
    position: ak.Array | None
    jets: ak.Array
    located: ak.Array | None

    def column(self, name: str, given: ak.Array) -> ak.Array:
        """A column of the stored jets; where they are not known, of the given ones."""
        stored = self.jets[name]
        return stored if self.located is None else ak.where(self.located, stored, given[name])

    @property
    def place(self) -> ak.Array:
        """0, 1, ... for the stored jets of each event."""
        return ak.unflatten(_within(self.counts), self.counts)


def find_stored(events: ak.Array, collection: str, link: str, keys: Keys | None = None) -> StoredJets | None:
    """Find the given jets among those of the file; None if the file's are not known, or some are not among them.

    Parameters
    ----------
    events : ak.Array
        Events that may have been selected, with a collection that may have been filtered, sorted or shifted.
    collection, link : str
        The jets, and their table of links, which must be as in the file.
    keys : callable, optional
        Jets -> one number for each, by which a jet is told from the others of its event, whatever its energy; default
        the stored (η, φ), then the own global index.
    """
    whole = _as_opened(events)
    if whole is None or collection not in whole.fields or link not in whole.fields:
        return None
    rows = _rows(events[link], whole[link])
    if rows is None:
        return None
    given, stored = events[collection], whole[collection]
    num_given, sizes = (ak.to_numpy(ak.num(jets, axis=1)).astype(np.int64) for jets in (given, stored))
    first = np.cumsum(sizes) - sizes
    probe = "eta" if "eta" in given.fields else "px"
    exists = ~ak.to_numpy(ak.flatten(ak.is_none(given[probe], axis=1), axis=1))
    jet_rows = np.where(exists, np.repeat(rows, num_given), -1)
    local = _within(num_given)
    place = _places(
        given, stored, jet_rows, local, first, sizes, (_directions, _own_indices) if keys is None else (keys,)
    )
    if place is None:
        return None
    # an event without links cannot be located, nor has it constituents to assign
    counts = np.where(rows >= 0, sizes[rows], num_given)
    moved = ((jet_rows >= 0) & (place != local)).any() or not np.array_equal(counts, num_given)
    position = ak.unflatten(place if exists.all() else ak.mask(place, exists), num_given) if moved else None
    records = ak.flatten(stored, axis=1)
    if len(records) == 0:
        return StoredJets(counts, position, given, None)
    located = jet_rows >= 0
    jets = ak.unflatten(records[np.where(located, first[jet_rows] + place, 0)], num_given)
    return StoredJets(counts, position, jets, None if located.all() else ak.unflatten(located, num_given))


def touch_identities(jets: ak.Array) -> None:
    """Report to a trace what `find_stored` reads of the jets."""
    for name in ("eta", "phi"):
        touch(jets[name])


def _as_opened(events: ak.Array) -> ak.Array | None:
    """The events as coffea opened them, without any selection."""
    if is_traced(events):
        return None
    original: Any = events.attrs.get("@original_array")
    factory = events.attrs.get("@events_factory")
    if original is None and factory is not None:
        original = factory.events()
    return original if isinstance(original, ak.Array) and not is_traced(original) else None


def _rows(links: ak.Array, whole: ak.Array) -> I8 | None:
    """Row of each event in the events as opened, from where its links begin; -1 for events without links."""
    starts, stops = _bounds(links)
    begins, ends = _bounds(whole)
    if len(starts) == len(begins) and np.array_equal(starts, begins) and np.array_equal(stops, ends):
        return np.arange(len(starts))
    empty = stops == starts
    filled = np.flatnonzero(ends > begins)
    if len(filled) == 0:
        return np.full(len(starts), -1) if empty.all() else None
    rows: I8 = filled[np.maximum(np.searchsorted(begins[filled], starts, side="right") - 1, 0)]
    # lists that were copied begin elsewhere than in the file
    same = (begins[rows] == starts) & (ends[rows] == stops)
    return np.where(empty, -1, rows) if (same | empty).all() else None


def _bounds(lists: ak.Array) -> tuple[I8, I8]:
    layout = ak.to_layout(lists)
    if layout.is_indexed:
        layout = layout.project()
    return np.asarray(layout.starts), np.asarray(layout.stops)


def _places(
    given: ak.Array, stored: ak.Array, rows: I8, local: I8, first: I8, sizes: I8, identities: Iterable[Keys]
) -> I8 | None:
    """Place of each given jet among the stored jets of its event (row `rows`); None if a jet is not among them."""
    located = rows >= 0
    inside = located & (local < np.where(located, sizes[rows], 0))
    for identity in identities:
        keys, stored_keys = identity(given), identity(stored)
        if keys is None or stored_keys is None:
            continue
        place = local.copy()
        unmoved = inside.copy()
        unmoved[inside] = stored_keys[first[rows[inside]] + local[inside]] == keys[inside]
        moved = np.flatnonzero(located & ~unmoved)
        number = sizes[rows[moved]]
        jet, at = np.repeat(moved, number), _within(number)
        same = stored_keys[first[rows[jet]] + at] == keys[jet]
        if (np.bincount(jet[same], minlength=len(rows))[moved] == 1).all():
            place[jet[same]] = at[same]
            return place
    return None


def _directions(jets: ak.Array) -> I8:
    """(η, φ) in the file's precision, as one number per jet."""
    eta, phi = (
        ak.to_numpy(ak.flatten(ak.fill_none(jets[name], 0.0, axis=1), axis=1)).astype(np.float32).view(np.int32)
        for name in ("eta", "phi")
    )
    key: I8 = (eta.astype(np.int64) << 32) | (phi.astype(np.int64) & 0xFFFFFFFF)
    return key


def _own_indices(jets: ak.Array) -> I8 | None:
    """The first global index into the link table; None without it, or where nConstituents exceed the table."""
    if _OWN_INDEX not in jets.fields:
        return None
    try:
        index = ak.fill_none(ak.firsts(jets[_OWN_INDEX], axis=-1), -1)
        key: I8 = ak.to_numpy(ak.flatten(index, axis=1)).astype(np.int64)
    except ValueError:
        return None
    return key


def _within(counts: I8) -> I8:
    """0, 1, ... within each event."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
