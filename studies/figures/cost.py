"""Rejection against the cost of scoring."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from coffea_equitag.evaluation.canvas import canvas

from ..words import metric_title
from .parts import errors, labels, legend, look

__all__ = ["draw"]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Figure:
    """A point for each network on each sample."""
    drawing, axes = canvas("")
    cost = {one["name"]: one["us_per_jet"] for one in results["variants"]}
    named = labels(results)
    for place, (sample, compared) in enumerate(results["samples"].items()):
        filled = {"markerfacecolor": "none"} if place else {}
        for k, name in enumerate(figure["names"]):
            if (found := errors(compared["metrics"][name][figure["metric"]])) and cost[name] is not None:
                label = None if place else named[name]
                axes.errorbar(cost[name], *found, **look(k), linestyle="none", label=label, **filled)
        if len(results["samples"]) > 1:
            axes.plot([], [], "o", color="grey", label=f"{sample} jets", **filled)
    axes.set(xscale="log", xlabel="cost of scoring (µs per jet, one thread)", ylabel=metric_title(figure["metric"]))
    axes.set_yscale("log" if "rejection" in figure["metric"] else "linear")
    legend(axes, len(figure["names"]))
    return drawing
