"""What several figures share: looks of variants, and points with error bars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from coffea_equitag.evaluation.plot_style import COLORS

from ..words import estimate

__all__ = ["errors", "labels", "legend", "look", "medians"]

_MARKERS = "os^vDP*X"


def look(k: int) -> dict[str, Any]:
    """Colour and marker of the k-th variant."""
    return {"color": COLORS[k % len(COLORS)], "marker": _MARKERS[(k // len(COLORS)) % len(_MARKERS)]}


def labels(results: dict[str, Any]) -> dict[str, str]:
    """Labels by the names of entries."""
    return {one["name"]: one["label"] for one in results["variants"]}


def legend(axes: Any, entries: int) -> None:
    """A legend of so many entries in columns, if there are any."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small", ncols=1 + entries // 8)


def errors(values: dict[str, Any]) -> tuple[float, list[list[float]]] | None:
    """A value and its error bars; None for one that is infinite, and an arrow's length for an infinite end."""
    found = estimate(values)
    if math.isinf(found.value):
        return None
    above = found.high - found.value if math.isfinite(found.high) else found.value
    return found.value, [[max(found.value - found.low, 0.0)], [max(above, 0.0)]]


def medians(curves: list[list[float]]) -> list[float]:
    """Medians over the trainings, point by point; where one is infinite, one of the values."""
    each = np.array(curves)
    method: Any = "linear" if np.isfinite(each).all() else "inverted_cdf"
    return [float(value) for value in np.quantile(each, 0.5, axis=0, method=method)]
