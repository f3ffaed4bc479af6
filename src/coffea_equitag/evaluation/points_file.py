"""Working points as a file of correctionlib."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import JetError, explain
from .correction_file import Table, by_category, by_pt, correction, write_corrections
from .threshold import Efficiency, Threshold

__all__ = ["HASH", "VALUES", "tagger_in_words", "write"]

#: End of the name of the correction that holds the thresholds of a score.
VALUES = "_wp_values"

#: What stands before the tagger's content hash in the description.
HASH = "content hash "

_POINT = ("string", "Name of the working point.")
_PT = ("real", "pT of the jet in GeV; jets outside the edges take the nearest range.")


Points: TypeAlias = Mapping[str, tuple[Threshold, ...]]
Edges: TypeAlias = Sequence[float] | None


def tagger_in_words(tagger: Any) -> str:
    """Name and content hash of a tagger (or a hash alone), for the description; nothing for None."""
    if tagger is None:
        return ""
    name, content_hash = getattr(tagger, "name", ""), getattr(tagger, "content_hash", tagger)
    return f"Tagger {name}, {HASH}{content_hash}." if name else f"Tagger of {HASH}{content_hash}."


def write(points: Points, edges: Edges, path: str | os.PathLike[str], *, name: str, description: str) -> None:
    """Write thresholds, their intervals and efficiencies; see `WorkingPoints.to_correctionlib`."""
    if not name.isidentifier():
        raise JetError(explain(f"a score called {name!r}", "the name of a field of jets", "choose another name"))
    inputs = {"working_point": _POINT} | ({} if edges is None else {"pt": _PT})
    values = correction(name + VALUES, description, inputs, "threshold", _by_point(points, edges, lambda at: at.value))
    bounds = correction(
        name + "_wp_intervals",
        "Intervals (68.27%) of the thresholds.",
        {"bound": ("string", "low or high"), **inputs},
        "threshold",
        by_category(
            "bound",
            {"low": _by_point(points, edges, lambda at: at.low), "high": _by_point(points, edges, lambda at: at.high)},
        ),
    )
    write_corrections(path, description, [values, bounds, _efficiencies(points, edges, name, inputs)])


def _by_point(points: Points, edges: Edges, value: Callable[[Threshold], float]) -> Table:
    def of(thresholds: tuple[Threshold, ...]) -> Table:
        numbers = [value(at) for at in thresholds]
        return numbers[0] if edges is None else by_pt(edges, numbers)

    return by_category("working_point", {label: of(thresholds) for label, thresholds in points.items()})


def _efficiencies(points: Points, edges: Edges, name: str, inputs: dict[str, tuple[str, str]]) -> Any:
    """Efficiencies of signal and, where every range has such jets, of background."""
    kinds = ["signal"]
    if all(at.background is not None for thresholds in points.values() for at in thresholds):
        kinds.append("background")

    def table(kind: str, end: str) -> Table:
        def value(at: Threshold) -> float:
            efficiency: Efficiency = getattr(at, kind)
            return float(f"{getattr(efficiency, end):.15g}")

        return _by_point(points, edges, value)

    ends = {"central": "value", "down": "low", "up": "high"}
    data = by_category(
        "jets",
        {kind: by_category("systematic", {key: table(kind, end) for key, end in ends.items()}) for kind in kinds},
    )
    return correction(
        name + "_wp_efficiencies",
        "Efficiencies of the thresholds on the jets they were measured with; intervals of 68.27%.",
        {"jets": ("string", "signal or background"), "systematic": ("string", "central, up or down"), **inputs},
        "efficiency",
        data,
    )
