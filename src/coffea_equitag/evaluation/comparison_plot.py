"""Plot of data against simulation: stacked processes, a band of uncertainty, and their ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hist
import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.figure import Figure

from ..array_types import F8
from .comparison import Comparison, Datasets, compare
from .plot_style import STYLE

__all__ = ["data_simulation", "draw_comparison"]

_BAND = {"facecolor": "none", "edgecolor": "0.35", "hatch": "/////", "linewidth": 0.0}


def data_simulation(
    histogram: hist.Hist,
    data: Datasets,
    simulation: Mapping[str, Datasets],
    *,
    scale: Mapping[str, float] | None = None,
    systematics: bool = True,
    normalise: bool = False,
    overlay: Mapping[str, Datasets] | None = None,
    log: bool = False,
    title: str = "",
    **select: str,
) -> Figure:
    """Compare data and simulation in a histogram of `TaggerProcessor` or `input_histograms`, with their ratio below.

    Parameters
    ----------
    histogram, data, simulation, scale, systematics, normalise, **select
        As `coffea_equitag.evaluation.compare`.
    overlay : mapping of str to (str or sequence of str), optional
        Processes drawn as lines over the stack and not part of it, such as a signal.
    log : bool
        Logarithmic axis of counts.
    title : str
        Above the plot, on its left.

    Returns
    -------
    Figure
        The hatched band is the simulation's uncertainty (statistics, and systematic variations if any), and the bars of
        the data are intervals of 68.27%.
    """
    options: dict[str, Any] = {"scale": scale, "systematics": systematics, "normalise": normalise, **select}
    found = compare(histogram, data, simulation, **options)
    lines = {}
    for name, datasets in (overlay or {}).items():
        lines[name] = compare(histogram, data, {name: datasets}, **options | {"normalise": False}).total
    return draw_comparison(found, lines=lines, log=log, title=title)


def draw_comparison(
    found: Comparison, *, lines: Mapping[str, F8] | None = None, log: bool = False, title: str = "", ylabel: str = ""
) -> Figure:
    """Draw a comparison that was made elsewhere, for instance from a fit.

    Parameters
    ----------
    found : Comparison
    lines : mapping of str to ndarray, shape (K,), optional
        Drawn over the stack.
    log, title
        As `data_simulation`.
    ylabel : str
        Default: "Jets / bin".
    """
    edges = np.asarray(found.axis.edges, np.float64)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 6.4), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw_stack(upper, found, edges, lines or {})
        _draw_ratio(lower, found, edges)
        upper.set_title(title, loc="left")
        upper.set_ylabel(ylabel or "Jets / bin")
        _set_range(upper, found, lines or {}, log)
        lower.set(xlabel=found.axis.label or found.axis.name, ylabel="Data / sim.", xlim=(edges[0], edges[-1]))
        lower.set_ylim(0, 2)
        figure.align_ylabels()
    return figure


def _draw_stack(axes: Any, found: Comparison, edges: F8, lines: Mapping[str, F8]) -> None:
    # the smallest process at the bottom
    order = sorted(found.processes, key=lambda name: float(found.processes[name].sum()))
    if order:
        mplhep.histplot(
            [found.processes[name] for name in order], edges, stack=True, histtype="fill", label=order, ax=axes,
            yerr=False, flow="none",
        )  # fmt: skip
    for name, values in lines.items():
        mplhep.histplot(values, edges, label=name, ax=axes, yerr=False, flow="none", linestyle="--", color="black")
    axes.fill_between(edges, *_steps(found.low, found.high), step="post", label="uncertainty", **_BAND)
    _draw_points(axes, edges, found.data, found.data_low, found.data_high)
    axes.legend(ncols=2)


def _draw_ratio(axes: Any, found: Comparison, edges: F8) -> None:
    total = found.total

    def ratio(values: F8) -> F8:
        found: F8 = np.divide(values, total, out=np.full(len(total), np.nan), where=total > 0)
        return found

    axes.fill_between(edges, *_steps(ratio(found.low), ratio(found.high)), step="post", **_BAND)
    axes.axhline(1, color="0.5", linewidth=1)
    _draw_points(axes, edges, ratio(found.data), ratio(found.data_low), ratio(found.data_high))


def _draw_points(axes: Any, edges: F8, values: F8, low: F8, high: F8) -> None:
    axes.errorbar(
        (edges[:-1] + edges[1:]) / 2,
        values,
        yerr=[values - low, high - values],
        fmt="o",
        color="black",
        markersize=3.5,
        linewidth=1.2,
        label="data",
    )


def _steps(*values: F8) -> list[F8]:
    """One value more, for the right edge of the last bin."""
    return [np.append(each, each[-1:]) for each in values]


def _set_range(axes: Any, found: Comparison, lines: Mapping[str, F8], log: bool) -> None:
    """Leave the top of the axis to the legend."""
    drawn = np.concatenate([found.data_high, found.high, *lines.values()])
    top = max(float(drawn.max()), 1e-9)
    if not log:
        axes.set_ylim(0, 1.5 * top)
        return
    heights = np.concatenate([found.data, found.total])
    smallest = heights[heights > 0]
    bottom = float(smallest.min()) / 3 if len(smallest) else top / 10
    axes.set_yscale("log")
    axes.set_ylim(bottom, top * (top / bottom) ** 0.5)
