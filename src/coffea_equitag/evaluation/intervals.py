"""Confidence intervals of efficiencies, right at small counts too."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from ..array_types import F8

__all__ = ["LEVEL", "binomial_interval", "inverse", "poisson_interval"]

#: Confidence level of all intervals: that of one standard deviation.
LEVEL = float(stats.norm.cdf(1) - stats.norm.cdf(-1))


def binomial_interval(passed: Any, total: Any, level: float = LEVEL) -> tuple[F8, F8]:
    """Clopper–Pearson interval of an efficiency: central, and never below its confidence level.

    Parameters
    ----------
    passed, total : array-like
        How many passed, of how many; ``total`` of at least 1. Effective numbers of weighted jets need not be whole.
    level : float
        Confidence level, by default that of one standard deviation, 68.27%.

    Returns
    -------
    low, high : ndarray of float64
        Low is 0 where none passed, and high is 1 where all did.
    """
    k, n = np.broadcast_arrays(np.asarray(passed, np.float64), np.asarray(total, np.float64))
    outside = (1 - level) / 2
    low = stats.beta.ppf(outside, np.where(k > 0, k, 1), np.maximum(n - k + 1, 1))
    high = stats.beta.isf(outside, k + 1, np.where(k < n, n - k, 1))
    return np.where(k > 0, low, 0.0), np.where(k < n, high, 1.0)


def poisson_interval(values: Any, variances: Any = None, level: float = LEVEL) -> tuple[F8, F8]:
    """Garwood's interval of a Poisson mean: central, and never below its confidence level.

    Parameters
    ----------
    values : array-like
        Counts, or sums of weights.
    variances : array-like, optional
        Sums of squared weights: the interval is that of values²/variances counts. Default: those of counts.
    level : float
        Confidence level, by default that of one standard deviation, 68.27%.

    Returns
    -------
    low, high : ndarray of float64
        Low is 0 where nothing was counted; high is there that of the mean weight in all bins (1.84 for counts).
    """
    n = np.asarray(values, np.float64)
    v = n if variances is None else np.asarray(variances, np.float64)
    mean = float(v.sum() / n.sum()) if n.sum() > 0 else 1.0
    weight = np.divide(v, n, out=np.full(n.shape, mean), where=n > 0)
    counts = n / weight
    outside = (1 - level) / 2
    low = stats.gamma.ppf(outside, np.where(counts > 0, counts, 1.0))
    return np.where(counts > 0, low, 0.0) * weight, stats.gamma.isf(outside, counts + 1) * weight


def inverse(efficiency: Any) -> F8:
    """1/ε; infinite where nothing passes."""
    efficiency = np.asarray(efficiency, np.float64)
    found: F8 = np.divide(1.0, efficiency, out=np.full(efficiency.shape, np.inf), where=efficiency > 0)
    return found
