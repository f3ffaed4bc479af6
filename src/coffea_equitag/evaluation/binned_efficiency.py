"""Efficiencies of a cut in bins of a variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array_types import F8, I8
from ..errors import JetError, explain
from ..tagger.discriminant import Discriminant
from .counts import Counts
from .weighted_efficiency import effective_interval

__all__ = ["BinnedEfficiency", "Points", "by_bin", "merge_bins", "select_edges"]

#: Bins by default: few enough to be seen.
_BINS = 12


@dataclass(frozen=True)
class Points:
    """Efficiencies in B bins with intervals (68.27%); NaN in bins without jets. `number` counts the jets."""

    value: F8
    low: F8
    high: F8
    number: I8


@dataclass(frozen=True)
class BinnedEfficiency:
    """Efficiency of a cut against a variable.

    Attributes
    ----------
    variable : str
    cut : float
        Jets pass at or above it.
    edges : ndarray of float64, shape (B + 1,)
    signal : str
        The class whose efficiency it is; those of the others are mistag rates.
    classes : mapping of str to Points
        Class -> efficiencies.
    outside : int
        Jets of these classes that are in none of the bins.
    """

    variable: str
    cut: float
    edges: F8
    signal: str
    classes: Mapping[str, Points]
    outside: int


def by_bin(
    counts: Counts,
    classes: Sequence[str],
    between: Discriminant,
    variable: str,
    edges: Sequence[float],
    cut: float,
    wanted: Sequence[float] | None,
) -> BinnedEfficiency:
    """Efficiencies of the classes of a discriminant; see `Evaluation.efficiency`."""
    shape = (len(classes), len(edges) + 1)
    every, kept = (
        [each.reshape(shape) for each in counts.sums(shape[0] * shape[1], chosen)]
        for chosen in (slice(None), counts.score >= cut)
    )
    at = merge_bins(every[0][:, 1:-1].sum(axis=0), _BINS) if wanted is None else select_edges(wanted, edges, variable)
    found = {}
    inside = 0
    for name in between.classes:
        row = classes.index(name)
        number, weight, squared = (np.add.reduceat(each[row, 1:-1], at[:-1]) for each in _until(every, at))
        _, passed, passed_squared = (np.add.reduceat(each[row, 1:-1], at[:-1]) for each in _until(kept, at))
        found[name] = _points(number, weight, squared, passed, passed_squared)
        inside += int(number.sum())
    of_these = every[0][[classes.index(name) for name in between.classes]].sum()
    chosen_edges = np.asarray(edges)[at]
    return BinnedEfficiency(variable, cut, chosen_edges, between.signal, found, int(of_these) - inside)


def _until(sums: Sequence[Any], at: I8) -> list[Any]:
    """Without the bins above the last edge that is wanted, which `reduceat` would add to the last bin."""
    return [each[:, : at[-1] + 2] for each in sums]


def _points(number: I8, weight: F8, squared: F8, passed: F8, passed_squared: F8) -> Points:
    known = weight > 0
    some, some_squared = np.where(known, weight, 1.0), np.where(known, squared, 1.0)
    low, high = effective_interval(passed, passed_squared, some, some_squared)
    value, low, high = (np.where(known, each, np.nan) for each in (passed / some, low, high))
    return Points(value, low, high, number)


def select_edges(wanted: Sequence[float], edges: Sequence[float], variable: str) -> I8:
    """Indices of some of the edges.

    Raises
    ------
    JetError
        If they are not at least two rising ones of the edges.
    """
    known = list(edges)
    if len(wanted) < 2 or not set(map(float, wanted)) <= set(known) or list(wanted) != sorted(set(wanted)):
        given = ", ".join(f"{edge:g}" for edge in wanted)
        raise JetError(
            explain(
                f"edges of {variable}: {given}",
                f"at least two, rising, of {', '.join(f'{edge:g}' for edge in known)}",
                "choose of these, or give Evaluation(..., variables={...}) others",
            )
        )
    return np.array([known.index(float(edge)) for edge in wanted], np.int64)


def merge_bins(jets: I8 | F8, number: int) -> I8:
    """Indices of edges that make at most `number` bins with about as many jets each, and leave out empty ends.

    Parameters
    ----------
    jets : ndarray, shape (B,)
        Jets, or weights, in fine bins.
    number : int
    """
    jets = np.maximum(jets, 0)
    filled = np.flatnonzero(jets)
    if not len(filled):
        return np.array([0, len(jets)], np.int64)
    first, end = int(filled[0]), int(filled[-1]) + 1
    sums = np.cumsum(jets[first:end])
    # the edge nearest to each quantile
    targets = sums[-1] * np.arange(1, number) / number
    right = np.minimum(np.searchsorted(sums, targets), len(sums) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(targets - sums[left] < sums[right] - targets, left, right) + 1
    return np.unique(np.concatenate([[first], first + nearer, [end]]))
