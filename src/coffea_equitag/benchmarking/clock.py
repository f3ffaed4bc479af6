"""Timing several tasks in turn, so that all are subject to the same disturbances."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Spread", "in_turn", "now", "seconds_of"]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median and quartiles of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def scaled(self, factor: float) -> Spread:
        """The same in another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)


def now(device: str = "cpu") -> float:
    """Seconds: CPU time with one thread, else wall-clock time, when a GPU has finished its work."""
    _wait(device)
    return time.process_time() if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter()


def seconds_of(task: Callable[[], Any], device: str = "cpu") -> float:
    """Time of one call, see `now`."""
    start = now(device)
    task()
    return now(device) - start


def in_turn(
    tasks: Mapping[str, Callable[[], Any]],
    seconds: float,
    device: str = "cpu",
    rounds: tuple[int, int] = (3, 15),
    idle: Callable[[], Any] | None = None,
) -> dict[str, list[float]]:
    """Call each task in turn, for several rounds.

    Parameters
    ----------
    tasks : mapping of str to callable
        Tasks that have been warmed up.
    seconds : float
        No further round is started if it would end after this time.
    rounds : (int, int)
        Minimum and maximum number of rounds.
    idle : callable, optional
        Called before each round, not timed.

    Returns
    -------
    dict of str to list of float
        Seconds per call, for each round.
    """
    found: dict[str, list[float]] = {name: [] for name in tasks}
    start = time.perf_counter()
    for done in range(1, rounds[1] + 1):
        if idle is not None:
            idle()
        for name, task in tasks.items():
            found[name].append(seconds_of(task, device))
        spent = time.perf_counter() - start
        if done >= rounds[0] and spent * (done + 1) / done > seconds:
            break
    return found


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
