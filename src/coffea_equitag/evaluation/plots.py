"""Plots of scores on labelled jets, with matplotlib and mplhep; pyplot, with its state, is not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .comparison_plot import data_simulation, draw_comparison
from .evaluation_plots import calibration, confusion, differences, efficiency, sculpting
from .labelled_scores import labelled_scores
from .metrics import separate
from .plot_style import STYLE
from .roc_plot import draw_roc
from .score_plot import draw_scores

__all__ = [
    "STYLE",
    "calibration",
    "confusion",
    "data_simulation",
    "differences",
    "draw_comparison",
    "draw_roc",
    "draw_scores",
    "efficiency",
    "roc_curve",
    "score_by_class",
    "sculpting",
]


def score_by_class(
    scores: Any,
    labels: Any,
    *,
    weights: Any = None,
    classes: Sequence[str] = ("background", "signal"),
    signal: int | str | None = None,
    bins: int = 40,
    title: str = "",
) -> Figure:
    """Distribution of the score, one histogram per class, each of area 1, with Clopper–Pearson intervals (68.27%).

    Parameters
    ----------
    scores, labels, weights, signal
        As `coffea_equitag.evaluation.measure`.
    classes : sequence of str
        Names of the classes, by label.
    bins : int
        Bins between 0 and 1.
    title : str
        Above the plot, in letters small enough for it to fit: the tagger, the sample, its pT.
    """
    given = labelled_scores(scores, labels, signal)
    weight = given.weights(weights)
    rows = given.labels, given.scores, np.ones(len(weight), np.int64), weight, weight**2
    return draw_scores(*rows, classes=classes, bins=bins, title=title)


def roc_curve(
    scores: Any,
    labels: Any,
    *,
    weights: Any = None,
    signal: int | str | None = None,
    efficiencies: Sequence[float] = (0.5, 0.3),
    name: str = "",
    title: str = "",
) -> Figure:
    """Background rejection 1/ε_B against signal efficiency ε_S, with the rejections at `efficiencies` marked.

    The band is the Clopper–Pearson interval (68.27%) of the number of background jets kept. Where none is, only its
    lower edge is finite, and the curve ends.

    Parameters
    ----------
    scores, labels, weights, signal, efficiencies
        As `coffea_equitag.evaluation.measure`.
    name : str
        Name of the curve in the legend.
    title : str
        Above the plot, in letters small enough for it to fit: the tagger, the sample, its pT.
    """
    found = separate(scores, labels, weights=weights, signal=signal)
    return draw_roc({name or "tagger": found}, efficiencies=efficiencies, title=title)
