"""Metrics of runs in replicas of the jets, which are the same for all runs that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...array_types import F8
from ...evaluation.estimate import Estimate

__all__ = ["Draws", "Replicated", "draw_jets", "replicated"]

#: How often each jet is drawn in each replica, shape (replicas, J); a byte each, since there are many.
Draws: TypeAlias = NDArray[np.uint8]

#: Quantiles of the interval that holds 68.27% of the replicas.
_INTERVAL = (0.15865, 0.84135)


@dataclass(frozen=True)
class Replicated:
    """What is known of runs that differ in the seed alone.

    Attributes
    ----------
    names : tuple of str
        The metrics.
    runs : ndarray, shape (runs, metrics)
        Of each run, on the jets as they are.
    medians : ndarray, shape (replicas, metrics)
        In each replica, over as many runs drawn from them, on drawn jets.
    """

    names: tuple[str, ...]
    runs: F8
    medians: F8

    @property
    def num_runs(self) -> int:
        """How many runs."""
        return len(self.runs)

    @property
    def quartiles(self) -> dict[str, tuple[float, float, float]]:
        """Lower quartile, median and upper quartile over the runs, by metric."""
        found = quantiles(self.runs, (0.25, 0.5, 0.75)).T.tolist()
        return {name: (low, median, high) for name, (low, median, high) in zip(self.names, found, strict=True)}

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Medians over the runs with the interval that holds 68.27% of the replicas, by metric."""
        return self._estimates(quantiles(self.runs, (0.5,))[0], self.medians)

    def minus(self, other: Replicated) -> dict[str, Estimate]:
        """Differences of the medians, with the interval of their replicas; 0 where both are infinite."""
        return self._combined(other, np.subtract, 0.0)

    def over(self, other: Replicated) -> dict[str, Estimate]:
        """Ratios of the medians, with the interval of their replicas; 1 where both are infinite."""
        return self._combined(other, np.divide, 1.0)

    def _combined(self, other: Replicated, operation: Callable[[F8, F8], F8], equal: float) -> dict[str, Estimate]:
        def combined(one: F8, two: F8) -> F8:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(one == two, equal, operation(one, two))

        middle = combined(*(quantiles(each.runs, (0.5,))[0] for each in (self, other)))
        return self._estimates(middle, combined(self.medians, other.medians))

    def _estimates(self, values: F8, replicas: F8) -> dict[str, Estimate]:
        columns = zip(self.names, values, *quantiles(replicas, _INTERVAL), strict=True)
        return {name: Estimate(*map(float, numbers)) for name, *numbers in columns}


def draw_jets(num_jets: int, replicas: int, seed: int = 0) -> Draws:
    """How often each jet counts in each replica: Poisson numbers of mean 1."""
    generator = np.random.default_rng(seed)
    found = np.empty((replicas, num_jets), np.uint8)
    for row in found:
        row[:] = generator.poisson(1.0, num_jets)
    return found


def replicated(metrics: Iterable[Any], weights: F8, draws: Draws, seed: Sequence[int]) -> Replicated:
    """Measure runs that differ in the seed alone.

    Parameters
    ----------
    metrics : iterable of callable
        One per run: ``metrics(weights)``, with `names`; only one is held at a time.
    weights : ndarray, shape (J,)
        Of the jets.
    draws : ndarray, shape (replicas, J)
        See `draw_jets`; variants are compared with the same.
    seed : sequence of int
        Of the draws of the runs, another for each variant.
    """
    names: tuple[str, ...] = ()
    runs, drawn = [], []
    for one in metrics:
        names = tuple(one.names)
        runs.append(one(weights))
        drawn.append(np.array([one(weights * each) for each in draws]))
    generator, each = np.random.default_rng(seed), np.array(drawn)
    chosen = generator.integers(len(runs), size=(len(runs), len(draws)))
    return Replicated(names, np.array(runs), quantiles(each[chosen, np.arange(len(draws))], (0.5,))[0])


def quantiles(values: F8, wanted: Sequence[float]) -> F8:
    """Quantiles along the first axis; where infinite rejections are among the values, one of the values itself."""
    finite = np.isfinite(values).all(axis=0)
    found: F8 = np.quantile(values, wanted, axis=0, method="inverted_cdf")
    found[:, finite] = np.quantile(values[:, finite], wanted, axis=0)
    return found
