"""A source whose batches are augmented."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ...array_types import F8, I8
from .augmentation import Augmentation
from .labelled_jets import LabelledJets
from .source import Source
from .truth import TARGET

__all__ = ["AugmentedSource", "augmented"]

#: Keeps these random numbers apart from others of the same seed, epoch and batch.
_STREAM = 7


class AugmentedSource:
    """The `Source` given, with each batch augmented; jets to validate with, or to probe the memory, are as they were.

    Parameters
    ----------
    source : Source
        Where the jets come from.
    augmentation : Augmentation
        What is done to them.
    seed : int
        With epoch and batch it determines the random numbers.
    """

    def __init__(self, source: Source, augmentation: Augmentation, seed: int) -> None:
        self._source, self._augmentation, self._seed = source, augmentation, seed

    @property
    def numbers(self) -> I8:
        """Jets per class, shape (n_classes,)."""
        return self._source.numbers

    @property
    def weight_sums(self) -> F8:
        """Sum of the jets' weights per class, shape (n_classes,)."""
        return self._source.weight_sums

    @property
    def pt_range(self) -> tuple[float, float]:
        """Lowest and highest jet pT in GeV before the augmentation, rounded outwards to three digits."""
        return self._source.pt_range

    @property
    def description(self) -> str:
        """Where the jets come from, for the card."""
        return self._source.description

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds of the jets before the augmentation."""
        return self._source.record

    def probe(self, number: int) -> LabelledJets:
        """At most `number` of the jets, spread over all of them."""
        return self._source.probe(number)

    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return self._source.num_batches(epoch)

    def batches(self, epoch: int, first: int = 0) -> Iterator[LabelledJets]:
        """The batches of an epoch, from number `first` on."""
        for index, sample in enumerate(self._source.batches(epoch, first), first):
            yield augmented(sample, self._augmentation, np.random.default_rng([self._seed, epoch, index, _STREAM]))

    def chunks(self) -> Iterator[LabelledJets]:
        """All jets once, in their own order, as they are."""
        return self._source.chunks()


def augmented(sample: LabelledJets, augmentation: Augmentation, generator: np.random.Generator) -> LabelledJets:
    """Labelled jets after an augmentation; the vector to be learned, (E, px, py, pz) or (x, y, z), moves with them."""
    jets, transforms = augmentation(sample.jets, generator)
    targets = dict(sample.targets)
    if TARGET in targets:
        size = targets[TARGET].shape[1]
        moving = transforms[:, -size:, -size:].to(targets[TARGET].dtype)
        targets[TARGET] = torch.einsum("jik,jk->ji", moving, targets[TARGET])
    return replace(sample, jets=jets, targets=targets)
