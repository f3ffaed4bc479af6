"""Scores on the jets of a chunk and of its variations; what a variation leaves as it is, is scored once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import F4, I8, Bools
from ..errors import JetError, explain
from ..jets.nesting import unmasked
from ..jets.numbering import jet_numbers, numbered, take_numbered, with_column, without_number
from ..jets.tracing import is_traced, touch
from ..readers.shifted_jets import Constituents
from ..scoring.score_columns import JetScorer, default_reader, score_columns, score_names
from .decisions import decision_columns
from .rescaled_jets import rescaled
from .score_fields import check_name, traced_scores
from .score_memory import ScoreMemory, Scores, nested
from .variations import NOMINAL, Variation
from .working_points import WorkingPoint

__all__ = ["VariedScores"]

_Named = Mapping[str, Mapping[str, JetScorer]]


class VariedScores:
    """Scores the jets of the original events first, and then those of each variation.

    Parameters
    ----------
    events : ak.Array
        The original events.
    collections : iterable of str
        Collections of jets.
    reader, constituents
        As for `attach`.
    """

    def __init__(
        self,
        events: ak.Array,
        collections: Iterable[str],
        *,
        reader: Any = None,
        constituents: Constituents = "nominal",
    ) -> None:
        self._events = events
        self._own_reader = reader if callable(reader) else None
        self._constituents = constituents
        self._collections = tuple(collections)
        self._memories = {
            name: ScoreMemory(0 if is_traced(events) else int(ak.sum(ak.num(events[name], axis=1))))
            for name in self._collections
        }

    def nominal(self) -> Variation:
        """The original events as a variation that changes nothing."""
        events = self._events
        for collection in self._collections:
            events = numbered(events, collection)
        return Variation(NOMINAL, events, True)

    def attach(
        self,
        variation: Variation,
        events: ak.Array,
        taggers: _Named,
        masks: Mapping[str, ak.Array],
        *,
        overwrite: bool = False,
    ) -> ak.Array:
        """Scores as fields of the varied jets.

        Parameters
        ----------
        variation : Variation
            What was varied.
        events : ak.Array
            Its events, or those selected of them.
        taggers : mapping
            Collection -> name of the scores -> tagger.
        masks : mapping
            Collection -> which jets to score, boolean ``[event][jet]``; all of a collection that is left out.
        """
        for collection, columns in self._columns(variation, events, taggers, masks):
            jets = events[collection]
            for field, column in columns.items():
                check_name(jets, collection, field, overwrite)
                jets = with_column(jets, column, field)
            events = without_number(ak.with_field(events, jets, collection), collection)
        return events

    def on_originals(
        self,
        variation: Variation,
        taggers: _Named,
        masks: Mapping[str, ak.Array],
        points: Mapping[str, Iterable[WorkingPoint]],
    ) -> dict[str, dict[str, ak.Array]]:
        """Scores under a variation, and decisions at the pT of the varied jets, as columns of the original jets.

        Returns
        -------
        dict
            Collection -> field -> ``[event][jet]``.
        """
        out: dict[str, dict[str, ak.Array]] = {}
        for collection, columns in self._columns(variation, variation.events, taggers, masks):
            originals, jets = self._events[collection], variation.events[collection]
            decisions = decision_columns(columns, jets, points.get(collection, ()))
            if is_traced(jets):
                zeros = ak.values_astype(ak.local_index(originals, axis=1) * 0, np.float32)
                out[collection] = dict.fromkeys(columns, ak.mask(zeros, zeros == 0))
                out[collection] |= dict.fromkeys(decisions, ak.mask(zeros == 0, zeros == 0))
                continue
            numbers = jet_numbers(jets)
            assert numbers is not None
            _check_single(numbers, collection, variation.name)
            moved = columns | decisions
            out[collection] = {field: _moved(column, numbers, originals) for field, column in moved.items()}
        return out

    def _columns(
        self, variation: Variation, events: ak.Array, taggers: _Named, masks: Mapping[str, ak.Array]
    ) -> Iterator[tuple[str, dict[str, ak.Array]]]:
        """Scores of the varied jets, ``[event][jet]``."""
        for collection, named in taggers.items():
            jets, mask = events[collection], masks.get(collection)
            if is_traced(events):
                yield collection, self._traced(variation, events, collection, named, mask)
                continue
            scores = self._scores(variation, events, collection, named, mask)
            optional = mask is not None or unmasked(jets)[1] is not None
            counts = ak.num(jets, axis=1)
            yield collection, {field: _column(column, counts, optional) for field, column in scores.items()}

    def _scores(
        self,
        variation: Variation,
        events: ak.Array,
        collection: str,
        named: Mapping[str, JetScorer],
        mask: ak.Array | None,
    ) -> Scores:
        numbers = jet_numbers(events[collection])
        assert numbers is not None  # guaranteed by `varied`
        needed = np.ones(len(numbers), bool) if mask is None else _flat(mask)
        if self._own_reader is None:
            needed &= numbers >= 0  # neither missing jets nor those that a variation has made have constituents
        return self._memories[collection].scores(
            named,
            lambda: self._read(variation, events, collection, numbers, named),
            numbers,
            needed,
            same_input=self._same_input(variation),
        )

    def _same_input(self, variation: Variation) -> bool:
        """Whether a tagger certainly sees the original jets."""
        as_stored = self._own_reader is None and self._constituents == "nominal"
        return variation.name == NOMINAL or (variation.same_tables and as_stored)

    def _read(
        self,
        variation: Variation,
        events: ak.Array,
        collection: str,
        numbers: I8 | None,
        named: Mapping[str, JetScorer],
    ) -> ak.Array:
        """The jets with constituents; the default reader is given the original jets, which it finds in the file."""
        if self._own_reader is not None:
            jets: ak.Array = self._own_reader(events, collection)
            return jets
        read = default_reader(named.values(), self._constituents)
        if variation.name == NOMINAL:
            return read(events, collection)
        varied, originals = events[collection], self._events[collection]
        if numbers is not None:
            originals = take_numbered(originals, numbers, ak.to_numpy(ak.num(varied, axis=1)))
        jets = read(ak.with_field(events, originals, collection), collection)
        return rescaled(jets, varied) if self._constituents == "scaled" else jets

    def _traced(
        self,
        variation: Variation,
        events: ak.Array,
        collection: str,
        named: Mapping[str, JetScorer],
        mask: ak.Array | None,
    ) -> dict[str, ak.Array]:
        """Scores without values; what would be read is reported as read."""
        columns: dict[str, ak.Array] = {}
        jets = None
        if variation.name == NOMINAL or not self._same_input(variation):
            jets = self._read(variation, events, collection, None, named)
        if mask is not None:
            touch(mask)
        for name, tagger in named.items():
            names = score_names(name, tagger.classes)
            if jets is not None:
                columns |= score_columns(traced_scores(jets, tagger, names), names)
            zeros = ak.values_astype(ak.local_index(events[collection], axis=1) * 0, np.float32)
            columns |= dict.fromkeys(names, zeros if mask is None else ak.mask(zeros, zeros == 0))
        return columns


def _flat(mask: ak.Array) -> Bools:
    """One boolean per jet."""
    found: Bools = np.array(ak.to_numpy(ak.fill_none(ak.flatten(mask, axis=1), False)), bool)
    return found


def _column(scores: tuple[F4, Bools], counts: ak.Array, optional: bool) -> ak.Array:
    """Option type only where a score is missing, or could be."""
    return nested(scores, counts) if optional or not scores[1].all() else ak.unflatten(scores[0], counts)


def _moved(column: ak.Array, numbers: I8, originals: ak.Array) -> ak.Array:
    """A column of varied jets as one of the original jets."""
    counts = ak.num(originals, axis=1)
    place = np.full(int(ak.sum(counts)), -1)
    known = numbers >= 0
    place[numbers[known]] = np.flatnonzero(known)
    return take_numbered(ak.mask(column, ~ak.is_none(column, axis=1)), place, ak.to_numpy(counts))


def _check_single(numbers: I8, collection: str, name: str) -> None:
    _, times = np.unique(numbers[numbers >= 0], return_counts=True)
    if (times > 1).any():
        raise JetError(
            explain(
                f"variation {name!r} holds the same {collection} up to {times.max()} times",
                "every jet at most once",
                "remove duplicates, for instance of collections that were concatenated",
            )
        )
