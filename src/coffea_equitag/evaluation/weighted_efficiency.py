"""Efficiencies of weighted jets as a function of the cut, with intervals, and the cut for a wanted efficiency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..array_types import F8
from .intervals import LEVEL, binomial_interval

__all__ = ["ROUNDING", "Curve", "Quantile", "curve", "effective_interval", "quantile"]

#: Rounding of sums of weights: efficiencies this close are the same.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Curve:
    """Efficiency of ``score >= cut`` at every distinct score, in falling order.

    Attributes
    ----------
    cuts : ndarray of float64, shape (K,)
        Distinct scores.
    efficiency, low, high : ndarray of float64, shape (K,)
        Sum of weights kept over that of all, and its interval.
    none_high : float
        Upper end of the interval of the efficiency where no jet is kept.
    """

    cuts: F8
    efficiency: F8
    low: F8
    high: F8
    none_high: float


@dataclass(frozen=True)
class Quantile:
    """The cut of a wanted efficiency; `low` or `high` is None where the sample is too small to bound it."""

    cut: float | None
    low: float | None
    high: float | None


def effective_interval(
    passed: F8, passed_squared: F8, total: F8 | float, total_squared: F8 | float, level: float = LEVEL
) -> tuple[F8, F8]:
    """Interval of an efficiency of weighted jets.

    The Clopper–Pearson interval for as many jets as have the variance of the weighted ratio,
    Σ w² (pass − ε)² / (Σ w)²; exact where all weights are equal.

    Parameters
    ----------
    passed, passed_squared : ndarray of float64
        Σ w and Σ w² of the jets that pass.
    total, total_squared : float or ndarray of float64
        Σ w and Σ w² of all jets; Σ w is positive.
    level : float
        Confidence level.

    Returns
    -------
    low, high : ndarray of float64
    """
    efficiency = np.clip(passed / total, 0.0, 1.0)
    spread = (1 - efficiency) ** 2 * passed_squared + efficiency**2 * np.maximum(total_squared - passed_squared, 0.0)
    variance = efficiency * (1 - efficiency)
    inside = (variance > 0) & (spread > 0)
    number = np.where(
        inside,
        variance * total**2 / np.where(inside, spread, 1.0),
        np.broadcast_to(total**2 / total_squared, inside.shape),
    )
    # sums of squares of equal weights may miss whole numbers by rounding
    whole = np.rint(number)
    number = np.maximum(np.where(abs(number - whole) < 1e-9 * number, whole, number), 1.0)
    return binomial_interval(efficiency * number, number, level)


def curve(scores: F8, weights: F8) -> Curve:
    """The efficiency at every distinct score.

    Parameters
    ----------
    scores, weights : ndarray of float64, shape (J,)
        Of at least one jet; the weights have a positive sum, but may be negative.
    """
    order = np.argsort(-scores, kind="stable")
    scores, weights = scores[order], weights[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each group of equal scores
    passed, squared = np.cumsum(weights)[last], np.cumsum(weights**2)[last]
    total, total_squared = float(passed[-1]), float(squared[-1])
    low, high = effective_interval(passed, squared, total, total_squared)
    none_high = effective_interval(np.zeros(1), np.zeros(1), total, total_squared)[1]
    return Curve(scores[last], passed / total, low, high, float(none_high[0]))


def quantile(at: Curve, efficiency: float, *, at_most: bool = False) -> Quantile:
    """The cut with a wanted efficiency, and its interval.

    The interval holds every cut whose number of kept jets does not contradict the efficiency, at the level of the
    curve's intervals; without weights these are order statistics, which are right for any distribution of scores.

    Parameters
    ----------
    at : Curve
        Efficiency against cut.
    efficiency : float
        The wanted efficiency, in (0, 1).
    at_most : bool
        Keep at most this efficiency, by the lowest such score; otherwise at least, by the highest.
    """
    reached = at.efficiency > efficiency + ROUNDING if at_most else at.efficiency >= efficiency - ROUNDING
    first = int(np.argmax(reached)) if reached.any() else len(reached)
    kept = first - 1 if at_most else first
    cut = float(at.cuts[kept]) if 0 <= kept < len(at.cuts) else None
    possible = np.flatnonzero(at.high >= efficiency)
    high = float(at.cuts[possible[0]]) if at.none_high < efficiency and len(possible) else None
    # the next score below a cut that keeps too much for the efficiency to be lower still
    last = int(np.flatnonzero(at.low <= efficiency)[-1]) + 1 if (at.low <= efficiency).any() else 0
    low = float(at.cuts[last]) if last < len(at.cuts) else None
    if cut is not None:
        low, high = low if low is None else min(low, cut), high if high is None else max(high, cut)
    return Quantile(cut, low, high)
