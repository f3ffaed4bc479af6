"""Plots of what an evaluation measures: efficiencies, confusion, calibration, sculpting, differences."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.figure import Figure

from ..array_types import F8
from .binned_efficiency import BinnedEfficiency, Points
from .canvas import canvas, fit_title
from .confusion import Confusion
from .plot_style import COLORS, STYLE
from .reliability import CONFIDENCE, CalibrationCurve
from .robustness import Difference
from .sculpting import Sculpting
from .variables import LABELS

__all__ = ["calibration", "confusion", "differences", "efficiency", "sculpting"]


def efficiency(found: Sequence[BinnedEfficiency], *, names: Sequence[str] = (), title: str = "") -> Figure:
    """Efficiency of the signal (above) and mistag rates (below) against a variable, for one cut or several.

    Parameters
    ----------
    found : sequence of BinnedEfficiency
        Of the same variable and edges, one per cut.
    names : sequence of str
        Of the cuts; default: the cuts.
    title : str
        Above the plot.
    """
    first = found[0]
    names = names or [f"score ≥ {each.cut:.4g}" for each in found]
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained", figsize=(6.4, 6.4))
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.set_title(title, loc="left")
        for number, (name, each) in enumerate(zip(names, found, strict=True)):
            marker = _MARKERS[number % len(_MARKERS)]
            _points(upper, each.edges, each.classes[each.signal], _color(number), name, marker)
            others = [(key, points) for key, points in each.classes.items() if key != each.signal]
            for index, (key, points) in enumerate(others):
                several = len(others) > 1
                # colours are those of the cuts where there is one background, otherwise those of the classes
                color, label = (_color(index), f"{key}, {name}") if several else (_color(number), name)
                _points(lower, each.edges, points, color, label, marker, log=True)
        upper.set(ylim=(0, 1.35), ylabel=f"efficiency of {first.signal}")
        background = next((key for key in first.classes if key != first.signal), "")
        lower.set(
            yscale="log",
            ylabel=f"mistag rate of {background}" if len(first.classes) == 2 else "mistag rates",
            xlabel=LABELS.get(first.variable, first.variable),
            xlim=(first.edges[0], first.edges[-1]),
        )
        lower.set_ylim(_below(found), 1 if len(first.classes) == 2 else 10)
        if first.edges[0] > 0 and first.edges[-1] > 20 * first.edges[0]:
            lower.set_xscale("log")
        upper.legend(loc="upper right", fontsize=10, ncols=2)
        if len(first.classes) > 2:
            lower.legend(loc="upper right", fontsize=8, ncols=len(found))
        figure.align_ylabels()
    fit_title(figure)
    return figure


#: One for each cut.
_MARKERS = "os^vDP*X"


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]


def _below(found: Sequence[BinnedEfficiency]) -> float:
    """The end of the logarithmic axis: a little below the smallest rate."""
    rates = [points.value for each in found for key, points in each.classes.items() if key != each.signal]
    drawn = np.concatenate([np.zeros(0), *rates])
    drawn = drawn[drawn > 0]
    return float(max(drawn.min() / 4, 1e-7)) if len(drawn) else 1e-3


def _points(axes: Any, edges: F8, points: Points, color: str, label: str, marker: str, *, log: bool = False) -> None:
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    drawn = np.isfinite(points.value) & ((points.value > 0) | (not log))
    errors = np.array([points.value - points.low, points.high - points.value])[:, drawn]
    axes.errorbar(
        middle[drawn],
        points.value[drawn],
        xerr=half[drawn],
        yerr=np.maximum(errors, 0),
        fmt=marker,
        markersize=4,
        color=color,
        linewidth=1.2,
        label=label,
    )


def confusion(found: Confusion, *, title: str = "") -> Figure:
    """Which class jets of each class are taken for, in percent of the true class."""
    value = found.rates[0]
    size = len(found.classes)
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained", figsize=(max(4.6, 1.2 + 0.95 * size), max(4.2, 0.8 + 0.9 * size)))
        axes = figure.add_subplot()
        image = axes.imshow(100 * value, vmin=0, vmax=100, cmap="Blues")
        for (row, column), share in np.ndenumerate(value):
            if not math.isnan(share):
                ink = "white" if share > 0.6 else "black"
                axes.text(column, row, f"{100 * share:.3g}%", ha="center", va="center", color=ink, fontsize=12)
        axes.set_xticks(range(size), found.classes, rotation=0 if size < 4 else 45)
        axes.set_yticks(range(size), found.classes)
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        axes.set(xlabel="most probable class", ylabel="true class")
        axes.set_title(title, loc="left")
        figure.colorbar(image, ax=axes, label="share of the true class [%]", shrink=0.85)
    return figure


def calibration(found: dict[str, CalibrationCurve], *, title: str = "") -> Figure:
    """How often jets are of a class, against its predicted probability; the number of jets below."""
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained", figsize=(6.4, 6.4))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.set_title(title, loc="left")
        upper.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="right probabilities")
        for number, (name, curve) in enumerate(found.items()):
            color = "black" if name == CONFIDENCE else _color(number)
            errors = np.maximum([curve.fraction - curve.low, curve.high - curve.fraction], 0)
            upper.errorbar(
                curve.probability,
                curve.fraction,
                yerr=errors,
                fmt="o-",
                markersize=4,
                color=color,
                linewidth=1.2,
                label=f"{name}, error {curve.error.value:.3f}",
            )
            lower.step(curve.probability, curve.weight / curve.weight.sum(), where="mid", color=color)
        upper.set(ylim=(0, 1.02), ylabel="share that is of the class")
        lower.set(xlim=(0, 1), xlabel="predicted probability", ylabel="jets", yscale="log")
        upper.legend(loc="best", fontsize=11 if len(found) < 6 else 8)
        figure.align_ylabels()
    fit_title(figure)
    return figure


def sculpting(found: Sequence[Sculpting], variable: str = "mass", *, title: str = "") -> Figure:
    """The background's distribution before and after cuts, each of area 1."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(title)
        first = found[0]
        widths = np.diff(first.edges)
        mplhep.histplot(
            first.before / widths,
            first.edges,
            yerr=first.before_error / widths,
            ax=axes,
            histtype="fill",
            color="0.85",
            label="before the cut",
            flow="none",
        )
        tops = [first.before / widths]
        for number, each in enumerate(found):
            if np.isnan(each.after).any():
                continue
            label = rf"$\epsilon_B$ = {100 * each.efficiency:g}%, JSD = {each.divergence.value:.3f}"
            mplhep.histplot(
                each.after / widths,
                each.edges,
                yerr=each.after_error / widths,
                ax=axes,
                color=_color(number),
                label=label,
                flow="none",
            )
            tops.append((each.after + each.after_error) / widths)
        axes.set(
            xlabel=LABELS.get(variable, variable),
            ylabel="background jets / area",
            xlim=(first.edges[0], first.edges[-1]),
            ylim=(0, 1.4 * float(np.max(tops))),
        )
        axes.legend(loc="upper right")
    fit_title(figure)
    return figure


def differences(found: Sequence[Difference], *, title: str = "") -> Figure:
    """Differences between two samples over their uncertainties; figures without either are left out."""
    rows = [each for each in found if math.isfinite(each.significance)][::-1]
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained", figsize=(7.6, 1.2 + 0.42 * max(len(rows), 1)))
        axes = figure.add_subplot()
        axes.axvspan(-1, 1, color="0.9")
        axes.axvline(0, color="0.5", linewidth=1)
        values = [math.copysign(each.significance, each.difference.value) for each in rows]
        axes.plot(values, range(len(rows)), "o", color=COLORS[0], markersize=6)
        axes.set_yticks(range(len(rows)), [_symbols(each.name) for each in rows], fontsize=10)
        axes.tick_params(axis="y", which="both", length=0)
        axes.minorticks_off()
        reach = max([3.0, *(abs(value) * 1.1 for value in values)])
        axes.set(xlim=(-reach, reach), ylim=(-0.7, max(len(rows), 1) - 0.3))
        axes.set_xlabel(r"difference / $\sigma$", fontsize=11)
        axes.set_title(title, loc="left")
    return figure


def _symbols(text: str) -> str:
    """With the index of an efficiency as one: ε_B."""
    return re.sub(r"ε_(\w)\b", r"$\\epsilon_\1$", text)
