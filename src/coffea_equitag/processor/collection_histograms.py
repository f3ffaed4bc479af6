"""Histograms of the scored jets of one collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import hist
import numpy as np

from ..array_types import AnyArray, Bools
from .histograms import (
    KINEMATICS,
    SCORE_BINS,
    JetRows,
    Variable,
    fill,
    flat_column,
    jet_histogram,
    variable_axis,
    variable_values,
)
from .systematic_weights import EventWeights
from .working_points import WorkingPoint

__all__ = ["collection_histograms", "columns_of", "score_counts"]


def columns_of(jets: ak.Array, events: ak.Array, variables: Mapping[str, Variable]) -> dict[str, tuple[Any, ak.Array]]:
    """Axis and values by name: the kinematics that exist, and the user's variables."""
    wanted = {name: axis for name, axis in KINEMATICS.items() if name in jets.fields or hasattr(type(jets), name)}
    wanted.update(variables)
    return {name: (variable_axis(v), variable_values(jets, name, v, events)) for name, v in wanted.items()}


def score_counts(jets: ak.Array, name: str) -> dict[str, int]:
    """Numbers of jets, of those with the score and of those without."""
    scored = np.isfinite(_flat(jets[name]))
    return {"jets": len(scored), "scored": int(scored.sum()), "unscored": int((~scored).sum())}


def collection_histograms(
    dataset: str,
    jets: ak.Array,
    names: Sequence[str],
    columns: Mapping[str, tuple[Any, ak.Array]],
    weights: EventWeights,
    regions: Mapping[str, Bools],
    points: Sequence[WorkingPoint],
) -> tuple[dict[str, hist.Hist], dict[str, hist.Hist]]:
    """Histograms of scores and of variables; jets without a score are left out.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    jets : ak.Array
        ``[event][jet]`` with scores.
    names : sequence of str
        Names of the scores.
    columns : mapping
        As from `columns_of`.
    weights : EventWeights
        Weights of the events.
    regions : mapping of str to ndarray of bool
        Region -> which events are in it.
    points : sequence of WorkingPoint
        The working points.

    Returns
    -------
    (dict of str to Hist, dict of str to Hist)
        By name of the score, and by name of the variable.
    """
    scores = {name: _flat(jets[name]) for name in names}
    scored = np.isfinite(scores[names[0]])
    event = _event_of(jets)[scored]
    rows = JetRows(
        dataset,
        {name: np.asarray(ak.to_numpy(values))[event] for name, values in weights.items()},
        {name: inside[event] for name, inside in regions.items()},
        {name: score[scored] for name, score in scores.items()},
        _flat(jets.pt)[scored] if any(point.needs_pt for point in points) else None,
    )
    found: tuple[dict[str, hist.Hist], dict[str, hist.Hist]] = ({}, {})
    for name, score in rows.scores.items():
        found[0][name] = jet_histogram(_score_axis(name), rows, points)
        fill(found[0][name], rows, (score, ~np.isnan(score)), points)
    for name, (axis, column) in columns.items():
        found[1][name] = jet_histogram(axis, rows, points)
        values, present = flat_column(column, name)
        fill(found[1][name], rows, (values[scored], present[scored]), points)
    return found


def _flat(values: ak.Array) -> AnyArray:
    """``[event][jet]`` → one entry per jet; NaN where a value is missing."""
    return np.asarray(ak.to_numpy(ak.fill_none(ak.flatten(values, axis=1), np.nan)))


def _event_of(jets: ak.Array) -> AnyArray:
    """Index of the event of each jet."""
    counts = ak.to_numpy(ak.fill_none(ak.num(jets, axis=1), 0))
    return np.repeat(np.arange(len(counts)), counts)


def _score_axis(name: str) -> Any:
    # scores reach 1 exactly, which a regular axis alone counts as overflow
    return hist.axis.Regular(SCORE_BINS, 0, np.nextafter(1.0, 2.0), name="score", label=name)
