"""From jets as they are read to labelled jets: selection, labels, folds and weights, for arrays and streams alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import awkward as ak
import numpy as np
import torch

from ...array_types import F8, I8, U8, AnyArray, Bools
from ...errors import JetError, explain
from ...jets.collection import check_structure
from ...jets.coordinates import coordinates_of
from ...jets.nesting import unnest
from ...jets.ragged import RaggedJets
from ...readers.stream_columns import Columns, constituents_read
from .expression import Expression
from .flat_weights import FlatWeights
from .folds import event_hashes, event_ids, folds_of, in_validation
from .jet_columns import MULTIPLICITY, JetColumns
from .label_map import NONE, LabelMap
from .labelled_jets import LabelledJets
from .sample_weights import Weigh, numbers, sample_weights
from .truth import Truth

__all__ = ["OUTSIDE", "Preparation", "Prepared", "Select"]

#: Why jets are left out that flat weights do not cover.
OUTSIDE = "outside of the spectra"

#: A cut, or a function of the jets that returns one decision per jet.
Select: TypeAlias = str | Callable[[Any], Any]


@dataclass(frozen=True)
class Prepared:
    """Labelled jets, with what else is needed to split and to weight them.

    Attributes
    ----------
    sample : LabelledJets
        J jets, with their own weights.
    events : ndarray of uint64, shape (J,), or None
        Hash of each jet's event, if folds are made.
    coordinates : ndarray of float64, shape (J, D)
        What flat weights depend on.
    left_out : mapping of str to int
        Reason -> number of jets that were left out for it.
    index : ndarray of int64, shape (J,)
        Which they are of the jets that were given, missing ones not counted.
    """

    sample: LabelledJets
    events: U8 | None
    coordinates: F8
    left_out: Mapping[str, int]
    index: I8

    def select(self, index: AnyArray) -> Prepared:
        """The jets of the given indices, in that order."""
        return replace(
            self,
            sample=self.sample.select(index),
            events=None if self.events is None else self.events[index],
            coordinates=self.coordinates[index],
            index=self.index[index],
        )

    def split(self, fraction: float, seed: int, classes: tuple[str, ...]) -> tuple[Prepared, Prepared]:
        """Training and validation jets, selected by the seed.

        The same fraction of each class; where events are known, a fraction of these, with all of their jets.

        Raises
        ------
        JetError
            If a class has too few jets for both.
        """
        if not 0 < fraction < 1:
            raise JetError(
                explain(
                    f"validation = {fraction}",
                    "a fraction between 0 and 1, or jets",
                    "give validation=0.1, or separate jets",
                )
            )
        if self.events is None:
            held = self.sample.held_out(fraction, seed, classes)
        else:
            held = in_validation(self.events, fraction, seed)
        parts = self.select(np.flatnonzero(~held)), self.select(np.flatnonzero(held))
        for part, what in zip(parts, ("training", "validation"), strict=True):
            part.sample.require(classes, what)
        return parts

    def weighted(self, factors: F8) -> Prepared:
        """The jets with their weights multiplied by factors; those of factor 0 are left out."""
        sample = replace(self.sample, weights=self.sample.weights * torch.from_numpy(factors))
        return replace(self, sample=sample).without(factors == 0, OUTSIDE)

    def without(self, chosen: Bools, reason: str) -> Prepared:
        """The other jets."""
        left_out = dict(self.left_out) | {reason: self.left_out.get(reason, 0) + int(chosen.sum())}
        return replace(self.select(np.flatnonzero(~chosen)) if chosen.any() else self, left_out=left_out)


@dataclass(frozen=True)
class Preparation:
    """What is done to jets before a training sees them, jet by jet.

    Attributes
    ----------
    labels : LabelMap
        Gives jets their classes.
    unmapped : {"error", "drop"}
        What to do with jets that have none.
    select : str, callable or None
        Cut; jets that fail it are left out.
    weights : str, callable or None
        Weight of each jet.
    flat : FlatWeights, optional
        Spectra wanted; here only their coordinates are looked up.
    fold, folds : int, optional
        Jets of this fold are left out.
    event_id : sequence of str, optional
        Columns that identify the event.
    fields : tuple of str
        Constituent columns that the network needs.
    truth : Truth, optional
        What else is to be learned about the jets.
    """

    labels: LabelMap
    unmapped: Literal["error", "drop"] = "error"
    select: Select | None = None
    weights: Weigh | None = None
    flat: FlatWeights | None = None
    fold: int | None = None
    folds: int | None = None
    event_id: Sequence[str] | None = None
    fields: tuple[str, ...] = ()
    truth: Truth | None = None

    def __call__(self, jets: ak.Array) -> Prepared:
        """Prepare jets, or a chunk of them; missing jets are left out.

        Raises
        ------
        JetError
            If the jets are not canonical, lack a column, or have values that cannot be trained on.
        """
        check_structure(jets, self.fields)
        columns = JetColumns(self._records(jets), stored=jets.fields)
        left_out: dict[str, int] = {}
        if self.select is not None:
            selected = self._selected(self.select, columns)
            columns, left_out["selection"] = columns.where(selected), int((~selected).sum())
        labels = self._labelled(columns)
        if self.unmapped == "drop":
            known = labels != NONE
            columns, labels, left_out["no class"] = columns.where(known), labels[known], int((~known).sum())
        events = None
        if self.folds is not None:
            events = event_hashes(columns, event_ids(columns.jets.fields, self.event_id))
            used = folds_of(events, self.folds) != self.fold
            columns, labels, events = columns.where(used), labels[used], events[used]
            left_out[f"fold {self.fold} of {self.folds}"] = int((~used).sum())
        sample = LabelledJets(
            RaggedJets.from_awkward(columns.jets, self.fields),
            torch.from_numpy(labels),
            torch.from_numpy(sample_weights(self.weights, columns)),
            {} if self.truth is None else self.truth(columns),
        )
        coordinates = np.zeros((len(columns), 0)) if self.flat is None else self.flat.coordinates(columns)
        return Prepared(sample, events, coordinates, left_out, columns.numbers)

    def constituents(self, jets: ak.Array) -> Columns:
        """What is needed of the constituents of such jets, beside what the network needs."""
        needed = Columns(None)
        for function in (self.select, self.weights):
            if callable(function):
                needed = needed.union(constituents_read(function, jets))
        names = {name.split(".")[0] for name in self._names(jets.fields)}
        return needed.union(Columns.of(())) if names & {MULTIPLICITY, "constituents"} else needed

    def _records(self, jets: ak.Array) -> ak.Array:
        """The jets one level deep, with the fields that are needed: of masked ones each field would be copied."""
        searched = self.truth is not None and (self.truth.target or self.truth.decorrelate)
        if callable(self.select) or callable(self.weights) or searched:
            return unnest(jets)[1]
        names = {name.split(".")[0] for name in self._names(jets.fields)}
        names |= {*(coordinates_of(jets.fields) or {}).values(), "constituents"}
        return unnest(jets[[name for name in jets.fields if name in names]])[1]

    def _names(self, fields: Iterable[str]) -> Iterator[str]:
        """Columns that are read."""
        decorrelate = None if self.truth is None else self.truth.decorrelate
        formulas = [one for one in (self.select, self.weights, decorrelate) if isinstance(one, str)]
        for formula in [*formulas, *(self.flat.bins if self.flat is not None else ())]:
            yield from Expression(formula).names
        for expression in self.labels.expressions:
            yield from expression.names
        if self.folds is not None:
            yield from event_ids(fields, self.event_id)

    @staticmethod
    def _selected(select: Select, columns: JetColumns) -> Bools:
        if isinstance(select, str):
            return Expression(select).boolean(columns.__getitem__, len(columns))
        chosen = numbers(select(columns.jets), len(columns), "selection")
        if chosen.dtype != np.bool_:
            raise JetError(
                explain(
                    f"a function for the selection that returned {chosen.dtype}",
                    "true or false for each jet",
                    "compare with something, e.g. lambda jets: jets.pt > 200",
                )
            )
        return chosen

    def _labelled(self, columns: JetColumns) -> I8:
        labels = self.labels(columns)
        none = labels == NONE
        if self.unmapped == "error" and none.any():
            raise JetError(
                explain(
                    f"the label of {columns.first(none)} {self.labels.describe(columns, int(np.argmax(none)))} "
                    f"({int(none.sum())} such of {len(none)})",
                    self.labels.expected,
                    "leave such jets out by unmapped='drop' or a selection, or correct the labels",
                )
            )
        return labels
