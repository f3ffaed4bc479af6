"""Where a training draws its jets from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from ...array_types import F8, I8
from .labelled_jets import LabelledJets

__all__ = ["Source"]


class Source(Protocol):
    """Labelled jets, in batches or in their own order.

    The batches of an epoch follow from its number (and from the source's own seed) alone: epoch and batch are all that
    a training has to remember of its place.
    """

    @property
    def numbers(self) -> I8:
        """Jets per class, shape (n_classes,)."""

    @property
    def weight_sums(self) -> F8:
        """Sum of the jets' weights per class, shape (n_classes,)."""

    @property
    def pt_range(self) -> tuple[float, float]:
        """Lowest and highest jet pT in GeV, rounded outwards to three digits."""

    @property
    def description(self) -> str:
        """Where the jets come from, for the card."""

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds of the jets: ``number``, ``sha256`` of all that network and loss see, and more."""

    def probe(self, number: int) -> LabelledJets:
        """At most `number` of the jets, spread over all of them."""

    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch."""

    def batches(self, epoch: int, first: int = 0) -> Iterator[LabelledJets]:
        """The batches of an epoch, from number `first` on."""

    def chunks(self) -> Iterator[LabelledJets]:
        """All jets once, in their own order."""
