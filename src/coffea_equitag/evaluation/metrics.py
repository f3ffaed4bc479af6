"""Metrics of scores on labelled jets: accuracy, AUC, ROC, background rejection at a signal efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array_types import F8
from ..errors import JetError, explain
from .estimate import Estimate
from .intervals import binomial_interval
from .labelled_scores import LabelledScores, labelled_scores
from .separation import Rejection, Separation
from .weighted_efficiency import effective_interval

__all__ = ["Metrics", "Rejection", "measure", "roc", "roc_band", "separate"]


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
    auc, auc_uncertainty, auc_low, auc_high : float
        Area under the ROC curve; standard deviation after DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837,
        and an interval (68.27%) that stays between 0 and 1.
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
    auc_low: float
    auc_high: float
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
            "auc_low": self.auc_low,
            "auc_high": self.auc_high,
        }
        for rejection in self.rejections:
            name = f"rejection_{100 * rejection.efficiency:g}"
            numbers |= {name: rejection.value, f"{name}_low": rejection.low, f"{name}_high": rejection.high}
            numbers[f"{name}_passed"] = rejection.passed
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def __str__(self) -> str:
        rows = [
            ("jets", f"{self.num_signal} signal, {self.num_background} background"),
            ("accuracy", _four(self.accuracy, self.accuracy_low, self.accuracy_high)),
            ("AUC", _four(self.auc, self.auc_low, self.auc_high)),
        ]
        rows += [(f"1/ε_B at ε_S = {100 * r.efficiency:g}%", f"{r}   (score ≥ {r.cut:.4f})") for r in self.rejections]
        if self.num_missing:
            rows.append(("without a score", f"{self.num_missing} (left out)"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def measure(
    scores: Any,
    labels: Any,
    *,
    weights: Any = None,
    signal: int | str | None = None,
    efficiencies: Sequence[float] = (0.5, 0.3),
) -> Metrics:
    """Measure scores on labelled jets.

    Parameters
    ----------
    scores : array-like
        Output of a tagger: the signal's probability of each jet, any nesting, or a record with a field per class; None
        where a jet is missing (left out and counted).
    labels : array-like
        Class of each jet, in the same structure: 0 or 1, or the index of the class in the scores' fields.
    weights : array-like, optional
        One weight per jet, or per event; they may be negative. Intervals are those of as many unweighted jets as have
        the same variance.
    signal : int or str, optional
        Index or name of the class that counts as signal; default the last.
    efficiencies : sequence of float
        Signal efficiencies at which to give the rejection, in (0, 1].

    Raises
    ------
    JetError
        If scores, labels and weights differ in structure, a score is NaN, only one class is present, or the weights of
        signal or background do not sum to more than 0.
    """
    check_efficiencies(efficiencies)
    given = labelled_scores(scores, labels, signal)
    weight = given.weights(weights)
    return measured(_separation(given, weight), _accuracy(given, weight), given.num_missing, efficiencies)


def measured(
    found: Separation, accuracy: Estimate, num_missing: int, efficiencies: Sequence[float] = (0.5, 0.3)
) -> Metrics:
    """What is measured of a separation that was found elsewhere."""
    auc = found.auc_estimate
    return Metrics(
        num_signal=int(found.signal.number[-1]),
        num_background=int(found.background.number[-1]),
        num_missing=num_missing,
        accuracy=accuracy.value,
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        auc=auc.value,
        auc_uncertainty=found.auc_uncertainty,
        auc_low=auc.low,
        auc_high=auc.high,
        rejections=tuple(map(found.rejection, efficiencies)),
    )


def roc_band(fpr: F8, num_background: int) -> tuple[F8, F8]:
    """Clopper–Pearson interval (68.27%) of the background efficiency at each point of a ROC curve."""
    return binomial_interval(np.rint(fpr * num_background), num_background)


def roc(scores: Any, labels: Any, *, weights: Any = None, signal: int | str | None = None) -> tuple[F8, F8, F8]:
    """The ROC curve: background efficiency, signal efficiency and cut, one entry per distinct score.

    Parameters and errors as `measure`; the first cut is infinite and keeps nothing.
    """
    found = separate(scores, labels, weights=weights, signal=signal)
    return found.background.efficiency, found.signal.efficiency, found.cuts


def separate(scores: Any, labels: Any, *, weights: Any = None, signal: int | str | None = None) -> Separation:
    """Signal and background against the cut, with intervals; parameters and errors as `measure`."""
    given = labelled_scores(scores, labels, signal)
    return _separation(given, given.weights(weights))


def _separation(given: LabelledScores, weights: F8) -> Separation:
    """As `separate`, of scores that were checked."""
    for kind, name in ((given.is_signal, "signal"), (~given.is_signal, "background")):
        check_sum(float(weights[kind].sum()), name)
    return Separation.of(given.scores, given.is_signal, np.ones(len(weights), np.int64), weights, weights**2)


def check_sum(total: float, kind: str) -> None:
    """Refuse jets whose weights do not sum to more than 0."""
    if not total > 0:
        raise JetError(
            explain(
                f"weights of {kind} jets that sum to {total:g}", "a positive sum", "check the weights, give more jets"
            )
        )


def check_efficiencies(efficiencies: Sequence[float]) -> None:
    """Refuse percentages, and efficiencies of nothing."""
    if bad := [value for value in efficiencies if not 0 < value <= 1]:
        raise JetError(
            explain(f"an efficiency of {bad[0]:g}", "a number above 0 and up to 1", "give fractions, not percent: 0.3")
        )


def _accuracy(given: LabelledScores, weights: F8) -> Estimate:
    correct = given.most_probable == given.labels
    return share(weights, correct)


def share(weights: F8, chosen: Any) -> Estimate:
    """The share of weighted jets that are chosen; NaN where the weights do not sum to more than 0."""
    total = float(weights.sum())
    if not total > 0:
        return Estimate(math.nan, math.nan, math.nan)
    kept, squared = weights[chosen].sum(), (weights[chosen] ** 2).sum()
    low, high = effective_interval(np.asarray(kept), np.asarray(squared), total, float((weights**2).sum()))
    return Estimate(float(kept / total), float(low), float(high))


def _four(value: float, low: float, high: float) -> str:
    """With four digits; as it is read in a table of the terminal."""
    above, below = f"{high - value:.4f}", f"{value - low:.4f}"
    return f"{value:.4f} ± {above}" if above == below else f"{value:.4f} +{above} −{below}"
