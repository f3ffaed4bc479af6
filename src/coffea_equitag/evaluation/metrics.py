"""Metrics of scores on labelled jets: accuracy, AUC, ROC, background rejection at a signal efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics as sklearn_metrics

from ..array_types import F8, Bools
from .intervals import binomial_interval, inverse
from .labelled_scores import labelled_scores

__all__ = ["Metrics", "Rejection", "measure", "roc", "roc_band"]


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
        Clopper–Pearson interval of 1/ε_B (68.27%) from the number of background jets kept; high is infinite where none
        is.
    passed : int
        Background jets kept.
    """

    efficiency: float
    cut: float
    value: float
    low: float
    high: float
    passed: int

    def __str__(self) -> str:
        if self.passed == 0:
            return f"above {_digits(self.low, self.low)} (no background jet passes)"
        step = min(self.value - self.low, self.high - self.value)
        value, low, high = (_digits(v, step) for v in (self.value, self.value - self.low, self.high - self.value))
        return f"{value} +{high} −{low} ({self.passed} background jet{'s pass' if self.passed > 1 else ' passes'})"


@dataclass(frozen=True)
class Metrics:
    """Performance of scores on labelled jets; prints as a table.

    Attributes
    ----------
    num_signal, num_background : int
        Numbers of jets; background is everything that is not signal.
    num_missing : int
        Jets left out because they have no score.
    accuracy, accuracy_low, accuracy_high : float
        Fraction of jets whose most probable class is the true one, with its Clopper–Pearson interval (68.27%).
    auc, auc_uncertainty : float
        Area under the ROC curve; uncertainty after Hanley and McNeil, Radiology 143 (1982) 29.
    rejections : tuple of Rejection
        1/ε_B at the requested signal efficiencies.
    """

    num_signal: int
    num_background: int
    num_missing: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    auc: float
    auc_uncertainty: float
    rejections: tuple[Rejection, ...]

    def as_dict(self) -> dict[str, float]:
        """Flat mapping: ``accuracy``, ``auc``, ``rejection_50``, ``rejection_50_low``, ``_high``, ``_passed``, ...

        Values that are not finite are left out.
        """
        numbers: dict[str, float] = {
            "num_signal": self.num_signal,
            "num_background": self.num_background,
            "num_missing": self.num_missing,
            "accuracy": self.accuracy,
            "accuracy_low": self.accuracy_low,
            "accuracy_high": self.accuracy_high,
            "auc": self.auc,
            "auc_uncertainty": self.auc_uncertainty,
        }
        for rejection in self.rejections:
            name = f"rejection_{100 * rejection.efficiency:g}"
            numbers |= {name: rejection.value, f"{name}_low": rejection.low, f"{name}_high": rejection.high}
            numbers[f"{name}_passed"] = rejection.passed
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def __str__(self) -> str:
        rows = [
            ("jets", f"{self.num_signal} signal, {self.num_background} background"),
            (
                "accuracy",
                f"{self.accuracy:.4f} +{self.accuracy_high - self.accuracy:.4f} "
                f"−{self.accuracy - self.accuracy_low:.4f}",
            ),
            ("AUC", f"{self.auc:.4f} ± {self.auc_uncertainty:.4f}"),
        ]
        rows += [(f"1/ε_B at ε_S = {100 * r.efficiency:g}%", f"{r}   (score ≥ {r.cut:.4f})") for r in self.rejections]
        if self.num_missing:
            rows.append(("without a score", f"{self.num_missing} (left out)"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def measure(
    scores: Any, labels: Any, *, signal: int | str | None = None, efficiencies: Sequence[float] = (0.5, 0.3)
) -> Metrics:
    """Measure scores on labelled jets.

    Parameters
    ----------
    scores : array-like
        Output of a tagger: the signal's probability of each jet, any nesting, or a record with a field per class; None
        where a jet is missing (left out and counted).
    labels : array-like
        Class of each jet, in the same structure: 0 or 1, or the index of the class in the scores' fields.
    signal : int or str, optional
        Index or name of the class that counts as signal; default the last.
    efficiencies : sequence of float
        Signal efficiencies at which to give the rejection.

    Raises
    ------
    JetError
        If scores and labels differ in structure, a score is NaN, or only one class is present.
    """
    given = labelled_scores(scores, labels, signal)
    is_signal = given.is_signal
    fpr, tpr, cuts = _curve(given.scores, is_signal)
    num_signal, num_background = int(is_signal.sum()), int((~is_signal).sum())
    correct = given.most_probable == given.labels
    low, high = binomial_interval(correct.sum(), len(correct))
    auc = float(sklearn_metrics.auc(fpr, tpr))
    return Metrics(
        num_signal=num_signal,
        num_background=num_background,
        num_missing=given.num_missing,
        accuracy=float(correct.mean()),
        accuracy_low=float(low),
        accuracy_high=float(high),
        auc=auc,
        auc_uncertainty=_auc_uncertainty(auc, num_signal, num_background),
        rejections=tuple(_rejection(e, fpr, tpr, cuts, num_background) for e in efficiencies),
    )


def roc_band(fpr: F8, num_background: int) -> tuple[F8, F8]:
    """Clopper–Pearson interval (68.27%) of the background efficiency at each point of a ROC curve."""
    return binomial_interval(np.rint(fpr * num_background), num_background)


def roc(scores: Any, labels: Any, *, signal: int | str | None = None) -> tuple[F8, F8, F8]:
    """The ROC curve: background efficiency, signal efficiency and cut, one entry per distinct score.

    Parameters and errors as `measure`; the first cut is infinite and keeps nothing.
    """
    given = labelled_scores(scores, labels, signal)
    return _curve(given.scores, given.is_signal)


def _curve(scores: F8, is_signal: Bools) -> tuple[F8, F8, F8]:
    fpr, tpr, cuts = sklearn_metrics.roc_curve(is_signal, scores, drop_intermediate=False)
    return fpr, tpr, cuts


def _rejection(efficiency: float, fpr: F8, tpr: F8, cuts: F8, num_background: int) -> Rejection:
    at = min(int(np.searchsorted(tpr, efficiency - 1e-12)), len(tpr) - 1)
    passed = round(float(fpr[at]) * num_background)
    low, high = inverse(binomial_interval(passed, num_background))
    value = num_background / passed if passed else math.inf
    return Rejection(efficiency, float(cuts[at]), value, low=float(high), high=float(low), passed=passed)


def _digits(value: float, step: float) -> str:
    """A number with two digits of `step`, or all digits before the decimal point."""
    decimals = max(0, 1 - math.floor(math.log10(step))) if 0 < step < math.inf else 1
    return f"{value:.{decimals}f}"


def _auc_uncertainty(auc: float, num_signal: int, num_background: int) -> float:
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = auc * (1 - auc) + (num_signal - 1) * (q1 - auc * auc) + (num_background - 1) * (q2 - auc * auc)
    return math.sqrt(max(variance, 0.0) / (num_signal * num_background))
