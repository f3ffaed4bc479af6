"""Metrics of the same jets under other weights, quickly: what a bootstrap evaluates a thousand times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..array_types import F8, I8, Bools
from .resolution import quantities, responses

__all__ = ["METRICS", "MOMENTUM_METRICS", "ReweightedMetrics", "ReweightedResolution"]

#: Metrics of each set of weights, in order; higher is better for each.
METRICS = ("accuracy", "auc", "rejection_50", "rejection_30")

#: Widths of m/m_true and pT/pT_true, and 68% quantile of the angle; lower is better for each.
MOMENTUM_METRICS = ("mass_resolution", "pt_resolution", "angle_resolution")


class ReweightedMetrics:
    """Accuracy, AUC and rejections of labelled scores, for any weights of the jets.

    The jets are sorted once, so that each evaluation takes time in proportion to their number.

    Parameters
    ----------
    probabilities : ndarray, shape (J, n_classes)
        Scores of each class.
    labels : ndarray of int, shape (J,)
        Classes.
    signal : int
        Class that AUC and rejections are measured for, against all others.
    efficiencies : sequence of float
        Signal efficiencies of the rejections.
    """

    names = METRICS

    def __init__(self, probabilities: F8, labels: I8, signal: int, efficiencies: Sequence[float] = (0.5, 0.3)) -> None:
        scores = probabilities[:, signal]
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        #: last jet of each group of equal scores
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self._is_signal: Bools = (labels == signal)[self._order]
        self._is_correct: Bools = probabilities.argmax(axis=1) == labels
        self.efficiencies = tuple(efficiencies)

    def __call__(self, weights: F8) -> F8:
        """Accuracy, AUC, and 1/ε_B at each efficiency; 1/ε_B is infinite where no background is left.

        Parameters
        ----------
        weights : ndarray, shape (J,)
            With a positive sum for signal and for background.
        """
        ordered = weights[self._order]
        signal = np.cumsum(ordered * self._is_signal)[self._ends]
        background = np.cumsum(ordered * ~self._is_signal)[self._ends]
        efficiency, mistag = signal / signal[-1], background / background[-1]
        steps = np.diff(mistag, prepend=0.0)
        area = float((steps * (efficiency + np.concatenate([[0.0], efficiency[:-1]])) / 2).sum())
        # rounding of the cumulated sum must not move a threshold to the next jet
        tolerance = len(weights) * np.finfo(np.float64).eps
        # with negative weights the efficiency may fall on the way
        places = [int(np.argmax(efficiency >= wanted - tolerance)) for wanted in self.efficiencies]
        with np.errstate(divide="ignore"):
            rejections = 1 / mistag[places]
        accuracy = float((weights * self._is_correct).sum() / weights.sum())
        return np.array([accuracy, area, *rejections])


class ReweightedResolution:
    """The widths of `momentum_resolution`, for any weights of the jets, which are sorted once.

    Parameters
    ----------
    momenta, truth : ndarray, shape (J, 4)
        (E, px, py, pz) in GeV, and the true ones.
    """

    names = MOMENTUM_METRICS

    def __init__(self, momenta: F8, truth: F8) -> None:
        numbers = np.arange(1.0, len(truth) + 1)  # in place of weights: they tell which jets have a response
        self._sorted = []
        for name, (values, jets) in responses(momenta, truth, numbers).items():
            order = np.argsort(values, kind="stable")
            self._sorted.append((values[order], jets[order].astype(np.int64) - 1, name == "angle"))

    def __call__(self, weights: F8) -> F8:
        """Widths of mass, pT and angle, for weights (J,) that are not negative."""
        return np.array([quantities(values, weights[jets], angle)[1] for values, jets, angle in self._sorted])
