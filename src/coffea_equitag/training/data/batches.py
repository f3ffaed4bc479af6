"""Batches of jets, in an order that depends only on seed and epoch."""

from __future__ import annotations

import numpy as np

from ...array_types import I8, AnyArray

__all__ = ["Batches"]


class Batches:
    """Batches of jet indices: each jet once per epoch.

    Parameters
    ----------
    counts : ndarray of int, shape (J,)
        Constituents of each jet.
    batch_size : int
        Jets per batch.
    seed : int
        Together with the epoch's number it determines the order: nothing else has to be stored to resume.
    pool : int
        Jets are sorted by multiplicity within random pools of this many batches, so that the jets of a batch are of
        similar size; 0 leaves them in random order.
    """

    def __init__(self, counts: AnyArray, batch_size: int, *, seed: int = 0, pool: int = 0) -> None:
        self.counts = np.asarray(counts, dtype=np.int64)
        self.batch_size, self.seed, self.pool = batch_size, seed, pool

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self.counts) // self.batch_size)

    def epoch(self, number: int) -> list[I8]:
        """The batches of one epoch, in order."""
        generator = np.random.default_rng([self.seed, number])
        order = generator.permutation(len(self.counts))
        if self.pool == 0:
            return self._cut(order)
        size = self.pool * self.batch_size
        batches: list[I8] = []
        for first in range(0, len(order), size):
            jets = order[first : first + size]
            batches += self._cut(jets[np.argsort(self.counts[jets], kind="stable")])
        return [batches[k] for k in generator.permutation(len(batches))]

    def _cut(self, jets: I8) -> list[I8]:
        return [jets[first : first + self.batch_size] for first in range(0, len(jets), self.batch_size)]
