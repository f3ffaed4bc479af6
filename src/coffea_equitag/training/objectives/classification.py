"""Classification: the cross-entropy, and how well the signal is told from the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...evaluation.metrics import measure
from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ..data import LabelledJets

__all__ = ["Classification"]


class Classification:
    """The cross-entropy of the jets' classes.

    Parameters
    ----------
    signal : int
        The class that AUC and rejections are measured for, against all others.
    label_smoothing : float
        Share of a jet's label that the training's loss spreads evenly over all classes; the metrics know the labels.
    """

    monitors: ClassVar[Mapping[str, bool]] = {"loss": True, "auc": False, "accuracy": False}
    whole_batch: ClassVar[bool] = False

    def __init__(self, signal: int, label_smoothing: float = 0.0) -> None:
        self.signal, self.label_smoothing = signal, label_smoothing

    def output(self, model: JetModel, jets: RaggedJets) -> Tensor:
        """Logits, shape (J, n_classes)."""
        logits: Tensor = model(jets)
        return logits

    def losses(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """Cross-entropy of each jet, shape (J,)."""
        return nn.functional.cross_entropy(
            output.float(), sample.labels, reduction="none", label_smoothing=self.label_smoothing
        )

    def batch_loss(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """Nothing: each jet has a loss of its own."""
        return output.new_zeros(())

    def correct(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """Number of jets whose largest logit is that of their class."""
        return (output.argmax(1) == sample.labels).sum()

    def observe(self, output: Tensor, sample: LabelledJets) -> dict[str, Tensor]:
        """Logits in float64, labels and weights."""
        return {
            "output": output.double().cpu(),
            "labels": sample.labels.cpu(),
            "weights": sample.weights.cpu(),
        }

    def metrics(self, observed: Mapping[str, Tensor]) -> dict[str, float]:
        """Loss, accuracy, AUC and rejections: the loss with the weights of the classes, all with those of the jets."""
        logits, labels, weights = observed["output"], observed["labels"], observed["weights"]
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        scores = torch.softmax(logits, dim=1)[:, self.signal]
        of_jets = observed.get("sample_weights", torch.ones_like(weights))
        plain = bool((of_jets == 1).all())  # intervals are then those of whole numbers of jets
        is_signal = (labels == self.signal).long().numpy()
        measured = measure(scores.numpy(), is_signal, weights=None if plain else of_jets.numpy())
        return {
            "loss": float((weights * losses).sum() / weights.sum()),
            "accuracy": float((of_jets * (logits.argmax(1) == labels)).sum() / of_jets.sum()),
            "auc": measured.auc,
        } | {f"rejection_{100 * r.efficiency:g}": r.value for r in measured.rejections}
