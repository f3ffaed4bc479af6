"""Rejection against the number of parameters, or an option of the networks, on the first sample."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from coffea_equitag.evaluation.canvas import canvas

from ..words import metric_title
from .parts import errors, labels, legend, look

__all__ = ["draw"]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Figure:
    """A point for each network, or lines of several that the figure's `variants` name."""
    drawing, axes = canvas("")
    named = labels(results)
    lines = figure["variants"] if isinstance(figure["variants"], dict) else {}
    lines = lines or {named[name]: [name] for name in figure["names"]}
    values = next(iter(results["samples"].values()))["metrics"]
    places = {one["name"]: _place(one, figure["against"]) for one in results["variants"]}
    for k, (label, names) in enumerate(lines.items()):
        points = [
            (places[name], *found)
            for name in names
            if places.get(name) is not None and (found := errors(values[name][figure["metric"]]))
        ]
        if points:
            across, heights, bars = zip(*sorted(points, key=lambda point: point[0]), strict=True)
            sides = [[bar[side][0] for bar in bars] for side in (0, 1)]
            axes.errorbar(across, heights, sides, **look(k), label=label)
    axes.set(xscale="log", xlabel=figure["against"], ylabel=metric_title(figure["metric"]))
    axes.set_yscale("log" if "rejection" in figure["metric"] else "linear")
    legend(axes, len(figure["names"]))
    return drawing


def _place(variant: dict[str, Any], against: str) -> float | None:
    found = variant["num_parameters"] if against == "parameters" else variant["options"].get(against)
    return float(found) if isinstance(found, int | float) else None
