"""Histograms of jets by dataset, working point and decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import awkward as ak
import hist
import numpy as np

from ..array_types import AnyArray
from ..errors import JetError, explain
from .working_points import INCLUSIVE, WorkingPoint

__all__ = ["KINEMATICS", "SCORE_BINS", "Variable", "fill", "flat", "jet_histogram", "variable_values"]

#: An axis (of the field of that name), or an axis and the field or function of the jets it is filled with.
Variable: TypeAlias = Any | tuple[Any, str | Callable[[ak.Array], ak.Array]]

SCORE_BINS = 100

#: Always histogrammed if the jets have them; a variable of the same name replaces them.
KINEMATICS: Mapping[str, Any] = {
    "pt": hist.axis.Regular(100, 0, 2000, name="pt", label=r"Jet $p_T$ [GeV]"),
    "eta": hist.axis.Regular(50, -2.5, 2.5, name="eta", label=r"Jet $\eta$"),
    "phi": hist.axis.Regular(50, -np.pi, np.pi, name="phi", label=r"Jet $\phi$"),
    "mass": hist.axis.Regular(100, 0, 400, name="mass", label="Jet mass [GeV]"),
}


def jet_histogram(axis: Any) -> hist.Hist:
    """An empty weighted histogram: dataset × working point × decision × `axis`."""
    return hist.Hist(
        hist.axis.StrCategory([], growth=True, name="dataset", label="Dataset"),
        hist.axis.StrCategory([], growth=True, name="working_point", label="Working point"),
        hist.axis.StrCategory(["fail", "pass"], name="decision", label="Decision"),
        axis,
        storage=hist.storage.Weight(),
    )


def fill(
    histogram: hist.Hist,
    dataset: str,
    values: AnyArray,
    weights: AnyArray,
    scores: Mapping[str, AnyArray],
    points: Sequence[WorkingPoint],
) -> None:
    """Fill one value per jet for each working point; jets without a value or a score are left out."""
    present = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    histogram.fill(dataset, INCLUSIVE, "pass", values[present], weight=weights[present])
    for point in points:
        score = scores[point.score]
        passed = score >= point.threshold
        for decision, chosen in (("pass", passed), ("fail", ~passed & ~np.isnan(score))):
            chosen = chosen & present
            histogram.fill(dataset, point.label, decision, values[chosen], weight=weights[chosen])


def variable_values(jets: ak.Array, name: str, variable: Variable) -> ak.Array:
    """One value per jet.

    Raises
    ------
    JetError
        If the jets have no such field.
    """
    source: Any = variable[1] if isinstance(variable, tuple) else name
    if callable(source):
        return source(jets)
    if source in jets.fields:
        return jets[source]
    if hasattr(type(jets), source):
        return getattr(jets, source)
    raise JetError(
        explain(
            f"variable '{name}': jets without a field '{source}'",
            "a field or property of the jets",
            "give (axis, function of the jets) instead",
        )
    )


def variable_axis(variable: Variable) -> Any:
    """The axis of a variable."""
    return variable[0] if isinstance(variable, tuple) else variable


def flat(values: ak.Array) -> AnyArray:
    """``[event][jet]`` → one entry per jet; NaN where a value is missing."""
    return np.asarray(ak.to_numpy(ak.fill_none(ak.flatten(values, axis=1), np.nan)))
