"""Classification whose score should not tell a property of the jets, usually their mass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ..data import LabelledJets
from ..data.truth import DECORRELATED
from .classification import Classification
from .distance_correlation import distance_correlation, in_blocks

__all__ = ["Decorrelated"]


class Decorrelated(Classification):
    """Cross-entropy + λ · dCorr²(score of the signal, property) over the jets of a batch that are not signal.

    Parameters
    ----------
    signal, label_smoothing : int and float
        See `Classification`.
    strength : float
        λ; the distance correlation is that of arXiv:2001.05310.
    """

    monitors: ClassVar[Mapping[str, bool]] = {**Classification.monitors, "distance_correlation": True}
    whole_batch: ClassVar[bool] = True

    def __init__(self, signal: int, strength: float, label_smoothing: float = 0.0) -> None:
        super().__init__(signal, label_smoothing)
        self.strength = strength

    def batch_loss(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """λ · dCorr² of the batch."""
        weights = sample.weights.clamp(min=0) * (sample.labels != self.signal)
        score = torch.softmax(output.double(), dim=1)[:, self.signal]
        return self.strength * distance_correlation(score, sample.targets[DECORRELATED], weights)

    def observe(self, output: Tensor, sample: LabelledJets) -> dict[str, Tensor]:
        """As `Classification`, and the property."""
        return super().observe(output, sample) | {"property": sample.targets[DECORRELATED].cpu()}

    def metrics(self, observed: Mapping[str, Tensor]) -> dict[str, float]:
        """As `Classification`; the loss has both terms."""
        found = super().metrics(observed)
        weights = observed["weights"].clamp(min=0) * (observed["labels"] != self.signal)
        score, kept = torch.softmax(observed["output"], dim=1)[:, self.signal], weights > 0
        correlation = in_blocks(score[kept], observed["property"][kept], weights[kept])
        loss = found["loss"] + self.strength * correlation
        return found | {"loss": loss, "distance_correlation": correlation}
