"""Rejection against the number of training jets, on the first sample."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from coffea_equitag.evaluation.canvas import canvas

from .parts import error_bars, labels, legend, log_axis, look, metric_axis

__all__ = ["draw"]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Figure:
    """A line for each variant that was trained on several numbers of jets."""
    drawing, axes = canvas("")
    measured = next(iter(results["samples"].values()))["metrics"]
    for k, name in enumerate(figure["names"]):
        entries = [one for one in results["variants"] if one["variant"] == name]
        jets, values, bars = error_bars([(one["jets"], measured[one["name"]][figure["metric"]]) for one in entries])
        if len(jets) > 1:
            axes.errorbar(jets, values, bars, **look(k), label=labels(results)[name])
    axes.set_xlabel("training jets")
    log_axis(axes.xaxis)
    metric_axis(axes, figure["metric"])
    legend(axes)
    return drawing
