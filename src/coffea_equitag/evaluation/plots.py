"""Plots of scores: by class, and the ROC curve. Figures are returned, never shown; pyplot is not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mplhep
import numpy as np
from matplotlib.figure import Figure

from .metrics import labelled_scores, measure, roc

__all__ = ["roc_curve", "score_by_class"]


def score_by_class(
    scores: Any,
    labels: Any,
    *,
    classes: Sequence[str] = ("background", "signal"),
    signal: int | str | None = None,
    bins: int = 40,
    title: str = "",
) -> Figure:
    """Distribution of the score, one histogram per class, each of area 1.

    Parameters
    ----------
    scores, labels, signal
        As `coffea_equitag.evaluation.measure`.
    classes : sequence of str
        Names of the classes, by label.
    bins : int
        Bins between 0 and 1.
    title : str
        Title above the plot.
    """
    given = labelled_scores(scores, labels, signal)
    figure, axes = _canvas(title)
    edges = np.linspace(0, 1, bins + 1)
    for label, name in enumerate(classes):
        counts, _ = np.histogram(given.scores[given.labels == label], bins=edges)
        area = max(counts.sum(), 1) / bins
        mplhep.histplot(
            counts / area, edges, yerr=np.sqrt(counts) / area, ax=axes, label=f"{name} ({counts.sum()} jets)"
        )
    axes.set(xlabel="score", ylabel="jets (area 1)", xlim=(0, 1), yscale="log")
    axes.legend()
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

    Parameters
    ----------
    scores, labels, signal, efficiencies
        As `coffea_equitag.evaluation.measure`.
    name : str
        Name of the curve in the legend.
    title : str
        Title above the plot.
    """
    fpr, tpr, _ = roc(scores, labels, signal=signal)
    metrics = measure(scores, labels, signal=signal, efficiencies=efficiencies)
    figure, axes = _canvas(title)
    kept = fpr > 0
    axes.plot(tpr[kept], 1 / fpr[kept], label=f"{name or 'tagger'}, AUC = {metrics.auc:.4f}")
    for rejection in metrics.rejections:
        if rejection.passed == 0:
            continue
        axes.errorbar(
            rejection.efficiency,
            rejection.value,
            # an error bar that reaches 0 cannot be drawn on a logarithmic axis
            yerr=[[min(rejection.uncertainty, 0.99 * rejection.value)], [rejection.uncertainty]],
            fmt="o",
            capsize=3,
            label=rf"$1/\epsilon_B$ = {rejection.value:.0f} ± {rejection.uncertainty:.0f} "
            rf"at $\epsilon_S$ = {100 * rejection.efficiency:g}%",
        )
    diagonal = np.linspace(0.01, 1, 200)
    axes.plot(diagonal, 1 / diagonal, color="0.6", linestyle=":", label="chance")
    axes.set(
        xlabel=r"signal efficiency $\epsilon_S$",
        ylabel=r"background rejection $1/\epsilon_B$",
        xlim=(0, 1),
        yscale="log",
    )
    axes.legend()
    return figure


def _canvas(title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(which="both", direction="in", top=True, right=True)
    axes.set_title(title, loc="left")
    return figure, axes
