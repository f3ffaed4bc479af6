"""Background rejection against signal efficiency, on the first sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from coffea_equitag.evaluation.canvas import canvas
from coffea_equitag.training.comparison import FinishedRun, chosen_metrics

from .. import measured
from ..figure import Figure
from ..jets import TestSample
from .parts import labels, legend, look, medians

__all__ = ["draw", "measure"]

#: Signal efficiencies in percent.
_PERCENT = range(5, 101, 5)


def measure(
    figure: Figure, trained: Mapping[str, list[FinishedRun]], samples: Mapping[str, TestSample]
) -> dict[str, Any]:
    """Rejections at each efficiency, medians over the trainings."""
    sample = next(iter(samples.values()))
    against = figure.metric.partition(":")[1:]
    names = [f"rejection_{percent}{''.join(against)}" for percent in _PERCENT]
    curves = {name: medians([_rejections(run, sample, names) for run in runs]) for name, runs in trained.items()}
    return {"percent": list(_PERCENT), "rejections": curves}


def _rejections(run: FinishedRun, sample: TestSample, names: list[str]) -> list[float]:
    scored, card = measured.scores(run, sample), measured.card(run)
    return chosen_metrics(scored, names, card["classes"], card["signal"])(scored.weights).tolist()


def draw(figure: dict[str, Any], results: dict[str, Any]) -> Drawing:
    """A curve for each variant."""
    drawing, axes = canvas("")
    named = labels(results)
    efficiencies = np.array(figure["data"]["percent"]) / 100
    for k, (name, values) in enumerate(figure["data"]["rejections"].items()):
        style = look(k)
        dashes = {"o": "-", "s": "--", "^": ":"}.get(style.pop("marker"), "-.")
        axes.plot(efficiencies, [np.nan if v is None else v for v in values], dashes, **style, label=named[name])
    axes.plot(efficiencies, 1 / efficiencies, color="0.6", linestyle=":", label="chance")
    axes.set(xlabel=r"signal efficiency $\epsilon_S$", ylabel=r"background rejection $1/\epsilon_B$", xlim=(0, 1))
    axes.set_yscale("log")
    legend(axes)
    return drawing
