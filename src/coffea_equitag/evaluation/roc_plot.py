"""Plot of background rejection against signal efficiency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ..array_types import I8
from .canvas import canvas, fit_title
from .intervals import inverse
from .plot_style import STYLE
from .separation import Rejection, Separation

__all__ = ["draw_roc"]

#: Points of a curve, more than can be told apart.
_POINTS = 2000


def draw_roc(
    curves: Mapping[str, Separation], *, efficiencies: Sequence[float] = (0.5, 0.3), title: str = ""
) -> Figure:
    """Background rejection 1/ε_B against signal efficiency ε_S, with bands of 68.27%.

    Parameters
    ----------
    curves : mapping of str to Separation
        By name, see `separate` and `Evaluation.separation`.
    efficiencies : sequence of float
        Where to mark the rejection of the first curve.
    title : str
        Above the plot, in letters small enough for it to fit.
    """
    tops = [100.0]
    with mpl.rc_context(STYLE):
        figure, axes = canvas(title)
        for name, found in curves.items():
            tops.append(_draw(axes, name, found))
        rejections = list(map(next(iter(curves.values())).rejection, efficiencies))
        for rejection in rejections:
            _mark(axes, rejection)
        diagonal = np.linspace(0.01, 1, 200)
        axes.plot(diagonal, 1 / diagonal, color="0.6", linestyle=":", label="chance")
        axes.set(
            xlabel=r"signal efficiency $\epsilon_S$",
            ylabel=r"background rejection $1/\epsilon_B$",
            xlim=(0, 1),
            yscale="log",
        )
        top = max([*tops, *(each.low for each in rejections)])
        # half of the axis above the curve is for the legend
        axes.set_ylim(1, top**1.5)
        axes.legend(loc="upper right")
    fit_title(figure)
    return figure


def _draw(axes: Any, name: str, found: Separation) -> float:
    """One curve with its band; the highest point of the band that is finite."""
    at = _thinned(found)
    fpr, tpr = found.background.efficiency[at], found.signal.efficiency[at]
    low, high = found.background.interval(at)
    kept = fpr > 0
    (line,) = axes.plot(tpr[kept], inverse(fpr[kept]), label=f"{name}, AUC = {found.auc:.4f}")
    axes.fill_between(
        tpr[kept], inverse(high[kept]), inverse(low[kept]), color=line.get_color(), alpha=0.25, linewidth=0
    )
    tops = inverse(low[kept])
    return float(max([1.0, *tops[np.isfinite(tops)]]))


def _thinned(found: Separation) -> I8:
    """All points of the curve, or enough of them, in steps of ε_S and of log ε_B."""
    number = len(found.cuts)
    if number <= _POINTS:
        return np.arange(number)
    fpr, tpr = (np.maximum.accumulate(each.efficiency) for each in (found.background, found.signal))
    steps = (
        np.searchsorted(tpr, np.linspace(0, 1, _POINTS // 2)),
        np.searchsorted(fpr, np.geomspace(max(float(fpr[fpr > 0][0]), 1e-12), 1, _POINTS // 2)),
    )
    return np.unique(np.minimum(np.concatenate([*steps, [0, number - 1]]), number - 1))


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
