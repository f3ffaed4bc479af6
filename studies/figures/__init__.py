"""The figures of studies, one per module: ``draw`` draws it, ``measure`` finds what the tables do not have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Drawing

from coffea_equitag.evaluation.plot_style import STYLE
from coffea_equitag.training.comparison import FinishedRun

from ..figure import Figure
from ..jets import TestSample
from ..study import Study
from . import confusion, cost, invariance, learning, robustness, roc, size, training

__all__ = ["draw_figure", "measure_figure"]

_MODULES: dict[str, Any] = {
    "cost": cost,
    "learning": learning,
    "size": size,
    "roc": roc,
    "confusion": confusion,
    "training": training,
    "robustness": robustness,
    "invariance": invariance,
}


def measure_figure(
    study: Study,
    figure: Figure,
    trained: Mapping[str, list[FinishedRun]],
    samples: Mapping[str, TestSample],
    known: Collection[str],
) -> dict[str, Any]:
    """The options of a figure of these entries, and what is drawn of the trained ones beside the tables' numbers."""
    whole = [entry.name for entry in study.entries() if entry.is_whole]
    names = [name for name in figure.names or whole if name in known]
    found = figure.model_dump() | {"metric": figure.metric or study.metrics[-1], "names": names}
    measure = getattr(_MODULES[figure.name], "measure", None)
    return found | (
        {} if measure is None else {"data": measure(figure, {n: trained[n] for n in names if n in trained}, samples)}
    )


def draw_figure(figure: dict[str, Any], results: dict[str, Any]) -> Drawing:
    """Draw one of the figures of the results."""
    with mpl.rc_context(STYLE):
        drawing: Drawing = _MODULES[figure["name"]].draw(figure, results)
        return drawing
