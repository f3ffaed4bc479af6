"""Random numbers that belong to an entry of an event, whatever the chunk it is read in."""

from __future__ import annotations

import awkward as ak
import numpy as np

from ..array_types import AnyArray
from ..errors import JetError, explain
from ..jets.tracing import is_traced, touch

__all__ = ["IDENTIFIERS", "uniform"]

#: What identifies an event in a file of CMS.
IDENTIFIERS = ("run", "luminosityBlock", "event")


def uniform(events: ak.Array, like: ak.Array, seed: int) -> ak.Array:
    """One number in [0, 1) for each entry of `like`, a column of ``[event][entry]``.

    Raises
    ------
    JetError
        If the events have no identifiers.
    """
    if missing := [name for name in IDENTIFIERS if name not in events.fields]:
        raise JetError(
            explain(
                f"events without {', '.join(missing)}",
                "identifiers of events, from which random numbers are made that no chunk changes",
                "read these columns, or write a function of your own that decides which candidates are lost",
            )
        )
    if is_traced(events):
        for name in IDENTIFIERS:
            touch(events[name])
        return ak.values_astype(ak.local_index(like, axis=1), np.float64)
    state = np.full(len(events), seed, np.uint64)
    for name in IDENTIFIERS:
        state = _mixed(state ^ ak.to_numpy(events[name]).astype(np.uint64))
    number = ak.to_numpy(ak.num(like, axis=1)).astype(np.int64)
    place = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    drawn = _mixed(np.repeat(state, number) ^ _mixed(place.astype(np.uint64)))
    return ak.unflatten((drawn >> np.uint64(11)) * 2.0**-53, number)


def _mixed(values: AnyArray) -> AnyArray:
    """The output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), after one step of its counter."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: AnyArray = values ^ (values >> np.uint64(31))
    return found
