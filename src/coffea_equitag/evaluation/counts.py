"""Weighted jets by group and score: what can be added up chunk by chunk and still be cut anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from ..array_types import F8, I8
from ..errors import JetError, explain

__all__ = ["Counts", "Tally", "on_grid", "weight_sums"]


@dataclass(frozen=True)
class Counts:
    """Rows of jets that share group and score, by falling score and rising group.

    Attributes
    ----------
    group : ndarray of int64, shape (R,)
        Whatever the jets are told apart by: class and bin of a variable.
    score : ndarray of float64, shape (R,)
    number : ndarray of int64, shape (R,)
        Jets.
    weight, squared : ndarray of float64, shape (R,)
        Sums of their weights and of the squares of these.
    """

    group: I8
    score: F8
    number: I8
    weight: F8
    squared: F8

    @classmethod
    def of(cls, group: I8, score: F8, weights: F8) -> Counts:
        """Count jets."""
        return _merged(group, score, np.ones(len(group), np.int64), weights, weights**2)

    def __add__(self, other: Counts) -> Counts:
        if not len(other.group):
            return self
        if not len(self.group):
            return other
        return _merged(*(np.concatenate(pair) for pair in zip(self._columns, other._columns, strict=True)))

    @property
    def _columns(self) -> tuple[Any, ...]:
        return self.group, self.score, self.number, self.weight, self.squared

    def sums(self, groups: int, chosen: Any = slice(None)) -> tuple[I8, F8, F8]:
        """Number, weight and squared weight of each group, of some of the rows; shape (groups,) each."""
        rows = self.group[chosen]
        number, weight, squared = (weight_sums(rows, each[chosen], groups) for each in self._columns[2:])
        return np.rint(number).astype(np.int64), weight, squared


class Tally:
    """Counts that grow: parts are merged when they are of similar size, so that each row is sorted a few times only."""

    def __init__(self, parts: Sequence[Counts] = ()) -> None:
        self._parts: list[Counts] = []
        for part in parts:
            self._append(part)

    def __add__(self, other: Tally | Counts) -> Tally:
        return Tally([*self._parts, *(other._parts if isinstance(other, Tally) else [other])])

    def _append(self, part: Counts) -> None:
        self._parts.append(part)
        while len(self._parts) > 1 and 2 * len(self._parts[-1].group) >= len(self._parts[-2].group):
            last = self._parts.pop()
            self._parts[-1] += last

    @property
    def total(self) -> Counts:
        """All of them."""
        while len(self._parts) > 1:
            last = self._parts.pop()
            self._parts[-1] += last
        return self._parts[0] if self._parts else _NOTHING


def _merged(group: I8, score: F8, number: I8, weight: F8, squared: F8) -> Counts:
    columns: tuple[Any, ...] = number, weight, squared
    # equal rows stay in their order, so that sums of weights do not depend on the sorting
    order = np.lexsort((group, -score))
    group, score = group[order], score[order]
    first = np.flatnonzero(np.append(True, (np.diff(score) != 0) | (np.diff(group) != 0))[: len(group)])
    if not len(first):
        return Counts(group, score, number, weight, squared)
    return Counts(group[first], score[first], *(np.add.reduceat(each[order], first) for each in columns))


_NOTHING = Counts.of(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def weight_sums(index: I8, weights: Any, size: int) -> F8:
    """Sum of the weights of each index from 0 to size − 1."""
    return np.asarray(np.bincount(index, weights, minlength=size), np.float64)


def on_grid(scores: F8, resolution: float | None) -> F8:
    """Scores rounded down to a grid of this step in their logit; as they are for None.

    A cut at a point of the grid keeps the same jets before and after.

    Raises
    ------
    JetError
        For a score that is not a probability.
    """
    if resolution is None:
        return scores
    if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        given = f"scores between {scores.min():g} and {scores.max():g} on a grid"
        raise JetError(explain(given, "probabilities", "leave resolution out: scores are then kept as they are"))
    found: F8 = expit(np.floor(logit(scores) / resolution) * resolution)
    return found
