"""Plots of scores on labelled jets, with matplotlib and mplhep; pyplot, with its state, is not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .comparison_plot import data_simulation, draw_comparison
from .intervals import binomial_interval, inverse
from .labelled_scores import labelled_scores
from .metrics import Rejection, measure, roc, roc_band
from .plot_style import STYLE

__all__ = ["STYLE", "data_simulation", "draw_comparison", "roc_curve", "score_by_class"]


def score_by_class(
    scores: Any,
    labels: Any,
    *,
    classes: Sequence[str] = ("background", "signal"),
    signal: int | str | None = None,
    bins: int = 40,
    title: str = "",
) -> Figure:
    """Distribution of the score, one histogram per class, each of area 1, with Clopper–Pearson intervals (68.27%).

    Parameters
    ----------
    scores, labels, signal
        As `coffea_equitag.evaluation.measure`.
    classes : sequence of str
        Names of the classes, by label.
    bins : int
        Bins between 0 and 1.
    title : str
        Above the plot, in letters small enough for it to fit: the tagger, the sample, its pT.
    """
    given = labelled_scores(scores, labels, signal)
    edges = np.linspace(0, 1, bins + 1)
    heights = []
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(title)
        for label, name in enumerate(classes):
            counts, _ = np.histogram(given.scores[given.labels == label], bins=edges)
            number = max(int(counts.sum()), 1)
            low, high = binomial_interval(counts, number)
            height = counts / number
            errors = bins * np.where(counts > 0, [height - low, high - height], 0.0)
            mplhep.histplot(
                bins * height, edges, yerr=errors, ax=axes, label=f"{name} ({counts.sum()} jets)", flow="none"
            )
            heights.append(bins * height)
        drawn = np.concatenate(heights)
        drawn = drawn[drawn > 0]
        # a third of the axis above the histograms is for the legend
        bottom, top = drawn.min() / 3, drawn.max() * 2
        axes.set(xlabel="score", ylabel="jets / area", xlim=(0, 1), yscale="log")
        axes.set_ylim(bottom, top * (top / bottom) ** 0.4)
        axes.legend(loc="upper center")
    _fit_title(figure)
    return figure


def roc_curve(
    scores: Any,
    labels: Any,
    *,
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
    scores, labels, signal, efficiencies
        As `coffea_equitag.evaluation.measure`.
    name : str
        Name of the curve in the legend.
    title : str
        Above the plot, in letters small enough for it to fit: the tagger, the sample, its pT.
    """
    fpr, tpr, _ = roc(scores, labels, signal=signal)
    metrics = measure(scores, labels, signal=signal, efficiencies=efficiencies)
    low, high = roc_band(fpr, metrics.num_background)
    kept = fpr > 0
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(title)
        (line,) = axes.plot(tpr[kept], inverse(fpr[kept]), label=f"{name or 'tagger'}, AUC = {metrics.auc:.4f}")
        axes.fill_between(
            tpr[kept], inverse(high[kept]), inverse(low[kept]), color=line.get_color(), alpha=0.25, linewidth=0
        )
        for rejection in metrics.rejections:
            _mark(axes, rejection)
        diagonal = np.linspace(0.01, 1, 200)
        axes.plot(diagonal, 1 / diagonal, color="0.6", linestyle=":", label="chance")
        axes.set(
            xlabel=r"signal efficiency $\epsilon_S$",
            ylabel=r"background rejection $1/\epsilon_B$",
            xlim=(0, 1),
            yscale="log",
        )
        top = max([100.0, *(r.low for r in metrics.rejections), *inverse(low[kept])])
        # half of the axis above the curve is for the legend
        axes.set_ylim(1, top**1.5)
        axes.legend(loc="upper right")
    _fit_title(figure)
    return figure


def _mark(axes: Any, rejection: Rejection) -> None:
    """One rejection: a point with its interval, or an arrow upwards from where no background jet is kept."""
    where = rf"at $\epsilon_S$ = {100 * rejection.efficiency:g}%"
    if rejection.passed == 0:
        axes.errorbar(
            rejection.efficiency,
            rejection.low,
            yerr=rejection.low,
            lolims=True,
            fmt="_",
            label=rf"$1/\epsilon_B$ > {rejection.low:.0f} {where}",
        )
        return
    below, above = rejection.value - rejection.low, rejection.high - rejection.value
    axes.errorbar(
        rejection.efficiency,
        rejection.value,
        yerr=[[below], [above]],
        fmt="o",
        capsize=3,
        label=rf"$1/\epsilon_B$ = ${rejection.value:.0f}^{{+{above:.0f}}}_{{-{below:.0f}}}$ {where}",
    )


def _canvas(title: str) -> tuple[Figure, Any]:
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.yaxis.set_minor_formatter(NullFormatter())
    return figure, axes


def _fit_title(figure: Figure) -> None:
    """Make the letters of the title smaller where it is wider than the plot."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    text = axes.get_title(loc="left")
    title = axes.set_title(text, loc="left")
    width, room = title.get_window_extent().width, axes.bbox.width
    if width > room:
        title.set_fontsize(float(title.get_fontsize()) * room / width)
