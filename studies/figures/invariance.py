"""Changes of the score when jets are rotated and boosted, on the first sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure as Drawing

from coffea_equitag.training.comparison import FinishedRun

from .. import measured
from ..figure import Figure
from ..jets import TestSample
from .parts import labels, look

__all__ = ["LEAST", "draw", "measure"]

#: Where changes are drawn that are smaller, or none at all.
LEAST = 1e-9


def measure(
    figure: Figure, trained: Mapping[str, list[FinishedRun]], samples: Mapping[str, TestSample]
) -> dict[str, Any]:
    """The curves of the first training of each variant."""
    sample = next(iter(samples.values()))
    return {name: measured.invariance(runs[0], sample) for name, runs in trained.items()}


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Drawing:
    """A panel for each kind of rotation and boost, a line for each variant."""
    drawing = Drawing(layout="constrained", figsize=(12, 7))
    panels = list(drawing.subplots(2, 3, sharey=True).flat)
    for k, (variant, curves) in enumerate(figure["data"].items()):
        for axes, (name, curve) in zip(panels, curves.items(), strict=True):
            heights = [max(value, LEAST) for value in curve["rms"]]
            axes.plot(curve["parameters"], heights, **look(k), markersize=4, label=labels(results)[variant])
            axes.set_title(name, loc="left")
            axes.set(xlabel="γ" if "boost" in name else "angle (rad)", xscale="log" if "boost" in name else "linear")
            axes.set_yscale("log")
    drawing.supylabel("change of the score / its spread over jets")
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return drawing
