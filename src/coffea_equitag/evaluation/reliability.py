"""Whether probabilities are right: how often jets of a predicted probability are of the class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..array_types import F8, I8, Bools
from .counts import weight_sums
from .estimate import Estimate
from .weighted_efficiency import effective_interval

__all__ = ["CONFIDENCE", "Calibration", "CalibrationCurve"]

#: Name of the curve of the most probable class, whichever it is.
CONFIDENCE = "most probable class"

#: Bins of equal width between 0 and 1.
_BINS = 20


@dataclass(frozen=True)
class CalibrationCurve:
    """Jets by predicted probability, in the B bins that have any.

    Attributes
    ----------
    probability : ndarray of float64, shape (B,)
        Mean predicted probability.
    fraction, low, high : ndarray of float64, shape (B,)
        Share of the jets that is of the class, and its interval (68.27%).
    weight : ndarray of float64, shape (B,)
        Sum of the weights.
    error : Estimate
        Expected calibration error: the mean over jets of |fraction − probability| of their bin (Guo et al.,
        arXiv:1706.04599), with its standard deviation.
    error_if_right : float
        What the error would be on average for right probabilities and as few jets.
    """

    probability: F8
    fraction: F8
    low: F8
    high: F8
    weight: F8
    error: Estimate
    error_if_right: float


@dataclass(frozen=True)
class Calibration:
    """Sums over jets by predicted probability, for each class and for the most probable one; can be added.

    Attributes
    ----------
    names : tuple of str
        The classes, and `CONFIDENCE`.
    number : ndarray of int64, shape (C + 1, B)
        Jets in B bins of equal width between 0 and 1.
    weight, squared : ndarray of float64, shape (C + 1, B)
        Sums of weights, and of their squares.
    probability : ndarray of float64, shape (C + 1, B)
        Sums of weight × predicted probability.
    right, right_squared : ndarray of float64, shape (C + 1, B)
        Sums of weights, and of their squares, of the jets that are of the class.
    """

    names: tuple[str, ...]
    number: I8
    weight: F8
    squared: F8
    probability: F8
    right: F8
    right_squared: F8

    @classmethod
    def of(cls, classes: tuple[str, ...], probabilities: F8, labels: I8, most_probable: I8, weights: F8) -> Calibration:
        """Count jets; probabilities have the shape (J, C)."""
        rows = [_sums(probabilities[:, index], labels == index, weights) for index in range(len(classes))]
        rows.append(_sums(probabilities[np.arange(len(labels)), most_probable], labels == most_probable, weights))
        number, *sums = (np.stack(each) for each in zip(*rows, strict=True))
        return cls((*classes, CONFIDENCE), number.astype(np.int64), *sums)

    def __add__(self, other: Calibration) -> Calibration:
        pairs = ((getattr(self, name), getattr(other, name)) for name in _SUMS)
        return Calibration(self.names, *(one + two for one, two in pairs))

    def curve(self, name: str = CONFIDENCE) -> CalibrationCurve:
        """The curve of a class, or of the most probable one."""
        row = self.names.index(name)
        kept = self.weight[row] > 0
        weight, squared, mean, right, right_squared = (getattr(self, each)[row, kept] for each in _SUMS[1:])
        low, high = effective_interval(right, right_squared, weight, squared)
        probability, fraction = mean / weight, right / weight
        share, number = weight / weight.sum(), weight**2 / squared
        error = float((share * abs(fraction - probability)).sum())
        deviation = math.sqrt(float((share**2 * fraction * (1 - fraction) / number).sum()))
        p = np.clip(probability, 0, 1)
        # the mean of |x| of a normal distribution is its standard deviation times √(2/π)
        floor = float((share * np.sqrt(2 / np.pi * p * (1 - p) / number)).sum())
        return CalibrationCurve(
            probability,
            fraction,
            low,
            high,
            weight,
            Estimate(error, max(error - deviation, 0.0), error + deviation),
            floor,
        )


_SUMS = ("number", "weight", "squared", "probability", "right", "right_squared")


def _sums(probability: F8, is_class: Bools, weights: F8) -> tuple[F8, ...]:
    bins = np.clip((probability * _BINS).astype(np.int64), 0, _BINS - 1)
    columns = (None, weights, weights**2, weights * probability, weights * is_class, weights**2 * is_class)
    return tuple(weight_sums(bins, each, _BINS) for each in columns)
