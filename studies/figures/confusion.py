"""Which class the jets of each class are taken for, on the first sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from coffea_equitag.evaluation import Confusion
from coffea_equitag.training.comparison import FinishedRun

from .. import measured
from ..figure import Figure
from ..jets import TestSample
from .parts import labels

__all__ = ["draw", "measure"]


def measure(
    figure: Figure, trained: Mapping[str, list[FinishedRun]], samples: Mapping[str, TestSample]
) -> dict[str, Any]:
    """Shares of each class's jets, medians over the trainings."""
    sample = next(iter(samples.values()))
    classes = measured.card(next(iter(trained.values()))[0])["classes"]
    rates = {
        name: np.median([_rates(run, sample, classes) for run in runs], axis=0).tolist()
        for name, runs in trained.items()
    }
    return {"classes": classes, "rates": rates}


def _rates(run: FinishedRun, sample: TestSample, classes: list[str]) -> Any:
    scored = measured.scores(run, sample)
    taken = scored.scores.argmax(axis=1).astype(np.int64)
    return Confusion.of(tuple(classes), scored.truth.astype(np.int64), taken, scored.weights).rates[0]


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Drawing:
    """A matrix for each variant: true classes in rows, the most probable ones in columns."""
    classes, rates = figure["data"]["classes"], figure["data"]["rates"]
    across = min(len(rates), 4)
    down = -(-len(rates) // across)
    drawing = Drawing(layout="constrained", figsize=(1 + 2.7 * across, 1 + 2.7 * down))
    for axes, (name, matrix) in zip(drawing.subplots(down, across, squeeze=False).flat, rates.items(), strict=False):
        axes.imshow(matrix, vmin=0, vmax=1, cmap="Blues")
        for row, column in np.ndindex(len(classes), len(classes)):
            share = matrix[row][column]
            axes.text(column, row, f"{share:.3f}", ha="center", va="center", color="w" if share > 0.5 else "k")
        axes.set_title(labels(results)[name], pad=8)
        axes.set(xticks=range(len(classes)), yticks=range(len(classes)), xticklabels=classes, yticklabels=classes)
        axes.tick_params(which="both", length=0, labelsize="small")
        axes.minorticks_off()
    for axes in list(drawing.axes)[len(rates) :]:
        axes.set_visible(False)
    drawing.supxlabel("most probable class")
    drawing.supylabel("true class")
    return drawing
