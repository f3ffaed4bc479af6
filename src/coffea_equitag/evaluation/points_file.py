"""Working points as a file of correctionlib."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import JetError, explain
from .correction_file import Table, by_category, by_pt, correction, write_corrections

if TYPE_CHECKING:
    from .threshold import Efficiency, Threshold, WorkingPoints

__all__ = ["HASH", "VALUES", "write"]

#: End of the name of the correction that holds the thresholds of a score.
VALUES = "_wp_values"

#: What stands before the tagger's content hash in the description.
HASH = "content hash "

_POINT = ("string", "Name of the working point.")
_PT = ("real", "pT of the jet in GeV; jets outside the edges take the nearest range.")


def write(
    points: WorkingPoints, path: str | os.PathLike[str], *, name: str, tagger: Any = None, description: str = ""
) -> None:
    """See `WorkingPoints.to_correctionlib`."""
    if not name.isidentifier():
        raise JetError(explain(f"a score called {name!r}", "the name of a field of jets", "choose another name"))
    content_hash = tagger if isinstance(tagger, str) else getattr(tagger, "content_hash", None)
    kind = "background" if points.background else "signal"
    wanted = ", ".join(f"{label}: {100 * value:g}%" for label, value in points.efficiencies.items())
    about = [f"Thresholds by {kind} efficiency ({wanted}); a jet passes at or above the threshold.", description]
    if content_hash is not None:
        about.append(f"Tagger {getattr(tagger, 'name', '')}, {HASH}{content_hash}.".replace(" ,", ","))
    text = " ".join(filter(None, about))
    inputs = {"working_point": _POINT} | ({} if points.edges is None else {"pt": _PT})
    values = correction(name + VALUES, text, inputs, "threshold", _by_point(points, lambda at: at.value))
    bounds = correction(
        name + "_wp_intervals",
        "Intervals (68.27%) of the thresholds.",
        {"bound": ("string", "low or high"), **inputs},
        "threshold",
        by_category(
            "bound", {"low": _by_point(points, lambda at: at.low), "high": _by_point(points, lambda at: at.high)}
        ),
    )
    write_corrections(path, text, [values, bounds, _efficiencies(points, name, inputs)])


def _by_point(points: WorkingPoints, value: Callable[[Threshold], float]) -> Table:
    def of(thresholds: tuple[Threshold, ...]) -> Table:
        numbers = [value(at) for at in thresholds]
        return numbers[0] if points.edges is None else by_pt(points.edges, numbers)

    return by_category("working_point", {label: of(thresholds) for label, thresholds in points.points.items()})


def _efficiencies(points: WorkingPoints, name: str, inputs: dict[str, tuple[str, str]]) -> Any:
    """Efficiencies of signal and, where every range has such jets, of background."""
    kinds = ["signal"]
    if all(at.background is not None for thresholds in points.points.values() for at in thresholds):
        kinds.append("background")

    def table(kind: str, end: str) -> Table:
        def value(at: Threshold) -> float:
            efficiency: Efficiency = getattr(at, kind)
            return float(f"{getattr(efficiency, end):.15g}")

        return _by_point(points, value)

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
