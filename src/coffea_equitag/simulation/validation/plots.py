"""Plots of a comparison: one panel per class with simulated and real jets, and their ratio.

Error bars and band are the statistical errors of each sample; the outermost bins include underflow and overflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mplhep
import numpy as np
from matplotlib.figure import Figure

from ...array_types import F8
from .comparison import Comparison
from .observables import OBSERVABLES, Observable
from .separation import Separation
from .spectra import SPECTRA

__all__ = ["figures"]


_SIMULATED = "tab:blue"


def figures(comparison: Comparison) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each observable, of each spectrum and of the networks' scores."""
    for name, observable in OBSERVABLES.items():
        yield name, _observable(comparison, name, observable)
    for name, kind in SPECTRA.items():
        figure, panels = _canvas(list(comparison.classes))
        for (upper, lower), found in zip(panels, comparison.classes.values(), strict=True):
            lower.set_xlabel(kind.axis)
            if name not in found.spectra:
                _nothing(upper, lower)
                continue
            spectrum = found.spectra[name]
            if kind.logarithmic:
                lower.set_xscale("log")
            _draw(
                upper,
                lower,
                spectrum.edges,
                (spectrum.simulated, spectrum.simulated_error),
                (spectrum.real, spectrum.real_error),
                ("simulated", "real"),
            )
            upper.set(ylabel=f"{kind.ordinate} and bin", yscale="log")
            upper.legend(title=f"p = {spectrum.p:.2g}", alignment="left")
        yield name, figure
    separated = {name: found for name, found in comparison.separation.items() if found is not None}
    if separated:
        yield "real_versus_simulated", _scores(separated)


def _observable(comparison: Comparison, name: str, observable: Observable) -> Figure:
    figure, panels = _canvas(list(comparison.classes))
    for (upper, lower), found in zip(panels, comparison.classes.values(), strict=True):
        lower.set_xlabel(observable.axis)
        simulated, real = (values[~np.isnan(values)] for values in (found.simulated[name], found.real[name]))
        if min(len(simulated), len(real)) == 0:
            _nothing(upper, lower)
            continue
        edges = _edges(np.concatenate([simulated, real]), observable.whole)
        numbers = found.observables[name]
        _draw(
            upper,
            lower,
            edges,
            _density(simulated, edges),
            _density(real, edges),
            (
                f"simulated: {numbers.mean_simulated:.3g} ± {numbers.mean_simulated_error:.2g}",
                f"real: {numbers.mean_real:.3g} ± {numbers.mean_real_error:.2g}",
            ),
        )
        upper.set_ylabel("jets (area 1)")
        _room(upper)
        upper.legend(title=f"KS p = {numbers.ks_p:.2g}", alignment="left")
    return figure


def _scores(separated: dict[str, Separation]) -> Figure:
    figure, panels = _canvas(list(separated))
    for (upper, lower), found in zip(panels, separated.values(), strict=True):
        edges = np.linspace(0, 1, 21)
        simulated, real = (_density(found.scores[found.simulated == kind], edges) for kind in (True, False))
        _draw(upper, lower, edges, simulated, real, ("simulated", "real"))
        upper.set_ylabel("jets (area 1)")
        _room(upper)
        upper.legend(title=f"AUC {found.auc:.3f} ± {found.error:.3f}", alignment="left")
        lower.set_xlabel("PFN score: simulated rather than real")
    return figure


def _draw(
    upper: Any, lower: Any, edges: F8, simulated: tuple[F8, F8], real: tuple[F8, F8], names: tuple[str, str]
) -> None:
    mplhep.histplot(simulated[0], edges, yerr=simulated[1], ax=upper, label=names[0], color=_SIMULATED)
    mplhep.histplot(
        real[0], edges, yerr=real[1], ax=upper, label=names[1], color="black", histtype="errorbar", markersize=5
    )
    # the band is the error of the real sample
    known = real[0] > 0
    below = np.where(known, real[0], 1.0)
    ratio, error = np.where(known, simulated[0] / below, np.nan), np.where(known, simulated[1] / below, np.nan)
    band = np.where(known, real[1] / below, np.nan)
    lower.stairs(1 + band, edges, baseline=1 - band, fill=True, color="0.85")
    centres = np.sqrt(edges[:-1] * edges[1:]) if lower.get_xscale() == "log" else (edges[:-1] + edges[1:]) / 2
    lower.errorbar(centres, ratio, yerr=error, fmt="o", markersize=4, color=_SIMULATED)
    lower.axhline(1, color="black", linewidth=0.8)
    lower.set(ylim=(0, 2), ylabel="sim. / real")
    upper.set_xlim(edges[0], edges[-1])


def _room(axes: Any) -> None:
    """Start the axis at 0, with space for the legend above."""
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])


def _edges(values: F8, whole: bool) -> F8:
    low, high = np.percentile(values, [0.5, 99.5])
    if whole:
        low, high = np.floor(low), np.ceil(high)
        step = max(int(np.ceil((high - low + 1) / 25)), 1)
        return np.arange(low - 0.5, high + step + 0.5, step)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, 26)


def _density(values: F8, edges: F8) -> tuple[F8, F8]:
    """Density of area 1 and its errors; underflow and overflow are in the outermost bins."""
    inside = np.clip(values, edges[0], np.nextafter(edges[-1], -np.inf))
    counts = np.histogram(inside, edges)[0]
    area = max(len(values), 1) * np.diff(edges)
    return counts / area, np.sqrt(counts) / area


def _canvas(titles: list[str]) -> tuple[Figure, list[tuple[Any, Any]]]:
    figure = Figure(figsize=(5.2 * len(titles), 5.0))
    # margins by hand: a layout engine takes as long as the drawing itself
    figure.subplots_adjust(left=0.75 / 5.2 / len(titles), right=1 - 0.1 / 5.2 / len(titles), bottom=0.1, top=0.94)
    figure.subplots_adjust(wspace=0.2, hspace=0.06)
    grid = figure.subplots(2, len(titles), squeeze=False, sharex="col", gridspec_kw={"height_ratios": (3, 1)})
    for column, title in enumerate(titles):
        grid[0, column].set_title(title, loc="left")
        for axes in grid[:, column]:
            axes.tick_params(which="both", direction="in", top=True, right=True)
    return figure, [(grid[0, column], grid[1, column]) for column in range(len(titles))]


def _nothing(upper: Any, lower: Any) -> None:
    upper.text(0.5, 0.5, "no values", transform=upper.transAxes, ha="center")
    lower.set_ylabel("sim. / real")
