"""Taggers of several folds together: scores of jets that a tagger has not seen, and means over taggers.

::

    for fold in range(5):
        eqt.fit(build(), jets, fold=fold, folds=5, out=f"runs/{fold}")
    scores = folds.OutOfFold([f"runs/{fold}" for fold in range(5)])(jets)

Which fold an event is in follows from its numbers alone (`fold_of`), in every sample and on every machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

import awkward as ak
import numpy as np

from ..errors import TaggerError, explain
from ..jets.nesting import unnest
from ..jets.numbering import with_column
from ..jets.tracing import is_traced, touch
from ..tagger import Tagger, load
from .data.folds import EVENT_IDS, event_ids, fold_of

__all__ = ["EVENT_IDS", "Ensemble", "OutOfFold", "fold_of", "with_event"]

#: A tagger, or the folder of one or of its run.
TaggerOrPath: TypeAlias = Tagger | str | os.PathLike[str]


class _Several:
    """Taggers of the same classes.

    Attributes
    ----------
    taggers : tuple of Tagger
        As given.
    classes : tuple of str
        Names of the classes.
    """

    def __init__(self, taggers: Sequence[TaggerOrPath]) -> None:
        self.taggers = tuple(one if isinstance(one, Tagger) else load(one, shared=True) for one in taggers)
        found = {(one.classes, one.card.signal) for one in self.taggers}
        if len(found) != 1:
            raise TaggerError(
                explain(
                    f"{len(self.taggers)} taggers of "
                    + (" and ".join(", ".join(classes) for classes, _ in sorted(found)) or "no classes"),
                    "one or several taggers with the same classes and the same signal",
                    "give taggers of the same training",
                )
            )
        self.classes = self.taggers[0].classes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.taggers)!r})"


class Ensemble(_Several):
    """The mean of the probabilities (or vectors) of several taggers; usable wherever a tagger is.

    Parameters
    ----------
    taggers : sequence of Tagger or path-like
        Taggers with the same classes: of several seeds, or of all folds for jets that none was trained on.

    Raises
    ------
    TaggerError
        If there are none, or their classes differ.
    """

    def __call__(self, jets: ak.Array) -> ak.Array:
        """Score jets; as for a `Tagger`."""
        if is_traced(jets):
            return self.taggers[0](jets)
        nesting, records = unnest(jets)
        return nesting.restore(_mean([tagger(records) for tagger in self.taggers]))


class OutOfFold(_Several):
    """Each jet scored by the tagger whose fold it is in, which has not seen its event; usable wherever a tagger is.

    Parameters
    ----------
    taggers : sequence of Tagger or path-like
        One tagger for each of the folds, in any order.

    Raises
    ------
    TaggerError
        If a fold is missing or there twice, or the taggers belong to different folds or classes.
    """

    def __init__(self, taggers: Sequence[TaggerOrPath]) -> None:
        super().__init__(taggers)
        records = [one.card.training for one in self.taggers]
        found = [None if one is None else one.fold for one in records]
        folds = {None if one is None else one.folds for one in records}
        ids = {None if one is None else one.event_id for one in records}
        number = len(self.taggers)
        if folds != {number} or len(ids) != 1 or sorted(found, key=str) != sorted(range(number), key=str):
            raise TaggerError(
                explain(
                    f"taggers of the folds {', '.join(map(str, found))} of {', '.join(map(str, folds))}, by "
                    + " and ".join(", ".join(one) if one else "nothing" for one in ids),
                    "one tagger of each fold, of the same folds",
                    "train them with fit(..., fold=k, folds=n) for all k from 0 to n - 1",
                )
            )
        self.taggers = tuple(self.taggers[found.index(fold)] for fold in range(number))
        self.event_id = ids.pop()

    def __call__(self, jets: ak.Array) -> ak.Array:
        """Score jets; as for a `Tagger`.

        Raises
        ------
        JetError
            If they lack the columns that identify their event; see `with_event`.
        """
        names = event_ids(jets.fields, self.event_id)
        if is_traced(jets):
            for name in names:
                touch(jets[name])
            return self.taggers[0](jets)
        nesting, records = unnest(jets)
        folds = ak.to_numpy(fold_of(records, len(self.taggers), names))
        order = np.argsort(folds, kind="stable")
        bounds = np.searchsorted(folds[order], np.arange(len(self.taggers) + 1))
        parts = [
            tagger(records[order[first:last]])
            for tagger, first, last in zip(self.taggers, bounds[:-1], bounds[1:], strict=True)
        ]
        return nesting.restore(ak.concatenate(parts)[np.argsort(order)])


def with_event(jets: ak.Array, events: ak.Array, event_id: Sequence[str] | None = None) -> ak.Array:
    """Jets with the numbers of their events, for `fold_of` and `OutOfFold`.

    ::

        scorer = OutOfFold(taggers)
        reader = lambda events, name: with_event(eqt.readers.nanoaod(events, name), events)
        events = eqt.attach(events, {"FatJet": scorer}, reader=reader)

    Parameters
    ----------
    jets : ak.Array
        ``[event][jet]``.
    events : ak.Array
        The events, with run, luminosityBlock and event, or as many of them as there are.
    event_id : sequence of str, optional
        Other columns of the events.
    """
    shape = ak.num(jets["constituents"], axis=-1)
    for name in event_ids(events.fields, event_id):
        jets = with_column(jets, ak.broadcast_arrays(events[name], shape)[0], name)
    return jets


def _mean(scores: Sequence[ak.Array]) -> ak.Array:
    """The mean of numbers, or of records field by field, one per jet."""
    first = scores[0]
    if not first.fields:
        return ak.values_astype(
            sum(ak.values_astype(one, np.float64) for one in scores) / len(scores), first.layout.dtype
        )
    columns = {name: _mean([one[name] for one in scores]) for name in first.fields}
    return ak.zip(columns, with_name=first.layout.parameter("__record__"), behavior=first.behavior)
