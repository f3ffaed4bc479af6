"""Plot of a score's distribution, class by class."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.figure import Figure

from ..array_types import F8, I8
from .canvas import canvas, fit_title
from .counts import weight_sums
from .plot_style import STYLE
from .weighted_efficiency import effective_interval

__all__ = ["draw_scores"]


def draw_scores(
    of_class: I8,
    score: F8,
    number: I8,
    weight: F8,
    squared: F8,
    *,
    classes: Sequence[str],
    bins: int = 40,
    title: str = "",
) -> Figure:
    """Histograms of a score, one per class that has jets, each of area 1, with Clopper–Pearson intervals (68.27%).

    Parameters
    ----------
    of_class, score, number, weight, squared : ndarray, shape (R,)
        Class and score of rows of jets, how many they are, and the sums of their weights and of the squares of these.
    classes : sequence of str
        Names of the classes, by number.
    bins : int
        Bins between 0 and 1.
    title : str
        Above the plot.
    """
    edges = np.linspace(0, 1, bins + 1)
    # the last bin holds 1 too, and scores beyond 0 and 1 are not drawn
    at = np.where(score == 1, bins - 1, np.searchsorted(edges, score, side="right") - 1)
    inside = (score >= 0) & (score <= 1)
    heights = []
    with mpl.rc_context(STYLE):
        figure, axes = canvas(title)
        for label, name in enumerate(classes):
            rows = inside & (of_class == label)
            sums, squares = (weight_sums(at[rows], each[rows], bins) for each in (weight, squared))
            if not sums.sum() > 0:
                continue
            low, high = effective_interval(sums, squares, float(sums.sum()), float(squares.sum()))
            share = sums / sums.sum()
            errors = bins * np.where(sums > 0, [np.maximum(share - low, 0), np.maximum(high - share, 0)], 0.0)
            label_text = f"{name} ({number[rows].sum()} jets)"
            mplhep.histplot(bins * share, edges, yerr=errors, ax=axes, label=label_text, flow="none")
            heights.append(bins * share)
        drawn = np.concatenate(heights)
        drawn = drawn[drawn > 0]
        # a third of the axis above the histograms is for the legend
        bottom, top = drawn.min() / 3, drawn.max() * 2
        axes.set(xlabel="score", ylabel="jets / area", xlim=(0, 1), yscale="log")
        axes.set_ylim(bottom, top * (top / bottom) ** 0.4)
        axes.legend(loc="upper center")
    fit_title(figure)
    return figure
