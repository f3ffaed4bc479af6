"""Histograms of jets by dataset, systematic, region, working point and decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import hist
import numpy as np

from ..array_types import AnyArray, Bools
from ..errors import JetError, TaggerError, explain
from .selections import with_events
from .working_points import INCLUSIVE, WorkingPoint

__all__ = [
    "CATEGORIES",
    "KINEMATICS",
    "SCORE_BINS",
    "JetRows",
    "Variable",
    "check_variables",
    "fill",
    "flat_column",
    "jet_histogram",
    "variable_axis",
    "variable_values",
]

#: An axis (of the field of that name), or an axis and the field or function of the jets it is filled with.
Variable: TypeAlias = Any | tuple[Any, str | Callable[..., ak.Array]]

#: One entry per jet, and which jets have one.
Column: TypeAlias = tuple[AnyArray, Bools]

SCORE_BINS = 100

#: Names of the axes before that of the variable.
CATEGORIES = ("dataset", "systematic", "region", "working_point", "decision")

#: Always histogrammed if the jets have them; a variable of the same name replaces them.
KINEMATICS: Mapping[str, Any] = {
    "pt": hist.axis.Regular(100, 0, 2000, name="pt", label=r"Jet $p_T$ [GeV]"),
    "eta": hist.axis.Regular(50, -2.5, 2.5, name="eta", label=r"Jet $\eta$"),
    "phi": hist.axis.Regular(50, -np.pi, np.pi, name="phi", label=r"Jet $\phi$"),
    "mass": hist.axis.Regular(100, 0, 400, name="mass", label="Jet mass [GeV]"),
}


@dataclass(frozen=True)
class JetRows:
    """What the histograms of one collection share: one entry per jet with a score.

    Attributes
    ----------
    dataset : str
        Name of the dataset.
    weights : mapping of str to ndarray
        Systematic -> weights.
    regions : mapping of str to ndarray of bool
        Region -> which jets are in it.
    scores : mapping of str to ndarray
        Score -> values, NaN where there is none.
    pt : ndarray, optional
        pT, where thresholds depend on it.
    """

    dataset: str
    weights: Mapping[str, AnyArray]
    regions: Mapping[str, Bools]
    scores: Mapping[str, AnyArray]
    pt: AnyArray | None = None

    def decisions(self, points: Sequence[WorkingPoint]) -> Iterator[tuple[str, str, Bools | None]]:
        """Working points, decisions and the jets of each; None means all jets."""
        yield INCLUSIVE, "pass", None
        for point in points:
            passed, failed = point.decide(self.scores[point.score], self.pt)
            yield point.label, "pass", passed
            yield point.label, "fail", failed


def jet_histogram(axis: Any, rows: JetRows, points: Sequence[WorkingPoint]) -> hist.Hist:
    """An empty weighted histogram: dataset × systematic × region × working point × decision × `axis`.

    Whatever the jets are, each category is there.
    """
    labels = [INCLUSIVE, *(point.label for point in points)]
    return hist.Hist(
        hist.axis.StrCategory([rows.dataset], growth=True, name="dataset", label="Dataset"),
        hist.axis.StrCategory(list(rows.weights), growth=True, name="systematic", label="Systematic"),
        hist.axis.StrCategory(list(rows.regions), growth=True, name="region", label="Region"),
        hist.axis.StrCategory(labels, growth=True, name="working_point", label="Working point"),
        hist.axis.StrCategory(["fail", "pass"], name="decision", label="Decision"),
        axis,
        storage=hist.storage.Weight(),
    )


def fill(histogram: hist.Hist, rows: JetRows, column: Column, points: Sequence[WorkingPoint]) -> None:
    """Fill one value per jet for each systematic, region and working point; jets without a value are left out.

    Raises
    ------
    JetError
        If the axis does not take such values.
    """
    values, present = column
    axis = histogram.axes[-1]
    takes_integers = isinstance(axis, hist.axis.Integer | hist.axis.IntCategory | hist.axis.Boolean)
    if takes_integers and values.dtype.kind == "f" and np.all(values[present] == np.rint(values[present])):
        values = np.where(present, values, 0).astype(np.int64)
    try:
        for region, inside in rows.regions.items():
            for label, decision, passed in rows.decisions(points):
                chosen = np.flatnonzero(present & inside if passed is None else present & inside & passed)
                filled = values[chosen]
                for systematic, weights in rows.weights.items():
                    histogram.fill(rows.dataset, systematic, region, label, decision, filled, weight=weights[chosen])
    except (TypeError, ValueError, RuntimeError) as error:
        raise JetError(
            explain(
                f"values of type {values.dtype} for the axis '{axis.name}' ({type(axis).__name__})",
                "values that this kind of axis takes",
                "choose another axis, or convert them: give (axis, function of the jets)",
            )
        ) from error


def check_variables(given: Mapping[str, Mapping[str, Variable]]) -> None:
    """Refuse axes with the name of a category."""
    for collection, variables in given.items():
        for name, variable in variables.items():
            if (taken := getattr(variable_axis(variable), "name", None)) in CATEGORIES:
                raise TaggerError(
                    explain(
                        f"variable '{name}' of {collection} with an axis called {taken!r}",
                        f"names other than {', '.join(CATEGORIES)}: every histogram has these axes",
                        "rename the axis",
                    )
                )


def variable_values(jets: ak.Array, name: str, variable: Variable, events: ak.Array) -> ak.Array:
    """One value per jet; functions may take the jets, or jets and events.

    Raises
    ------
    JetError
        If the jets have no such field.
    """
    source: Any = variable[1] if isinstance(variable, tuple) else name
    if callable(source):
        return with_events(source, jets, events)
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


def flat_column(values: ak.Array, name: str) -> Column:
    """``[event][jet]`` → one entry per jet in the values' own type, and which jets have one.

    Raises
    ------
    JetError
        If there is not one number or string per jet.
    """
    if values.ndim != 2 or values.fields:
        raise JetError(
            explain(
                f"variable '{name}' of type {ak.type(values)}",
                "one number for each jet",
                "choose a field of these records, or reduce the lists: give (axis, function of the jets)",
            )
        )
    each = ak.flatten(values, axis=1)
    present = ~ak.to_numpy(ak.is_none(each))
    found = np.asarray(ak.to_numpy(ak.drop_none(each)))
    column = np.zeros(len(present), found.dtype)
    column[present] = found
    return column, present & ~np.isnan(column) if column.dtype.kind == "f" else present
