"""Folds by event: which jets a training leaves out, from a hash of their event's numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import awkward as ak
import numpy as np

from ...array_types import I8, U8, AnyArray, Bools
from ...errors import JetError, explain
from ...jets.nesting import unnest
from .jet_columns import JetColumns

__all__ = ["EVENT_IDS", "event_hash", "event_hashes", "event_ids", "fold_of", "folds_of", "in_validation"]

#: Columns that identify an event, in order of preference.
EVENT_IDS: tuple[tuple[str, ...], ...] = (
    ("run", "luminosityBlock", "event"),
    ("run", "lumi", "event"),
    ("runNumber", "eventNumber"),
    ("event",),
    ("eventNumber",),
)

#: The odd number nearest to 2⁶⁴ / golden ratio: steps of a Weyl sequence.
_STEP = np.uint64(0x9E3779B97F4A7C15)


def event_ids(fields: Iterable[str], given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Columns that identify a jet's event: those given, or the first of `EVENT_IDS` that the jets have.

    Raises
    ------
    JetError
        If there are none.
    """
    present = list(fields)
    if given is not None:
        return tuple(given)
    for names in EVENT_IDS:
        if set(names) <= set(present):
            return names
    raise JetError(
        explain(
            f"jets without the number of their event; they have {', '.join(present)}",
            " or ".join(", ".join(names) for names in EVENT_IDS),
            "store it with the jets, jets['event'] = events.event, or name its columns: event_id=('run', 'event')",
        )
    )


def event_hash(ids: Sequence[AnyArray]) -> U8:
    """A hash of whole numbers, the same on every machine: SplitMix64's mixing, number by number.

    Parameters
    ----------
    ids : sequence of ndarray of int, shape (J,)
        Run, luminosity block, event, ...; negative ones count as they do modulo 2⁶⁴.
    """
    state = np.zeros(len(ids[0]), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in ids:
            state = _mixed((state ^ column.astype(np.uint64)) + _STEP)
    return state


def folds_of(hashes: U8, folds: int) -> I8:
    """Fold of each event, 0 to folds − 1: its hash modulo the number of folds."""
    return (hashes % np.uint64(folds)).astype(np.int64)


def fold_of(jets: ak.Array, folds: int, event_id: Sequence[str] | None = None) -> ak.Array:
    """Fold of each jet, by its event: in the same fold are all jets of an event, on every machine and in every sample.

    Parameters
    ----------
    jets : ak.Array
        Jets with the numbers of their events, or events; any nesting.
    folds : int
        Number of folds.
    event_id : sequence of str, optional
        Columns that identify the event; default the first of `EVENT_IDS` that the jets have.

    Returns
    -------
    ak.Array of int64
        0 to folds − 1, in the structure of the jets, None for missing ones.

    Raises
    ------
    JetError
        If the jets lack these columns, or they are not whole numbers.
    """
    nesting, records = unnest(jets)
    return nesting.restore(folds_of(event_hashes(JetColumns(records), event_ids(records.fields, event_id)), folds))


def event_hashes(columns: JetColumns, event_id: Sequence[str]) -> U8:
    """Hash of each jet's event, shape (J,)."""
    return event_hash([_whole(columns, name) for name in event_id])


def in_validation(hashes: U8, fraction: float, seed: int) -> Bools:
    """Whether each jet's event is among the given fraction of events that the seed selects; independent of the fold."""
    chosen = event_hash([hashes, np.full(len(hashes), seed)])
    return (chosen >> np.uint64(11)).astype(np.float64) < fraction * 2.0**53


def _whole(columns: JetColumns, name: str) -> AnyArray:
    values = columns[name]
    if values.dtype.kind == "f":
        exact = (values == np.floor(values)) & (abs(values) < 2**53)
        if not exact.all():
            raise JetError(
                explain(
                    f"'{name}' of {columns.first(~exact)} is {values[~exact][0]}",
                    "the number of an event, which a float holds below 2⁵³",
                    "store it as an integer",
                )
            )
        return values.astype(np.int64)
    return values


def _mixed(state: U8) -> U8:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
