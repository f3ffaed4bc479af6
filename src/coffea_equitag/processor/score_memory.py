"""What is known of the jets of a chunk, so that only those that a variation changes for a tagger are scored again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import awkward as ak
import numpy as np

from ..array_types import F4, I8, AnyArray, Bools
from ..errors import JetError
from ..jets.collection import FlatJets, flatten
from ..jets.coordinates import coordinates_of
from ..scoring.score_columns import JetScorer, constituent_columns, score_columns, score_names

__all__ = ["ScoreMemory", "Scores", "nested"]

_Value = TypeVar("_Value")

#: Field of the scores -> one score per jet, NaN where there is none, and which jets have one.
Scores: TypeAlias = dict[str, tuple[F4, Bools]]


class ScoreMemory:
    """What is known of the jets of one collection: their inputs and scores, by the number of the original jet.

    A tagger's score depends on the four-momenta of constituents and jet and on the constituents' columns that its card
    names; for a tagger without a card, on all their columns. These are compared bit by bit.

    Parameters
    ----------
    number : int
        Number of original jets.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._known: list[_Known] = []

    def scores(
        self,
        taggers: Mapping[str, JetScorer],
        read: Callable[[], ak.Array],
        numbers: I8,
        needed: Bools,
        *,
        same_input: bool,
    ) -> Scores:
        """Scores of varied jets, by all taggers that this memory has to do with.

        Parameters
        ----------
        taggers : mapping
            Name of the scores -> tagger; the same in every call.
        read : callable
            Returns the jets with their constituents, ``[event][jet]``; not called if all scores are known.
        numbers : ndarray of int64
            Number of the original of each jet; -1 if it has none.
        needed : ndarray of bool
            Which jets to score.
        same_input : bool
            Whether jets of the same number certainly look as in all such calls: these jets are remembered.
        """
        jets = _Once(read)
        inputs = _Once(lambda: _Inputs(jets(), needed))
        found: Scores = {}
        missing = needed
        for name, tagger in taggers.items():
            names = score_names(name, tagger.classes)
            columns = {field: _no_scores(len(needed)) for field in names}
            missing = needed.copy()
            for known in self._known:
                places = known.places(numbers, missing)
                if not same_input and len(places[0]):
                    places = known.unchanged(places, inputs(), _columns(tagger, jets()))
                known.copy(places, columns)
                missing[places[0]] = False
            if missing.any():
                _fill(columns, tagger(_masked(jets(), missing)), names, missing)
            found |= columns
        if same_input and missing.any():
            self._known.append(_Known(numbers, missing, jets(), found, self._number))
        return found


class _Once(Generic[_Value]):
    """The result of a function, called when first asked for."""

    def __init__(self, function: Callable[[], _Value]) -> None:
        self._function = function
        self._found: list[_Value] = []

    def __call__(self) -> _Value:
        if not self._found:
            self._found.append(self._function())
        return self._found[0]


class _Inputs:
    """Jets as taggers see them, flattened once for each set of columns.

    Attributes
    ----------
    row : ndarray of int64
        Row of each jet in the flattened ones; -1 if it is missing.
    """

    def __init__(self, jets: ak.Array, chosen: Bools) -> None:
        self._jets = _masked(jets, chosen)
        column = self._jets["constituents"]
        present = ~ak.to_numpy(ak.is_none(ak.flatten(column, axis=1)))
        self.row = np.where(present, np.cumsum(present) - 1, -1)
        self._flat: dict[tuple[str, ...], FlatJets] = {}

    def flat(self, columns: tuple[str, ...]) -> FlatJets:
        if columns not in self._flat:
            self._flat[columns] = flatten(self._jets, columns)
        return self._flat[columns]


class _Known:
    """Jets that were scored."""

    def __init__(self, numbers: I8, chosen: Bools, jets: ak.Array, scores: Scores, number: int) -> None:
        self._inputs = _Inputs(jets, chosen)
        self._scores = scores
        self._place = np.full(number + 1, -1)  # the last entry is that of jets without a number
        kept = chosen & (numbers >= 0)
        self._place[numbers[kept]] = np.flatnonzero(kept)

    def places(self, numbers: I8, wanted: Bools) -> tuple[I8, I8]:
        """Which of the wanted jets are known, and where they are here."""
        jets = np.flatnonzero(wanted & (self._place[numbers] >= 0))
        return jets, self._place[numbers[jets]]

    def unchanged(self, places: tuple[I8, I8], varied: _Inputs, columns: tuple[str, ...]) -> tuple[I8, I8]:
        """Those of the known jets that look the same."""
        rows = varied.row[places[0]], self._inputs.row[places[1]]
        same = (rows[0] < 0) & (rows[1] < 0)
        both = np.flatnonzero((rows[0] >= 0) & (rows[1] >= 0))
        try:
            same[both] = _equal(varied.flat(columns), rows[0][both], self._inputs.flat(columns), rows[1][both])
        except JetError:  # jets with numbers that are not finite: let the tagger say so
            return places[0][:0], places[1][:0]
        return places[0][same], places[1][same]

    def copy(self, places: tuple[I8, I8], columns: Scores) -> None:
        """Copy scores into columns."""
        for field, (values, present) in columns.items():
            values[places[0]] = self._scores[field][0][places[1]]
            present[places[0]] = self._scores[field][1][places[1]]


def _equal(one: FlatJets, rows: I8, other: FlatJets, other_rows: I8) -> Bools:
    """Which jets have the same numbers in every column."""
    number, other_number = np.diff(one.offsets)[rows], np.diff(other.offsets)[other_rows]
    same = (number == other_number) & _same_rows(one.jet_p4[rows], other.jet_p4[other_rows])
    jets = np.flatnonzero(same)
    number = number[jets]
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    here = np.repeat(one.offsets[rows[jets]], number) + within
    there = np.repeat(other.offsets[other_rows[jets]], number) + within
    differs = ~_same_rows(one.momenta.p4[here], other.momenta.p4[there])
    pairs = [
        (one.momenta.mass, other.momenta.mass),
        *((one.columns[name], other.columns[name]) for name in one.columns),
    ]
    for column, other_column in pairs:
        differs |= column[here] != other_column[there]
    jet = np.repeat(np.arange(len(jets)), number)
    same[jets] &= np.bincount(jet[differs], minlength=len(jets)) == 0
    found: Bools = same
    return found


def _same_rows(one: AnyArray, other: AnyArray) -> Bools:
    found: Bools = (one == other).all(axis=1)
    return found


def _columns(tagger: Any, jets: ak.Array) -> tuple[str, ...]:
    """Columns of the constituents that a tagger may read, besides the momenta."""
    named = constituent_columns(tagger)
    if named is not None:
        return named
    constituents = jets["constituents"]
    momenta = (coordinates_of(constituents.fields) or {}).values()
    return tuple(name for name in constituents.fields if name not in momenta and _is_number(constituents[name]))


def _is_number(column: ak.Array) -> bool:
    return not column.fields and str(ak.type(column)).split(" * ")[-1].lstrip("?").startswith(
        ("int", "uint", "float", "bool")
    )


def _masked(jets: ak.Array, chosen: Bools) -> ak.Array:
    """The chosen jets; the others are missing."""
    return jets if chosen.all() else ak.mask(jets, ak.unflatten(chosen, ak.num(jets, axis=1)))


def _no_scores(number: int) -> tuple[F4, Bools]:
    return np.full(number, np.nan, np.float32), np.zeros(number, bool)


def _fill(columns: Scores, found: ak.Array, names: Mapping[str, str | None], chosen: Bools) -> None:
    for field, column in score_columns(found, dict(names)).items():
        values, present = _flat(column)
        columns[field][0][chosen] = values[chosen]
        columns[field][1][chosen] = present[chosen]


def _flat(column: ak.Array) -> tuple[F4, Bools]:
    """``[event][jet]`` -> one score per jet, and which jets have one."""
    flat = ak.flatten(column, axis=1)
    present = ~ak.to_numpy(ak.is_none(flat))
    return np.asarray(ak.to_numpy(ak.fill_none(flat, np.nan)), np.float32), present


def nested(scores: tuple[F4, Bools], counts: Iterable[int]) -> ak.Array:
    """One score per jet -> ``[event][jet]``, None for jets without."""
    values, present = scores
    return ak.unflatten(ak.mask(values, present), counts)
