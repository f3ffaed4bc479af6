"""Rejection against the number of training jets, on the first sample."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from coffea_equitag.evaluation.canvas import canvas

from .parts import error_bars, labels, legend, log_axis, look, metric_axis

__all__ = ["draw"]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Figure:
    """A line for each variant that was trained on several numbers of jets, or those that `variants` names."""
    drawing, axes = canvas("")
    measured = next(iter(results["samples"].values()))["metrics"]
    trained = {one["name"]: one["jets"] for one in results["variants"]}
    lines = figure["variants"] if isinstance(figure["variants"], dict) else {}
    for k, (label, names) in enumerate((lines or _sizes(figure["names"], results)).items()):
        points = [(trained[name], measured[name][figure["metric"]]) for name in names if name in trained]
        jets, values, bars = error_bars(points)
        axes.errorbar(jets, values, bars, **look(k), label=label)
    axes.set_xlabel("training jets")
    log_axis(axes.xaxis)
    metric_axis(axes, figure["metric"])
    legend(axes)
    return drawing


def _sizes(names: list[str], results: dict[str, Any]) -> dict[str, list[str]]:
    """The entries of each variant, where they are several, by its label."""
    found = {name: [one["name"] for one in results["variants"] if one["variant"] == name] for name in names}
    return {labels(results)[name]: entries for name, entries in found.items() if len(entries) > 1}
