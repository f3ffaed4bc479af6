"""The place of a batch in a training, and the state of a training between two batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..data import LabelledJets

__all__ = ["Batch", "Progress"]


@dataclass(frozen=True)
class Batch:
    """Jets with their place in the training: batch `index` of `total` in `epoch`."""

    sample: LabelledJets
    epoch: int = 0
    index: int = 0
    total: int = 1

    def to(self, device: torch.device) -> Batch:
        """Copy to a device."""
        return replace(self, sample=self.sample.to(device))


@dataclass
class Progress:
    """State of a training: `batches` of `epoch` are done, with these sums over their jets.

    `pair_budget` is what the memory has sufficed for so far; None means no limit.
    """

    epoch: int = 0
    batches: int = 0
    loss: float = 0.0
    right: int = 0
    jets: int = 0
    pair_budget: int | None = None
