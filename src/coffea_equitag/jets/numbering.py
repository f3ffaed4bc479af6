"""Jets that carry the number of the original jet, whatever is done to their collection."""

from __future__ import annotations

from collections.abc import Callable

import awkward as ak
import numpy as np
from awkward.contents import IndexedOptionArray
from awkward.index import Index64

from ..array_types import I8
from .nesting import unmasked
from .tracing import is_traced

__all__ = ["NUMBER", "jet_numbers", "numbered", "renumbered", "take_numbered", "with_column", "without_number"]

#: Field of the jets: the place of the original jet among all jets of the chunk.
NUMBER = "equitag_number"


def numbered(events: ak.Array, collection: str) -> ak.Array:
    """The events whose jets carry their number 0, 1, ... over all events; traced events as they are."""
    if is_traced(events):
        return events
    counts = ak.num(events[collection], axis=1)
    return _with_number(events, collection, ak.unflatten(np.arange(int(ak.sum(counts))), counts))


def renumbered(events: ak.Array, collection: str, numbers: I8) -> ak.Array:
    """The events whose jets carry these numbers, one per jet; -1 for jets that have no original."""
    counts = ak.num(events[collection], axis=1)
    column = ak.Array(numbers) if (numbers >= 0).all() else ak.mask(numbers, numbers >= 0)
    return _with_number(events, collection, ak.unflatten(column, counts))


def without_number(events: ak.Array, collection: str) -> ak.Array:
    """The events without the numbers."""
    if NUMBER not in events[collection].fields:
        return events
    return _changed(events, collection, lambda jets: ak.without_field(jets, NUMBER))


def jet_numbers(jets: ak.Array) -> I8 | None:
    """One number per jet, -1 for jets that are missing or have no original; None if the jets carry none."""
    if NUMBER not in jets.fields:
        return None
    found: I8 = ak.to_numpy(ak.fill_none(ak.flatten(jets[NUMBER], axis=1), -1)).astype(np.int64)
    return found


def take_numbered(originals: ak.Array, numbers: I8, counts: I8) -> ak.Array:
    """The original jets with these numbers, in events of these sizes; None for -1.

    Parameters
    ----------
    originals : ak.Array
        ``[event][jet]``.
    numbers : ndarray of int64
        Their places among all jets.
    counts : ndarray of int64
        How many of them belong to each event of the result.
    """
    flat = ak.flatten(originals, axis=1)
    content = IndexedOptionArray.simplified(Index64(numbers), ak.to_layout(flat))
    taken = flat[numbers] if (numbers >= 0).all() else ak.Array(content, behavior=flat.behavior, attrs=flat.attrs)
    return ak.unflatten(taken, counts)


def with_column(jets: ak.Array, column: ak.Array, name: str) -> ak.Array:
    """The jets with one more column; missing jets stay missing, and no other column is read."""
    present, exists = unmasked(jets)
    present = ak.with_field(present, column, name)
    return present if exists is None else ak.mask(present, exists)


def _with_number(events: ak.Array, collection: str, column: ak.Array) -> ak.Array:
    return ak.with_field(events, with_column(events[collection], column, NUMBER), collection)


def _changed(events: ak.Array, collection: str, change: Callable[[ak.Array], ak.Array]) -> ak.Array:
    jets, exists = unmasked(events[collection])
    jets = change(jets)
    return ak.with_field(events, jets if exists is None else ak.mask(jets, exists), collection)
