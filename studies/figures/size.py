"""Rejection against the number of parameters, or an option of the networks, on the first sample."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from coffea_equitag.evaluation.canvas import canvas

from .parts import error_bars, labels, legend, log_axis, look, metric_axis

__all__ = ["draw"]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Figure:
    """A point for each network, or lines of several that the figure's `variants` name."""
    drawing, axes = canvas("")
    measured = next(iter(results["samples"].values()))["metrics"]
    places = {one["name"]: _place(one, figure["against"]) for one in results["variants"]}
    lines = figure["variants"] if isinstance(figure["variants"], dict) else {}
    lines = lines or {labels(results)[name]: [name] for name in figure["names"]}
    for k, (label, names) in enumerate(lines.items()):
        points = [(places[name], measured[name][figure["metric"]]) for name in names if places.get(name) is not None]
        across, values, bars = error_bars(points)
        axes.errorbar(across, values, bars, **look(k), label=label)
    axes.set_xlabel(figure["against"])
    log_axis(axes.xaxis)
    metric_axis(axes, figure["metric"])
    legend(axes)
    return drawing


def _place(variant: dict[str, Any], against: str) -> float | None:
    found = variant["num_parameters"] if against == "parameters" else variant["options"].get(against)
    return float(found) if isinstance(found, int | float) else None
