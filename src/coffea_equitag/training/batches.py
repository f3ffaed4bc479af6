"""Batches bounded by jets and by pairs, in an order that seed and epoch alone decide."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["PairBatches"]

_I8 = np.ndarray[Any, np.dtype[np.int64]]


class PairBatches:
    """Batches of jet indices: each jet once an epoch.

    Parameters
    ----------
    counts : ndarray of int, shape (J,)
        Constituents of each jet.
    batch_size : int
        Jets a batch, at most.
    pair_budget : int or None
        Pairs Σ(n + extra)² a batch, at most; a jet above it comes alone. None: no limit.
    extra : int
        Reference vectors the network puts into each jet.
    seed : int
        Decides, with the epoch's number, the order: nothing else has to be stored to continue.
    pool : int
        Jets are sorted by n within random pools of this many batches, so that jets of a batch are of similar
        size; 0 leaves them in random order.
    """

    def __init__(
        self,
        counts: np.ndarray[Any, Any],
        batch_size: int,
        pair_budget: int | None = None,
        *,
        extra: int = 0,
        seed: int = 0,
        pool: int = 0,
    ) -> None:
        self.counts = np.asarray(counts, dtype=np.int64)
        self.batch_size, self.seed, self.pool = batch_size, seed, pool
        self._pairs = (self.counts + extra) ** 2
        self.budget = pair_budget

    def epoch(self, number: int) -> list[_I8]:
        """The batches of one epoch, in their order."""
        generator = np.random.default_rng([self.seed, number])
        order = generator.permutation(len(self.counts))
        if self.pool == 0:
            return self.cut(order)
        size = self.pool * self.batch_size
        batches: list[_I8] = []
        for first in range(0, len(order), size):
            jets = order[first : first + size]
            batches += self.cut(jets[np.argsort(self.counts[jets], kind="stable")])
        return [batches[k] for k in generator.permutation(len(batches))]

    def cut(self, jets: _I8) -> list[_I8]:
        """Cut jets into consecutive batches within both limits."""
        pairs = np.cumsum(self._pairs[jets])
        batches, first = [], 0
        while first < len(jets):
            last = min(first + self.batch_size, len(jets))
            if self.budget is not None:
                done = pairs[first - 1] if first else 0
                within = int(np.searchsorted(pairs, done + self.budget, side="right"))
                last = min(last, max(within, first + 1))
            batches.append(jets[first:last])
            first = last
        return batches
