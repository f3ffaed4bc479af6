"""How well a score separates signal from background: efficiencies at every cut, of weighted jets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..array_types import F8, I8, Bools
from .estimate import Estimate, digits
from .intervals import LEVEL, binomial_interval, inverse
from .weighted_efficiency import ROUNDING, effective_interval

__all__ = ["Kept", "Rejection", "Separation"]


@dataclass(frozen=True)
class Rejection:
    """Background rejection 1/ε_B of a cut on the score.

    Attributes
    ----------
    efficiency : float
        The requested signal efficiency; the cut keeps at least that.
    cut : float
        Jets with at least this score are kept.
    value : float
        1/ε_B; infinite where no background jet is kept.
    low, high : float
        Clopper–Pearson interval of 1/ε_B (68.27%) from the number of background jets kept, with weights from as many
        as have the same variance; high is infinite where none is.
    passed : int
        Background jets kept.
    """

    efficiency: float
    cut: float
    value: float
    low: float
    high: float
    passed: int

    @property
    def estimate(self) -> Estimate:
        """The rejection with its interval."""
        return Estimate(self.value, self.low, self.high)

    def __str__(self) -> str:
        if self.passed == 0:
            return f"above {digits(self.low, self.low)} (no background jet passes)"
        value, above, below = self.estimate.parts
        return f"{value} +{above} −{below} ({self.passed} background jet{'s pass' if self.passed > 1 else ' passes'})"


@dataclass(frozen=True)
class Kept:
    """Jets of one kind that are kept by each of K + 1 cuts, of which the first keeps none and the last all.

    Attributes
    ----------
    number : ndarray of int64, shape (K + 1,)
        Jets.
    weight, squared : ndarray of float64, shape (K + 1,)
        Sums of their weights and of the squares of these.
    """

    number: I8
    weight: F8
    squared: F8

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self.weight[-1])

    @property
    def effective(self) -> float:
        """Number of unweighted jets that are worth as much."""
        return self.total**2 / float(self.squared[-1])

    @property
    def efficiency(self) -> F8:
        """Share of the weights kept."""
        return self.weight / self.total

    def interval(self, at: I8 | slice = slice(None)) -> tuple[F8, F8]:
        """Interval (68.27%) of the efficiency, at some of the cuts."""
        return effective_interval(self.weight[at], self.squared[at], self.total, float(self.squared[-1]))

    def estimate(self, at: int) -> Estimate:
        """The efficiency of one cut."""
        low, high = self.interval(np.array([at]))
        return Estimate(float(self.weight[at] / self.total), float(low[0]), float(high[0]))


@dataclass(frozen=True)
class Separation:
    """Signal and background against the cut on a score; both have jets, of positive weight in all.

    Attributes
    ----------
    cuts : ndarray of float64, shape (K + 1,)
        Infinity, then every distinct score, falling; a jet is kept at or above the cut.
    signal, background : Kept
        What each cut keeps.
    """

    cuts: F8
    signal: Kept
    background: Kept

    @classmethod
    def of(cls, scores: F8, is_signal: Bools, number: I8, weight: F8, squared: F8) -> Separation:
        """From rows of jets of equal score, in any order.

        Parameters
        ----------
        scores, is_signal, number, weight, squared : ndarray, shape (R,)
            Score and kind of each row, its jets, and the sums of their weights and of the squares of these.
        """
        order = np.argsort(-scores, kind="stable")
        scores, is_signal = scores[order], is_signal[order]
        last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)

        def kept(kind: Bools) -> Kept:
            sums = (np.cumsum(np.where(kind, each[order], 0))[last] for each in (number, weight, squared))
            return Kept(*(np.concatenate([each[:1] * 0, each]) for each in sums))

        return cls(np.append(np.inf, scores[last]), kept(is_signal), kept(~is_signal))

    def first(self, efficiency: float) -> int:
        """Index of the highest cut that keeps at least this share of the signal."""
        reached = self.signal.efficiency >= efficiency - ROUNDING
        return int(np.argmax(reached)) if reached.any() else len(self.cuts) - 1

    def first_background(self, efficiency: float) -> int:
        """Index of the lowest cut that keeps at most this share of the background; the first may keep no jet."""
        return int(np.flatnonzero(self.background.efficiency <= efficiency + ROUNDING)[-1])

    def index(self, cut: float) -> int:
        """Index of the lowest cut of these that is at or above another: it keeps the same jets."""
        return int(np.searchsorted(-self.cuts, -cut, side="right")) - 1

    def rejection(self, efficiency: float) -> Rejection:
        """Background rejection at a signal efficiency."""
        return self.rejection_at(self.first(efficiency), efficiency)

    def rejection_at(self, at: int, efficiency: float) -> Rejection:
        """Background rejection of the cut of an index."""
        kept = self.background.estimate(at)
        passed = float(self.background.weight[at])
        value = self.background.total / passed if passed > 0 else math.inf
        low, high = (float(inverse(end)) for end in (kept.high, kept.low))
        return Rejection(efficiency, float(self.cuts[at]), value, low, high, int(self.background.number[at]))

    def accuracy(self, cut: float = 0.5) -> Estimate:
        """Share of the jets of both kinds that a cut puts on the right side, in the proportions of the sample."""
        at = self.index(cut)
        right, squared = (
            float(kept[at] + rest[-1] - rest[at])
            for kept, rest in (
                (self.signal.weight, self.background.weight),
                (self.signal.squared, self.background.squared),
            )
        )
        total = self.signal.total + self.background.total
        all_squared = float(self.signal.squared[-1] + self.background.squared[-1])
        low, high = effective_interval(np.asarray(right), np.asarray(squared), total, all_squared)
        return Estimate(right / total, float(low), float(high))

    @cached_property
    def _placements(self) -> tuple[F8, F8, F8, F8]:
        """Of each score the share of background below (signal above), half of the same score included, and weights."""
        signal, background = self.signal.efficiency, self.background.efficiency
        above, below = (signal[1:] + signal[:-1]) / 2, 1 - (background[1:] + background[:-1]) / 2
        return above, below, np.diff(signal), np.diff(background)

    @cached_property
    def auc(self) -> float:
        """Area under the ROC curve: probability that a signal jet has a higher score than a background jet."""
        _, below, signal, _ = self._placements
        return float(np.clip((signal * below).sum(), 0.0, 1.0))

    @cached_property
    def auc_uncertainty(self) -> float:
        """Standard deviation of the AUC after DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837."""
        above, below, _, _ = self._placements
        variance = 0.0
        for kind, placed in ((self.signal, below), (self.background, above)):
            spread = float((np.diff(kind.squared) * (placed - self.auc) ** 2).sum()) / kind.total**2
            variance += spread * kind.effective / max(kind.effective - 1, 1.0)
        return math.sqrt(variance)

    @property
    def auc_estimate(self) -> Estimate:
        """The AUC with an interval that stays between 0 and 1.

        That of its logit; where no pair or all pairs are ordered rightly, the Clopper–Pearson interval of as many
        independent pairs as there are.
        """
        if self.auc_uncertainty > 0 and 0 < self.auc < 1:
            slope = self.auc * (1 - self.auc)
            odds, step = math.log(self.auc / (1 - self.auc)), self.auc_uncertainty / slope
            return Estimate(self.auc, _logistic(odds - step), _logistic(odds + step))
        pairs = max(min(self.signal.effective, self.background.effective), 1.0)
        low, high = binomial_interval(self.auc * pairs, pairs, LEVEL)
        return Estimate(self.auc, float(low), float(high))


def _logistic(value: float) -> float:
    return 0.5 * (1 + math.tanh(value / 2))
