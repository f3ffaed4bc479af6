"""Rejection against the number of training jets, on the first sample."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from coffea_equitag.evaluation.canvas import canvas

from ..words import metric_title
from .parts import errors, labels, legend, look

__all__ = ["draw"]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Figure:
    """A line for each variant that was trained on several numbers of jets."""
    drawing, axes = canvas("")
    values = next(iter(results["samples"].values()))["metrics"]
    named = labels(results)
    for k, name in enumerate(figure["names"]):
        entries = sorted((one for one in results["variants"] if one["variant"] == name), key=lambda one: one["jets"])
        points = [(one["jets"], found) for one in entries if (found := errors(values[one["name"]][figure["metric"]]))]
        if len(points) < 2:
            continue
        jets, found = zip(*points, strict=True)
        bars = [[one[side][0] for _, one in found] for side in (0, 1)]
        axes.errorbar(jets, [value for value, _ in found], bars, **look(k), label=named[name])
    axes.set(xscale="log", xlabel="training jets", ylabel=metric_title(figure["metric"]))
    axes.set_yscale("log" if "rejection" in figure["metric"] else "linear")
    legend(axes, len(figure["names"]))
    return drawing
