"""Plots of the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plot_style import STYLE
from .deviation import Change
from .moves import SIX
from .robustness import Robustness
from .rounding import FACTOR
from .safety import Limit

__all__ = ["curve_figure", "limit_figure", "robustness_figure"]

#: Distinct for readers who see no red or green; the audited tagger's is the first.
_COLOURS = ("#1f5fa8", "#d95f02", "#4d4d4d", "#7b3294", "#1b9e77", "#a6761d")


def curve_figure(curves: Mapping[str, Sequence[Change]], label: str, *, against_gamma: bool) -> Figure:
    """Change of the scores against an angle or γ, one line per function; the first one's rounding as an area."""
    with matplotlib.style.context(STYLE):
        figure = Figure(layout="constrained")
        axes = figure.add_subplot()
        own = next(iter(curves.values()))
        for colour, (name, changes) in zip(_COLOURS, curves.items(), strict=False):
            x, y = [change.parameter for change in changes], _shown(changes, own)
            axes.plot(x, y, "o-", color=colour, label=name, markersize=4)
        _shade(axes, own)
        if against_gamma:
            axes.set_xscale("log")
            axes.set_xlabel(r"$\gamma$")
        else:
            axes.set_xlabel("Angle (rad)")
            axes.set_xticks(np.arange(5) * np.pi / 2, ["0", r"$\pi/2$", r"$\pi$", r"$3\pi/2$", r"$2\pi$"])
        _finish(axes, label, own)
    return figure


def limit_figure(limit: Limit, label: str, name: str) -> Figure:
    """Change of the scores against softness or angle."""
    with matplotlib.style.context(STYLE):
        figure = Figure(layout="constrained")
        axes = figure.add_subplot()
        x = np.array([change.parameter for change in limit.changes])
        y = _shown(limit.changes, limit.changes)
        axes.plot(x, y, "o-", color=_COLOURS[0], label=name, markersize=4)
        axes.plot(x, y[0] * x / x[0], ":", color="#4d4d4d", label="linear: analytic and safe")
        _shade(axes, limit.changes)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        _finish(axes, "", limit.changes)
    return figure


def robustness_figure(found: Mapping[str, Mapping[str, Robustness]], *, with_auc: bool) -> Figure:
    """Six panels: AUC against β or the angle, or without labels the change of the scores."""
    with matplotlib.style.context(STYLE | {"figure.figsize": (7.6, 9.0), "axes.labelsize": 12}):
        figure = Figure(layout="constrained")
        panels = figure.subplots(3, 2, sharey=True)
        for axes, (title, (_, parameters, what)) in zip(panels.flat, SIX.items(), strict=True):
            for colour, (name, of_function) in zip(_COLOURS, found.items(), strict=False):
                one = of_function[title]
                if with_auc:
                    y = np.array([[e.value, e.low, e.high] for e in one.aucs])
                    axes.plot(parameters, y[:, 0], "o-", color=colour, label=name, markersize=4)
                    axes.fill_between(parameters, y[:, 1], y[:, 2], color=colour, alpha=0.15, linewidth=0)
                else:
                    axes.plot(parameters, one.changes, "o-", color=colour, label=name, markersize=4)
            axes.set_title(title, loc="left")
            axes.set_xlabel("Angle (rad)" if what == "angle" else r"$\beta$")
        for row in panels:
            row[0].set_ylabel("AUC" if with_auc else "rms change / spread")
        panels[0, 0].legend(fontsize=9)
    return figure


def _bottom(changes: Sequence[Change]) -> float:
    """Lower end of the axis: two decades of the area are enough to see that a line lies in it."""
    return min(change.floor.largest for change in changes) / 10


def _shown(changes: Sequence[Change], own: Sequence[Change]) -> list[float]:
    """Root mean squares; those below the axis just above its lower end."""
    return [max(change.rms, 1.6 * _bottom(own)) for change in changes]


def _shade(axes: Axes, changes: Sequence[Change]) -> None:
    x = [change.parameter for change in changes]
    top = [FACTOR * change.floor.largest for change in changes]
    axes.fill_between(x, _bottom(changes), top, color="#9aa5b1", alpha=0.35, linewidth=0, label="rounding explains it")


def _finish(axes: Axes, title: str, changes: Sequence[Change]) -> None:
    axes.set_yscale("log")
    axes.set_ylim(_bottom(changes), None)
    axes.axhline(1.0, color="#9aa5b1", linewidth=1, linestyle="--")
    axes.set_ylabel("rms change of the score / spread")
    axes.set_title(title, loc="left")
    axes.legend(fontsize=9)
