"""Random numbers that belong to an event, whatever events are processed with it."""

from __future__ import annotations

import numpy as np

from ...array_types import F8, AnyArray

__all__ = ["EventRandom"]


class EventRandom:
    """One random stream per event.

    Parameters
    ----------
    seed : int
        Seed of the sample.
    first : int
        Index of the first event.
    events : int
        Number of events.
    """

    def __init__(self, seed: int, first: int, events: int) -> None:
        self._streams = [np.random.default_rng((seed, first + k)) for k in range(events)]

    def uniform(self, counts: AnyArray) -> F8:
        """``counts[k]`` numbers in [0, 1) for each event k, event by event."""
        return np.concatenate(
            [np.empty(0), *(s.random(n) for s, n in zip(self._streams, counts.tolist(), strict=True))]
        )

    def normal(self, counts: AnyArray) -> F8:
        """``counts[k]`` standard normal numbers for each event k, event by event."""
        return np.concatenate(
            [np.empty(0), *(s.standard_normal(n) for s, n in zip(self._streams, counts.tolist(), strict=True))]
        )
