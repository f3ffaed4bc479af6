"""Metrics of the same jets under other weights, quickly: what a bootstrap evaluates a thousand times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..array_types import F8, I8, Bools
from .resolution import quantities, responses

__all__ = ["MOMENTUM_METRICS", "ReweightedMetrics", "ReweightedResolution"]

#: Widths of m/m_true and pT/pT_true, and 68% quantile of the angle; lower is better for each.
MOMENTUM_METRICS = ("mass_resolution", "pt_resolution", "angle_resolution")


class ReweightedMetrics:
    """Accuracy, AUC and rejections of labelled scores, for any weights of the jets; higher is better for each.

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

    Attributes
    ----------
    names : tuple of str
        ``accuracy``, ``auc``, and e.g. ``rejection_50`` at the efficiency 0.5.
    """

    def __init__(self, probabilities: F8, labels: I8, signal: int, efficiencies: Sequence[float] = (0.5, 0.3)) -> None:
        self.efficiencies = tuple(efficiencies)
        self.names = ("accuracy", "auc", *(f"rejection_{100 * each:g}" for each in efficiencies))
        self._correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
        self._signal, rising = _falling(probabilities[:, signal], labels == signal)
        self._background, others = _falling(probabilities[:, signal], labels != signal)
        #: signal jets above each background jet, and those with its score too
        self._above = np.searchsorted(rising, others, "left")
        self._at_least = np.searchsorted(rising, others, "right")
        #: signal jets with at least each distinct score of the signal, and background jets
        self._ends = np.flatnonzero(np.append(rising[1:] != rising[:-1], True)) + 1
        self._passing = np.searchsorted(others, rising[self._ends - 1], "right")

    def __call__(self, weights: F8) -> F8:
        """Accuracy, AUC, and 1/ε_B at each efficiency; 1/ε_B is infinite where no background is left.

        Parameters
        ----------
        weights : ndarray, shape (J,)
            With a positive sum for signal and for background.
        """
        signal = np.concatenate([[0.0], np.cumsum(weights[self._signal])])
        background = weights[self._background]
        total = float(background.sum())
        area = float(background @ (signal[self._above] + signal[self._at_least])) / (2 * signal[-1] * total)
        kept, rejections = signal[self._ends], []
        for efficiency in self.efficiencies:
            # rounding of the cumulated sum must not move a threshold to the next jet
            enough = (efficiency - len(weights) * np.finfo(np.float64).eps) * signal[-1]
            # with negative weights the efficiency may fall on the way
            passed = float(background[: self._passing[int(np.argmax(kept >= enough))]].sum())
            rejections.append(total / passed if passed else np.inf)
        return np.array([float(weights @ self._correct) / float(weights.sum()), area, *rejections])


def _falling(scores: F8, kind: Bools) -> tuple[I8, F8]:
    """Jets of a kind from the highest score to the lowest, and their negative scores, which rise."""
    jets = np.flatnonzero(kind)
    order = np.argsort(-scores[jets], kind="stable")
    return jets[order], -scores[jets[order]]


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
