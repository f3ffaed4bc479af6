"""Accuracy and AUC under the six transformations of arXiv:2208.07814, on the first sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure as Drawing

from coffea_equitag.training.comparison import FinishedRun, metric_title

from .. import measured
from ..figure import Figure
from ..jets import TestSample
from ..robustness import TRANSFORMATIONS
from .parts import labels, look

__all__ = ["draw", "measure"]


def measure(
    figure: Figure, trained: Mapping[str, list[FinishedRun]], samples: Mapping[str, TestSample]
) -> dict[str, Any]:
    """The curves of the first training of each variant."""
    sample = next(iter(samples.values()))
    return {name: measured.robustness(runs[0], sample, figure.jets) for name, runs in trained.items()}


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Drawing:
    """Six panels for each of accuracy and AUC, a line for each variant."""
    metrics = ("accuracy", "auc")
    drawing = Drawing(layout="constrained", figsize=(12, 5.5 * len(metrics)))
    panels = drawing.subplots(2 * len(metrics), 3)
    for place, metric in enumerate(metrics):
        six = list(panels[2 * place : 2 * place + 2].flat)
        for axes, (name, (_, parameters, word)) in zip(six, TRANSFORMATIONS.items(), strict=True):
            for k, (variant, curves) in enumerate(figure["data"].items()):
                axes.plot(parameters, curves[name][metric], **look(k), markersize=4, label=labels(results)[variant])
            axes.set(xlabel=word, ylabel=metric_title(metric))
            axes.set_title(name, loc="left")
            axes.sharey(six[0])
    drawing.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return drawing
