"""Plots of the resolution of four-momenta, beside that of the jets themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from .plot_style import STYLE
from .resolution import ResponseBin, responses

__all__ = ["draw_response", "draw_response_by_pt"]

_LABELS = {"mass": r"$m / m_\mathrm{true}$", "pt": r"$p_T / p_{T,\mathrm{true}}$", "angle": "angle to the truth (rad)"}

#: Bins of a distribution; it shows the central 98% of all that is drawn.
_BINS, _SHOWN = 50, (0.01, 0.99)


def draw_response(momenta: Mapping[str, Any], truth: Any, quantity: str, *, weights: Any = None) -> Figure:
    """Distributions of m/m_true, pT/pT_true or of the angle, each of area 1.

    Parameters
    ----------
    momenta : mapping of str to array
        Name in the legend -> four-momenta, as in `momentum_resolution`.
    truth, weights
        As there.
    quantity : {"mass", "pt", "angle"}
        What to draw.
    """
    found = {name: responses(given, truth, weights)[quantity] for name, given in momenta.items()}
    every = np.concatenate([values for values, _ in found.values()])
    low, high = np.quantile(every, _SHOWN) if len(every) else (0.0, 1.0)
    edges = np.linspace(0.0 if quantity == "angle" else low, max(high, low + 1e-9), _BINS + 1)
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        axes = figure.add_subplot()
        for (name, (values, weight)), style in zip(found.items(), ("-", "--", ":", "-."), strict=False):
            heights, _ = np.histogram(values, edges, weights=weight)
            area = max(float(weight.sum()), 1e-300) * np.diff(edges)
            axes.stairs(heights / area, edges, label=name, linestyle=style, linewidth=1.5)
        if quantity != "angle":
            axes.axvline(1, color="0.6", linewidth=1)
        axes.set(xlabel=_LABELS[quantity], ylabel="jets / area", xlim=(edges[0], edges[-1]))
        axes.set_ylim(0, axes.get_ylim()[1] * 1.2)
        axes.legend(loc="upper right")
    return figure


def draw_response_by_pt(bins: Mapping[str, Sequence[ResponseBin]], quantity: str) -> Figure:
    """Median (above) and width (below) in bins of the true pT, with their intervals.

    Parameters
    ----------
    bins : mapping of str to sequence of ResponseBin
        Name in the legend -> what `response` returns.
    quantity : {"mass", "pt", "angle"}
        What to draw.
    """
    places = [one.pt for found in bins.values() for one in found]
    apart = 0.005 * (max(places, default=0.0) - min(places, default=0.0))
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        medians, widths = figure.subplots(2, 1, sharex=True)
        for shift, ((name, found), marker) in enumerate(zip(bins.items(), "osD^", strict=False)):
            spreads = [one.resolution.spreads[quantity] for one in found]
            # points of one bin stand beside each other
            centres = np.array([one.pt for one in found]) + (2 * shift - 1) * apart
            for axes, estimates in ((medians, [s.median for s in spreads]), (widths, [s.width for s in spreads])):
                values = np.array([one.value for one in estimates])
                errors = np.abs(
                    [[one.value - one.low for one in estimates], [one.high - one.value for one in estimates]]
                )
                axes.errorbar(centres, values, yerr=errors, fmt=marker, markersize=4, label=name)
        if quantity != "angle":
            medians.axhline(1, color="0.6", linewidth=1)
        medians.set_ylabel("median")
        widths.set(ylabel="width", xlabel=r"true $p_T$ (GeV)")
        widths.set_ylim(0, widths.get_ylim()[1] * 1.1)
        medians.set_title(_LABELS[quantity], loc="left")
        medians.legend(loc="best")
    return figure
