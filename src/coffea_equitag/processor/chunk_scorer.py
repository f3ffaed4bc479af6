"""Scores on the jets of a chunk and of its variations; what a variation leaves as it is, is scored once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import awkward as ak
import numpy as np

from ..array_types import I8, Bools
from ..errors import JetError, explain
from ..jets.nesting import unmasked
from ..jets.numbering import jet_numbers, numbered, take_numbered, with_column, without_number
from ..jets.tracing import is_traced
from ..readers.shifted_jets import Constituents, rescaled
from ..scoring.score_columns import JetScorer, default_reader
from .attach_columns import Reader, attach_masked, check_score_names
from .score_memory import ScoreMemory, Scores, nested
from .variations import NOMINAL, Variation

__all__ = ["ChunkScorer"]

Named = Mapping[str, Mapping[str, JetScorer]]


class ChunkScorer:
    """Scores the jets of the original events, and then those of their variations.

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
        reader: Reader | None = None,
        constituents: Constituents = "nominal",
    ) -> None:
        self._events = events
        self._reader = reader
        self._constituents = constituents
        self._memories = {
            name: ScoreMemory(0 if is_traced(events) else int(ak.sum(ak.num(events[name], axis=1))))
            for name in collections
        }

    def nominal(self) -> Variation:
        """The original events as one of the variations."""
        events = self._events
        for collection in self._memories:
            events = numbered(events, collection)
        return Variation(NOMINAL, events, True)

    def attach(
        self,
        variation: Variation,
        events: ak.Array,
        taggers: Named,
        masks: Mapping[str, ak.Array],
        *,
        overwrite: bool = False,
    ) -> ak.Array:
        """Scores as fields of the varied jets, of all events of the variation or of selected ones.

        Parameters
        ----------
        variation : Variation
            What was varied.
        events : ak.Array
            Events of the variation, which may have been selected.
        taggers : mapping
            Collection -> name of the scores -> tagger.
        masks : mapping
            Collection -> which jets to score, boolean ``[event][jet]``; all, if it is left out.
        """
        if is_traced(events):
            return self._traced(variation, events, taggers, masks, overwrite)
        for collection, named in taggers.items():
            jets = events[collection]
            check_score_names(jets, collection, named, overwrite)
            scores = self.scores(variation, events, collection, named, masks.get(collection))
            optional = collection in masks or unmasked(jets)[1] is not None
            for field, column in scores.items():
                jets = with_column(jets, _column(column, ak.num(jets, axis=1), optional), field)
            events = without_number(ak.with_field(events, jets, collection), collection)
        return events

    def scores(
        self,
        variation: Variation,
        events: ak.Array,
        collection: str,
        named: Mapping[str, JetScorer],
        mask: ak.Array | None = None,
    ) -> Scores:
        """Scores of the jets of one collection, one entry per jet."""
        jets = events[collection]
        numbers = jet_numbers(jets)
        assert numbers is not None  # guaranteed by `varied`
        return self._memories[collection].scores(
            named,
            lambda: self._read(variation, events, collection, numbers, named),
            numbers,
            _flat(mask, len(numbers)),
            same_input=variation.name == NOMINAL or (variation.same_tables and self._as_stored),
        )

    @property
    def _as_stored(self) -> bool:
        """Whether what happens to a jet alone does not change what a tagger sees of it."""
        return self._reader is None and self._constituents == "nominal"

    def _read(
        self, variation: Variation, events: ak.Array, collection: str, numbers: I8, named: Mapping[str, JetScorer]
    ) -> ak.Array:
        """The jets with constituents; those of the default reader always begin as the original jets."""
        if self._reader is not None:
            return self._reader(events, collection)
        read = default_reader(named.values(), self._constituents)
        if variation.name == NOMINAL:
            return read(events, collection)
        varied = events[collection]
        originals = take_numbered(self._events[collection], numbers, ak.to_numpy(ak.num(varied, axis=1)))
        jets = read(ak.with_field(events, originals, collection), collection)
        return rescaled(jets, varied) if self._constituents == "scaled" else jets

    def _traced(
        self, variation: Variation, events: ak.Array, taggers: Named, masks: Mapping[str, ak.Array], overwrite: bool
    ) -> ak.Array:
        """Types of the scores, and columns that would be read."""
        scored = events
        if self._reader is None:
            for collection in taggers:
                scored = ak.with_field(scored, self._events[collection], collection)
        options = {"reader": self._reader, "constituents": self._constituents, "overwrite": overwrite}
        found = attach_masked(scored, taggers, {}, **options)
        raise NotImplementedError


def _flat(mask: ak.Array | None, number: int) -> Bools:
    """One boolean per jet."""
    if mask is None:
        return np.ones(number, bool)
    found: Bools = ak.to_numpy(ak.fill_none(ak.flatten(mask, axis=1), False)).astype(bool)
    return found


def _column(scores: tuple[np.ndarray, Bools], counts: ak.Array, optional: bool) -> ak.Array:
    """Option type only where a score is missing, or could be."""
    return nested(scores, counts) if optional or not scores[1].all() else ak.unflatten(scores[0], counts)
