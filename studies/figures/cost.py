"""Rejection against the cost of scoring."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from coffea_equitag.evaluation.canvas import canvas

from .parts import error_bars, labels, legend, log_axis, look, metric_axis

__all__ = ["draw"]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Figure:
    """A point for each network on each sample."""
    drawing, axes = canvas("")
    cost = {one["name"]: one["us_per_jet"] for one in results["variants"]}
    named = labels(results)
    for place, (sample, compared) in enumerate(results["samples"].items()):
        filled = {"markerfacecolor": "none"} if place else {}
        for k, name in enumerate(name for name in figure["names"] if cost[name] is not None):
            across, values, bars = error_bars([(cost[name], compared["metrics"][name][figure["metric"]])])
            label = None if place else named[name]
            axes.errorbar(across, values, bars, **look(k), linestyle="none", label=label, **filled)
        if len(results["samples"]) > 1:
            axes.plot([], [], "o", color="grey", label=f"{sample} jets", **filled)
    axes.set_xlabel("cost of scoring (µs per jet, one thread)")
    log_axis(axes.xaxis)
    metric_axis(axes, figure["metric"])
    legend(axes)
    return drawing
