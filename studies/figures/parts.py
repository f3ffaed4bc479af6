"""What several figures share: looks of variants, points with error bars, axes and legends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator

from coffea_equitag.evaluation.plot_style import COLORS
from coffea_equitag.training.comparison import metric_title

from ..words import estimate

__all__ = ["error_bars", "labels", "legend", "log_axis", "look", "medians", "metric_axis"]

_MARKERS = "os^vDP*X"

#: Entries of a legend that fit into the axes.
_INSIDE = 6


def look(k: int) -> dict[str, Any]:
    """Colour and marker of the k-th variant."""
    return {"color": COLORS[k % len(COLORS)], "marker": _MARKERS[(k // len(COLORS)) % len(_MARKERS)]}


def labels(results: dict[str, Any]) -> dict[str, str]:
    """Labels by the names of entries."""
    return {one["name"]: one["label"] for one in results["variants"]}


def error_bars(points: list[tuple[float, dict[str, Any]]]) -> tuple[list[float], list[float], list[list[float]]]:
    """Places, values and lengths of the error bars, in the order of the places, without values that are infinite.

    An interval without an upper end reaches to twice the value.
    """
    found = [(place, estimate(values)) for place, values in sorted(points, key=lambda point: point[0])]
    finite = [(place, one) for place, one in found if math.isfinite(one.value)]
    below = [max(one.value - one.low, 0.0) for _, one in finite]
    above = [max(one.high - one.value, 0.0) if math.isfinite(one.high) else one.value for _, one in finite]
    return [place for place, _ in finite], [one.value for _, one in finite], [below, above]


def metric_axis(axes: Any, metric: str) -> None:
    """The vertical axis of a metric: logarithmic for rejections."""
    axes.set_ylabel(metric_title(metric).replace("ε_B", r"$\epsilon_B$"))
    if metric.startswith("rejection"):
        log_axis(axes.yaxis)


def log_axis(axis: Any) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5, if anything is drawn."""
    if not np.isfinite(axis.axes.dataLim.get_points()).all():
        return
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def legend(axes: Any) -> None:
    """A legend, beside the axes if it is long; none without entries."""
    entries = len(axes.get_legend_handles_labels()[0])
    if entries > _INSIDE:
        axes.figure.set_figwidth(10)
        axes.figure.legend(loc="outside right upper", fontsize="small")
    elif entries:
        axes.legend(fontsize="small")


def medians(curves: list[list[float]]) -> list[float]:
    """Medians over the trainings, point by point; where one is infinite, one of the values."""
    each = np.array(curves)
    method: Any = "linear" if np.isfinite(each).all() else "inverted_cdf"
    return [float(value) for value in np.quantile(each, 0.5, axis=0, method=method)]
