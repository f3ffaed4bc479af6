"""Jets in memory as a source of batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from ...array_types import F8, I8
from .batches import Batches
from .labelled_jets import LabelledJets
from .resampling import resampled
from .sample_weights import class_sums

__all__ = ["InMemory"]

#: Keeps these random numbers apart from others of the same seed and epoch.
_STREAM = 5


class InMemory:
    """A `Source` of jets in memory.

    Parameters
    ----------
    sample : LabelledJets
        The jets.
    n_classes : int
        Number of classes, whether or not there are jets of each.
    batch_size, seed, pool : int
        See `Batches`.
    copies : ndarray of float64, shape (J,), optional
        How often each jet is drawn per epoch, on average (see `resampled`); by default once.
    """

    def __init__(
        self,
        sample: LabelledJets,
        n_classes: int,
        *,
        batch_size: int = 1,
        seed: int = 0,
        pool: int = 0,
        copies: F8 | None = None,
    ) -> None:
        self.sample, self.n_classes = sample, n_classes
        self._copies = copies
        self._batch_size, self._seed, self._pool = batch_size, seed, pool

    @property
    def numbers(self) -> I8:
        """Jets per class, shape (n_classes,)."""
        return np.bincount(self.sample.labels.numpy(), minlength=self.n_classes)

    @property
    def weight_sums(self) -> F8:
        """Sum of the jets' weights per class in an epoch, shape (n_classes,)."""
        weights = self.sample.weights.numpy()
        return class_sums(
            self.sample.labels.numpy(), weights if self._copies is None else weights * self._copies, self.n_classes
        )

    @property
    def pt_range(self) -> tuple[float, float]:
        """Lowest and highest jet pT in GeV, rounded outwards to three digits."""
        return self.sample.pt_range()

    @property
    def description(self) -> str:
        """Where the jets come from, for the card."""
        return f"awkward array, sha256 {self._sha256[:16]}"

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds of the jets: ``number``, and ``sha256`` of all that network and loss see."""
        return {"number": len(self.sample.labels), "sha256": self._sha256}

    @cached_property
    def _sha256(self) -> str:
        return self.sample.fingerprint(**({} if self._copies is None else {"copies": self._copies}))

    def probe(self, number: int) -> LabelledJets:
        """At most `number` of the jets, spread over all of them."""
        total = len(self.sample.labels)
        return self.sample.select(np.linspace(0, total - 1, min(number, total)).astype(np.int64))

    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return -(-len(self._drawn(epoch)) // self._batch_size)

    def batches(self, epoch: int, first: int = 0) -> Iterator[LabelledJets]:
        """The batches of an epoch, from number `first` on."""
        drawn = self._drawn(epoch)
        counts = self.sample.jets.counts.numpy()[drawn]
        batches = Batches(counts, self._batch_size, seed=self._seed, pool=self._pool)
        return (self.sample.select(drawn[batch]) for batch in batches.epoch(epoch)[first:])

    def chunks(self) -> Iterator[LabelledJets]:
        """All jets at once."""
        yield self.sample

    def _drawn(self, epoch: int) -> I8:
        """The jets of an epoch."""
        if self._copies is None:
            return np.arange(len(self.sample.labels))
        return resampled(self._copies, np.random.default_rng([self._seed, epoch, _STREAM]))
