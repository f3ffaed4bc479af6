"""Comparison of two samples of one observable: means, medians and distributions."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...array_types import F8

__all__ = ["Peak", "TwoSamples", "compare", "peak"]


#: Up to this many jets in each sample the Kolmogorov-Smirnov p-value is exact.
_EXACT = 1000


@dataclass(frozen=True)
class TwoSamples:
    """Comparison of simulated and real values of one observable; NaN where there are too few of them.

    Attributes
    ----------
    num_simulated, num_real : int
        Jets for which the observable is defined.
    mean_simulated, mean_simulated_error, mean_real, mean_real_error : float
        Means and their standard errors.
    difference : float
        Simulated minus real mean, in standard errors of the difference.
    spread_simulated, spread_real : float
        Half the width of the central 68%.
    median_simulated, median_real : float
        Medians.
    ks, ks_p : float
        Kolmogorov-Smirnov distance and its two-sided p-value (conservative for whole numbers).
    """

    num_simulated: int
    num_real: int
    mean_simulated: float
    mean_simulated_error: float
    mean_real: float
    mean_real_error: float
    difference: float
    spread_simulated: float
    spread_real: float
    median_simulated: float
    median_real: float
    ks: float
    ks_p: float


@dataclass(frozen=True)
class Peak:
    """Position of a mass peak: the median of the masses in a window around it, with its standard error (GeV)."""

    position: float
    error: float
    spread: float
    share: float
    number: int


def compare(simulated: F8, real: F8) -> TwoSamples:
    """Compare the values of two samples, without NaN."""
    simulated, real = simulated[~np.isnan(simulated)], real[~np.isnan(real)]
    means, errors = zip(*(_mean(values) for values in (simulated, real)), strict=True)
    together = math.hypot(*errors)
    ks = ks_p = math.nan
    if len(simulated) and len(real):
        method = "exact" if max(len(simulated), len(real)) <= _EXACT else "asymp"
        with warnings.catch_warnings():
            # scipy warns where the exact p-value is out of range and it uses the asymptotic one
            warnings.simplefilter("ignore", RuntimeWarning)
            found = stats.ks_2samp(simulated, real, method=method)
        ks, ks_p = float(found.statistic), float(found.pvalue)
    return TwoSamples(
        num_simulated=len(simulated),
        num_real=len(real),
        mean_simulated=means[0],
        mean_simulated_error=errors[0],
        mean_real=means[1],
        mean_real_error=errors[1],
        difference=(means[0] - means[1]) / together if together > 0 else (0.0 if means[0] == means[1] else math.nan),
        spread_simulated=_spread(simulated),
        spread_real=_spread(real),
        median_simulated=_median(simulated),
        median_real=_median(real),
        ks=ks,
        ks_p=ks_p,
    )


def peak(values: F8, low: float, high: float) -> Peak:
    """The peak within a window; ``share`` is the fraction of all values that lie in it."""
    values = values[~np.isnan(values)]
    inside = values[(values > low) & (values < high)]
    # for a Gaussian peak, the error of the median is that of the mean times sqrt(π/2)
    error = math.sqrt(math.pi / 2) * _mean(inside)[1]
    share = len(inside) / len(values) if len(values) else math.nan
    return Peak(_median(inside), error, _spread(inside), share, len(inside))


def _mean(values: F8) -> tuple[float, float]:
    if len(values) == 0:
        return math.nan, math.nan
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), error


def _median(values: F8) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _spread(values: F8) -> float:
    if len(values) < 2:
        return math.nan
    low, high = np.percentile(values, [16, 84])
    return float(high - low) / 2
