"""The learning rate over a training: warm-up, cosine cycles, a final halving, or any piecewise curve."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from ..validation import Strict

__all__ = ["MOST", "Schedule"]

#: The largest number of epochs, or of jets in a batch: beyond all that is ever done, within what a float can count.
MOST = 10**9

#: The largest number of cosine cycles.
_CYCLES = 10_000


class Schedule(Strict):
    """Learning rate against epoch.

    All lengths are epochs of the schedule's own training of `epochs`. A training of another length scales them in
    proportion, warm-up and restarts alike: 7 epochs of a 35-epoch schedule with 5 of warm-up warm up for 1. The rate
    changes from step to step, not only from epoch to epoch.
    """

    learning_rate: float = Field(default=1e-3, gt=0, description="Highest learning rate of the schedule.")
    epochs: int = Field(default=35, ge=1, le=MOST, description="Epochs that the schedule's lengths refer to.")
    warmup: float = Field(default=5, ge=0, description="Epochs of linear growth from 0.")
    first_cycle: float | None = Field(default=4, gt=0, description="Epochs of the first cosine cycle; None: no cosine.")
    cycle_factor: float = Field(
        default=2, ge=1, description="Each cosine cycle is longer than the one before by this factor."
    )
    lowest: float = Field(
        default=0, ge=0, le=1, description="Fraction of the learning rate that a cosine cycle ends at."
    )
    halve_from: float | None = Field(default=31, description="Halve the rate every epoch from this one on.")
    points: tuple[tuple[float, float], ...] | None = Field(
        default=None,
        description="Instead of warm-up, cycles and halving: points (epoch, fraction of learning_rate), interpolated.",
    )
    interpolation: Literal["linear", "exponential"] = Field(
        default="linear", description="How the rate changes between two points."
    )

    @model_validator(mode="after")
    def _cycles(self) -> Schedule:
        if self.first_cycle is not None and self.epochs / self.first_cycle > _CYCLES:
            raise ValueError(f"first_cycle = {self.first_cycle} of {self.epochs} epochs: at most {_CYCLES} cycles fit")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> Schedule:
        if self.points is None:
            return self
        epochs, fractions = [epoch for epoch, _ in self.points], [fraction for _, fraction in self.points]
        if not epochs or epochs[0] < 0 or any(a >= b for a, b in pairwise(epochs)):
            raise ValueError(f"points = {self.points}: at least one is needed, in the order of their epochs, from 0 on")
        least = 0 if self.interpolation == "linear" else math.ulp(0)
        if not all(least <= fraction <= 1 for fraction in fractions):
            raise ValueError(f"points = {self.points}: fractions of learning_rate lie between 0 and 1")
        return self

    def rate(self, progress: float) -> float:
        """Learning rate after a fraction `progress` (0 to 1) of the training."""
        epoch = progress * self.epochs
        if self.points is not None:
            return self.learning_rate * self._interpolated(epoch)
        if self.halve_from is None or epoch < self.halve_from:
            return self._before_halving(epoch)
        halvings = math.floor(epoch - self.halve_from) + 1
        return self._before_halving(self.halve_from, ended=True) * 0.5**halvings

    def _before_halving(self, epoch: float, *, ended: bool = False) -> float:
        """Rate of warm-up and cycles; `ended`: where a cycle ends, its end and not the beginning of the next."""
        if epoch < self.warmup:
            return self.learning_rate * epoch / self.warmup
        if self.first_cycle is None:
            return self.learning_rate
        into, length = epoch - self.warmup, self.first_cycle
        while into > length or (into == length and not ended):
            into, length = into - length, length * self.cycle_factor
        height = 0.5 * (1 + math.cos(math.pi * into / length))
        return self.learning_rate * (self.lowest + (1 - self.lowest) * height)

    def _interpolated(self, epoch: float) -> float:
        """Fraction of the learning rate at an epoch, constant before the first point and after the last."""
        assert self.points is not None
        after = bisect_right([point[0] for point in self.points], epoch)
        if after in (0, len(self.points)):
            return self.points[min(after, len(self.points) - 1)][1]
        (first, low), (last, high) = self.points[after - 1], self.points[after]
        share = (epoch - first) / (last - first)
        if self.interpolation == "exponential":
            return float(low ** (1 - share) * high**share)
        return low + (high - low) * share
