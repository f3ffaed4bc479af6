"""From the processor's histograms to what the fit needs: numbers and variations by region."""

from __future__ import annotations

from typing import Any

import hist
import numpy as np

from .background import Estimate, estimate
from .fit import Template
from .selection import COLLECTION, MASS_AXIS, REGIONS

NOMINAL = "nominal"


def mass_histogram(output: dict[str, Any]) -> hist.Hist:
    """Dijet mass of the selected events: (dataset, systematic, region, mass)."""
    return output["jets"][COLLECTION]["dijet_mass"][{"working_point": "inclusive", "decision": "pass"}]


def counts(histogram: hist.Hist, dataset: str, region: str, systematic: str = NOMINAL) -> tuple[np.ndarray, np.ndarray]:
    """Sum of weights and its variance by bin; zeros where nothing was filled."""
    chosen = {"dataset": dataset, "systematic": systematic, "region": region}
    if any(name not in histogram.axes[axis] for axis, name in chosen.items()):
        return np.zeros(len(MASS_AXIS)), np.zeros(len(MASS_AXIS))
    found = histogram[{axis: hist.loc(name) for axis, name in chosen.items()}]
    return found.values(), found.variances()


def template(histogram: hist.Hist, dataset: str, region: str = "PP") -> Template:
    """A simulated process in a region, with the variations that were filled for it."""
    values, variances = counts(histogram, dataset, region)
    varied = {name for name in histogram.axes["systematic"] if name != NOMINAL}
    variations = {}
    for source in sorted({name.removesuffix("Up").removesuffix("Down") for name in varied}):
        sides = {side: counts(histogram, dataset, region, source + side)[0] for side in ("Up", "Down")}
        # a variation to one side is mirrored
        for side, other in (("Up", "Down"), ("Down", "Up")):
            if source + side not in varied:
                sides[side] = 2 * values - sides[other]
        variations[source] = (sides["Up"], sides["Down"])
    return Template(values, np.sqrt(variances), variations)


def background(histogram: hist.Hist) -> Estimate:
    """QCD in the signal region, from the other regions of the data."""
    data = {region: counts(histogram, "data", region)[0] for region in REGIONS if region != "PP"}
    tops = {region: counts(histogram, "ttbar", region)[0] for region in data}
    return estimate(data, tops, equivalent_counts(histogram, "qcd"), MASS_AXIS.centers)


def equivalent_counts(histogram: hist.Hist, dataset: str) -> dict[str, np.ndarray]:
    """Simulated numbers by region, scaled to as many unweighted events as they are worth."""
    found = {region: counts(histogram, dataset, region) for region in REGIONS}
    values, variances = (sum(each[k].sum() for each in found.values()) for k in (0, 1))
    return {region: each[0] * (values / variances if variances else 0.0) for region, each in found.items()}
