"""Which class jets of each class are taken for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..array_types import F8, I8
from .counts import weight_sums
from .estimate import Estimate
from .weighted_efficiency import effective_interval

__all__ = ["Confusion"]


@dataclass(frozen=True)
class Confusion:
    """Jets by their true class (rows) and the most probable one (columns); can be added.

    Attributes
    ----------
    classes : tuple of str
    number : ndarray of int64, shape (C, C)
        Jets.
    weight, squared : ndarray of float64, shape (C, C)
        Sums of their weights and of the squares of these.
    """

    classes: tuple[str, ...]
    number: I8
    weight: F8
    squared: F8

    @classmethod
    def of(cls, classes: tuple[str, ...], labels: I8, most_probable: I8, weights: F8) -> Confusion:
        """Count jets."""
        size = len(classes)
        cells = labels * size + most_probable
        number = np.bincount(cells, minlength=size**2).reshape(size, size)
        weight, squared = (weight_sums(cells, each, size**2).reshape(size, size) for each in (weights, weights**2))
        return cls(classes, number, weight, squared)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.classes, self.number + other.number, self.weight + other.weight, self.squared + other.squared
        )

    @property
    def rates(self) -> tuple[F8, F8, F8]:
        """Share of each class's jets that is taken for each class, and its interval (68.27%); NaN for absent classes.

        Shape (C, C) each; rows sum to 1.
        """
        total = self.weight.sum(axis=1, keepdims=True)
        squared = self.squared.sum(axis=1, keepdims=True)
        known = total > 0
        some, some_squared = np.where(known, total, 1.0), np.where(known, squared, 1.0)
        low, high = effective_interval(self.weight, self.squared, some, some_squared)
        value, low, high = (np.where(known, each, np.nan) for each in (self.weight / some, low, high))
        return value, low, high

    @property
    def accuracy(self) -> Estimate:
        """Share of all jets whose most probable class is the true one."""
        total = float(self.weight.sum())
        if not total > 0:
            return Estimate(math.nan, math.nan, math.nan)
        kept = np.trace(self.weight)
        low, high = effective_interval(
            np.asarray(kept), np.asarray(np.trace(self.squared)), total, float(self.squared.sum())
        )
        return Estimate(float(kept / total), float(low), float(high))
