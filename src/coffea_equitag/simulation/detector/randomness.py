"""Random numbers that belong to an event, whatever events are worked on with it."""

from __future__ import annotations

import numpy as np

from ...array_types import F8, AnyArray

__all__ = ["EventRandom"]


class EventRandom:
    """One random stream an event.

    Parameters
    ----------
    seed : int
        Seed of the sample.
    first : int
        Number of the first event.
    events : int
        How many events.
    """

    def __init__(self, seed: int, first: int, events: int) -> None:
        self._streams = [np.random.default_rng((seed, first + k)) for k in range(events)]

    def uniform(self, counts: AnyArray) -> F8:
        """Give ``counts[k]`` numbers in [0, 1) of each event k, one event after the other."""
        return np.concatenate(
            [np.empty(0), *(s.random(n) for s, n in zip(self._streams, counts.tolist(), strict=True))]
        )

    def normal(self, counts: AnyArray) -> F8:
        """Give ``counts[k]`` standard normal numbers of each event k, one event after the other."""
        return np.concatenate(
            [np.empty(0), *(s.standard_normal(n) for s, n in zip(self._streams, counts.tolist(), strict=True))]
        )
