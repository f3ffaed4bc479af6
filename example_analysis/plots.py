"""Figures: inputs and scores, the transfer factor, and the signal region before and after the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cabinetry
import hist
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from coffea_equitag.evaluation import Comparison, plots, poisson_interval

from .background import Estimate
from .selection import COLLECTION, MASS_AXIS
from .templates import counts

SIMULATION = {"QCD": "qcd", r"$t\bar{t}$": "ttbar"}

SIGNAL = r"$Z'$"


def monitoring(output: dict[str, Any], folder: Path, title: str) -> None:
    """Score, mass, pT and inputs of the two leading jets, data against simulation."""
    scores = output["scores"][COLLECTION]["score"][{"score": hist.rebin(4)}]
    jets = output["jets"][COLLECTION]
    # the shape alone: the cross-section of QCD is only of leading order
    shape = {"normalise": True, "overlay": {SIGNAL: "zprime"}, "title": title}
    for name, histogram in {"score": scores, "jet_mass": jets["mass"], "jet_pt": jets["pt"]}.items():
        figure = plots.data_simulation(histogram, "data", SIMULATION, log=name != "jet_mass", **shape)
        _save(figure, folder / f"{name}.png")
    for name, histogram in output["inputs"].items():
        figure = plots.data_simulation(histogram, "data", SIMULATION, normalise=True, title=title)
        _save(figure, folder / f"input_{name}.png")


def transfer_factor(histogram: hist.Hist, found: Estimate, folder: Path, title: str) -> None:
    """Mis-tag rate of the second jet where the leading jet fails, with the fit and its uncertainty."""
    passed, failed, tops = (
        counts(histogram, dataset, region)[0] for dataset, region in (("data", "FP"), ("data", "FF"), ("ttbar", "FP"))
    )
    mass, factor = np.linspace(MASS_AXIS.edges[0], MASS_AXIS.edges[-1], 100), found.transfer_factor
    spread = np.sqrt(sum(((up - down) / 2) ** 2 for up, down in factor.variations(mass)))
    low, high = poisson_interval(passed)
    # bins without events in FF have no ratio
    below = np.where(failed > 0, failed, np.nan)
    with mpl.rc_context(plots.STYLE):
        figure = Figure(layout="constrained")
        axes = figure.add_subplot()
        ratio = (passed - tops) / below
        axes.errorbar(
            MASS_AXIS.centers, ratio, yerr=[(passed - low) / below, (high - passed) / below], fmt="ko", label="data"
        )
        axes.plot(mass, factor(mass), label=f"polynomial of order {factor.order}")
        axes.fill_between(mass, factor(mass) - spread, factor(mass) + spread, alpha=0.3)
        axes.set(xlabel=MASS_AXIS.label, ylabel="R = FP / FF", xlim=MASS_AXIS.edges[[0, -1]], ylim=(0, None))
        axes.set_title(title, loc="left")
        axes.legend()
    _save(figure, folder / "transfer_factor.png")


def signal_region(model: Any, data: np.ndarray, folder: Path, title: str, fit_results: Any = None) -> None:
    """Dijet mass with all processes, before the fit (without signal) or after it."""
    prediction = cabinetry.model_utils.prediction(model, fit_results=fit_results)
    (yields,), (spread,) = prediction.model_yields, prediction.total_stdev_model_bins
    processes = dict(zip(model.config.samples, np.asarray(yields), strict=True))
    # of each sample, then of their sum; before the fit the signal is not part of the sum
    *each, total_spread = np.asarray(spread)
    backgrounds = [one for name, one in zip(model.config.samples, each, strict=True) if name != "signal"]
    spread = np.sqrt(np.square(backgrounds).sum(axis=0)) if fit_results is None else total_spread
    signal = processes.pop("signal")
    drawn = {"QCD (from data)": processes["qcd"], r"$t\bar{t}$": processes["ttbar"]}
    if fit_results is not None:
        drawn[SIGNAL] = signal
    total = np.sum(list(drawn.values()), axis=0)
    low, high = poisson_interval(data)
    found = Comparison(MASS_AXIS, data, low, high, drawn, np.maximum(total - spread, 0), total + spread)
    lines = {} if fit_results is not None else {rf"{SIGNAL}, $\mu$ = 1": signal}
    name = "prefit" if fit_results is None else "postfit"
    _save(plots.draw_comparison(found, lines=lines, title=title, ylabel="Events / bin"), folder / f"{name}.png")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
