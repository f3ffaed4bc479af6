"""Numbers of the event that its jets carry: what identifies it, and the generator's weight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import awkward as ak
import numpy as np

from ..jets.numbering import with_column

__all__ = ["EVENT_BRANCHES", "event_columns", "with_event_columns"]

#: Format -> name of the column -> branch.
EVENT_BRANCHES: dict[str, dict[str, str]] = {
    "NanoAOD": {name: name for name in ("run", "luminosityBlock", "event", "genWeight")},
    "PHYSLITE": {
        "run": "EventInfoAuxDyn.runNumber",
        "event": "EventInfoAuxDyn.eventNumber",
        "genWeight": "EventInfoAuxDyn.mcEventWeights",
    },
    "EDM4HEP": {
        "run": "EventHeader.runNumber",
        "event": "EventHeader.eventNumber",
        "genWeight": "EventHeader.weight",
    },
    "Delphes": {"event": "Event.Number", "genWeight": "Event.Weight"},
}


def event_columns(tree: Any, known: str, branches: Iterable[str], start: int, stop: int) -> dict[str, ak.Array]:
    """One number per event of a TTree or RNTuple, for those columns of a format that are among its branches.

    Of a list per event, as formats keep headers and weights, the first: None where it is empty.
    """
    ends = {branch.rpartition("/")[2]: branch for branch in branches}
    found = {}
    for name, branch in EVENT_BRANCHES.get(known, {}).items():
        if branch in ends:
            column = tree[ends[branch]].array(entry_start=start, entry_stop=stop, library="ak")
            if column.ndim > 1:
                column = ak.firsts(column, axis=1)
                column = column if ak.any(ak.is_none(column)) else ak.drop_none(column)
            found[name] = column
    return found


def with_event_columns(jets: ak.Array, columns: dict[str, ak.Array]) -> ak.Array:
    """Jets (events, jets) with the numbers of their events, where they have no column of that name."""
    counts = ak.to_numpy(ak.num(jets, axis=1))
    event = np.repeat(np.arange(len(counts)), counts)
    for name, column in columns.items():
        if name not in jets.fields:
            jets = with_column(jets, ak.unflatten(column[event], counts), name)
    return jets
