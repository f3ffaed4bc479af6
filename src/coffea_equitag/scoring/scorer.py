"""Scores of ranges of events of one file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import AnyArray
from ..errors import JetError, explain
from ..jets.coordinates import coordinates_of
from ..readers.formats import NANOAOD
from ..readers.scouting import PREFIX as SCOUTING
from ..reading import naming, reading
from .event_source import EventSource
from .options import ScoringOptions
from .score_columns import JetScorer, default_reader, score_columns
from .source import Source

__all__ = ["Reader", "Scorer", "check_aligned"]

Reader = Callable[[ak.Array, str], ak.Array]


class Scorer:
    """Reads the jets of a range of events, and scores them: one ``[event][jet]`` array per new branch.

    Parameters
    ----------
    model : JetScorer
        The tagger.
    events : EventSource
        The events.
    source : path-like
        Their file, as errors name it.
    options : ScoringOptions
        Names of the jets, the tree and the scores.
    reader : callable, optional
        ``(events, collection) -> jets``; default the reader of the file's format.
    """

    def __init__(
        self, model: JetScorer, events: EventSource, source: Source, options: ScoringOptions, reader: Reader | None
    ) -> None:
        self.model, self.events, self.source, self.options = options.scorer(model), events, source, options
        self.names = options.scores(model)
        self.filter: dict[str, Any] = {}
        self.reader_is_ours = reader is None
        if reader is None:
            reader = default_reader([model])
        if self.reader_is_ours and events.known is NANOAOD:
            jets = options.jets
            # the form of 1800 branches takes half a second per chunk, that of the jets' alone a tenth of it
            tables = ["*Scouting*"] if jets.startswith(SCOUTING) else ["*PFCand*"]
            self.filter = {"filter_name": [f"n{jets}", f"{jets}_*", *tables, "run", "event"]}
        self.reader = reader

    def read(self, start: int, stop: int) -> ak.Array:
        """The jets of a range of events; what a tagger needs of them is in memory."""
        with reading(self.source, "a ROOT file"):
            events = self.events.events(start, stop, **self.filter)
        # any exception of our own reader comes from the file; one of the caller's reader is the caller's
        with reading(self.source, "a ROOT file") if self.reader_is_ours else naming(self.source):
            jets = self.reader(events, self.options.jets)
            for name in ("constituents", *(coordinates_of(jets.fields) or {}).values()):
                if name in jets.fields:
                    ak.materialize(jets[name])
        return jets

    def __call__(self, jets: ak.Array) -> dict[str, ak.Array]:
        """Scores by name of the new branch, ``[event][jet]``."""
        with naming(self.source):
            scores = self.model(jets)
        return {f"{self.options.jets}_{name}": column for name, column in score_columns(scores, self.names).items()}


def check_aligned(scores: dict[str, ak.Array], counts: AnyArray, jets: str, start: int) -> None:
    """Refuse scores that are not one per jet."""
    for name, column in scores.items():
        if len(column) != len(counts) or not np.array_equal(ak.to_numpy(ak.num(column, axis=1)), counts):
            raise JetError(
                explain(
                    f"{name}: scores of {ak.count(column, axis=None)} jets for {int(counts.sum())} {jets} "
                    f"(events from {start})",
                    f"one score for each {jets}",
                    "let the reader return all jets of the collection, in their order",
                )
            )
