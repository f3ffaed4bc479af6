"""Jets in memory as a source of batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...array_types import F8, I8
from .batches import Batches
from .labelled_jets import LabelledJets

__all__ = ["InMemory"]


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
    """

    def __init__(
        self, sample: LabelledJets, n_classes: int, *, batch_size: int = 1, seed: int = 0, pool: int = 0
    ) -> None:
        self.sample, self.n_classes = sample, n_classes
        self._batches = Batches(sample.jets.counts.numpy(), batch_size, seed=seed, pool=pool)

    @property
    def numbers(self) -> I8:
        """Jets per class, shape (n_classes,)."""
        return np.bincount(self.sample.labels.numpy(), minlength=self.n_classes)

    @property
    def weight_sums(self) -> F8:
        """Sum of the jets' weights per class, shape (n_classes,)."""
        sums = np.bincount(self.sample.labels.numpy(), self.sample.weights.numpy(), self.n_classes)
        return sums.astype(np.float64, copy=False)

    @property
    def pt_range(self) -> tuple[float, float]:
        """Lowest and highest jet pT in GeV, rounded outwards to three digits."""
        return self.sample.pt_range()

    def fingerprint(self) -> str:
        """SHA-256 of everything that the network and the loss see."""
        return self.sample.fingerprint()

    def probe(self, number: int) -> LabelledJets:
        """At most `number` of the jets, spread over all of them."""
        total = len(self.sample.labels)
        return self.sample.select(np.linspace(0, total - 1, min(number, total)).astype(np.int64))

    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return len(self._batches)

    def batches(self, epoch: int, first: int = 0) -> Iterator[LabelledJets]:
        """The batches of an epoch, from number `first` on."""
        return (self.sample.select(jets) for jets in self._batches.epoch(epoch)[first:])

    def chunks(self) -> Iterator[LabelledJets]:
        """All jets at once."""
        yield self.sample
