"""What a training minimises and measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ..data import LabelledJets

__all__ = ["Objective"]


class Objective(Protocol):
    """The loss per jet, and what the validation measures."""

    @property
    def monitors(self) -> Mapping[str, bool]:
        """Metrics that can select the best epoch, and whether a lower value is better."""

    @property
    def whole_batch(self) -> bool:
        """Whether there is a `batch_loss`: then a batch in pieces is processed twice, first for its outputs."""

    def output(self, model: JetModel, jets: RaggedJets) -> Tensor:
        """What the network says of the jets, shape (J, ...)."""

    def losses(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """Loss of each jet without its weight, shape (J,)."""

    def batch_loss(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """What the jets of a batch lose together, a scalar: beside Σ w l / Σ w, and independent of the scale of w."""

    def correct(self, output: Tensor, sample: LabelledJets) -> Tensor | None:
        """Number of jets whose class is found, a scalar; None where there are no classes."""

    def observe(self, output: Tensor, sample: LabelledJets) -> dict[str, Tensor]:
        """What the metrics need of some validation jets: one row per jet, on the CPU; ``output`` must be finite."""

    def metrics(self, observed: Mapping[str, Tensor]) -> dict[str, float]:
        """Metrics of all validation jets, ``loss`` among them."""
