"""Loss and accuracy by epoch, of the training and the validation jets."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator, NullLocator

from coffea_equitag.training.comparison import FinishedRun

from ..figure import Figure
from ..jets import TestSample
from .parts import labels, legend, look

__all__ = ["draw", "measure"]


def measure(
    figure: Figure, trained: Mapping[str, list[FinishedRun]], samples: Mapping[str, TestSample]
) -> dict[str, Any]:
    """The columns of the first training's ``metrics.csv``."""
    return {name: _columns(runs[0]) for name, runs in trained.items()}


def _columns(run: FinishedRun) -> dict[str, list[float]]:
    with open(run.path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = [name for name in rows[0] if name.removeprefix("train_") in ("loss", "accuracy")]
    return {name: [float(row[name]) for row in rows] for name in wanted}


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Drawing:
    """Training jets dashed, validation jets solid."""
    named, data = labels(results), figure["data"]
    shown = [name for name in ("loss", "accuracy") if any(name in columns for columns in data.values())]
    drawing = Drawing(layout="constrained", figsize=(5 * len(shown), 4.5))
    for axes, metric in zip(drawing.subplots(1, len(shown), squeeze=False).flat, shown, strict=True):
        for k, (name, columns) in enumerate(data.items()):
            for key, dashes in ((f"train_{metric}", "--"), (metric, "-")):
                values = columns.get(key, [])
                label = named[name] if key == metric and metric == shown[0] else None
                axes.plot(range(1, len(values) + 1), values, dashes, **look(k), markersize=4, label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_minor_locator(NullLocator())
    legend(drawing.axes[0])
    return drawing
