"""Labelled jets with the outputs of a run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ...array_types import F8, I8
from ...tagger import Tagger
from ..data import LabelledJets
from ..data.truth import TARGET, Truth

__all__ = ["ScoredJets"]


@dataclass(frozen=True)
class ScoredJets:
    """Labelled jets with what a run says of them.

    Attributes
    ----------
    identity : str
        Which jets they are.
    scores : ndarray, shape (J, n_classes) or (J, 4)
        Probabilities, or momenta.
    truth : ndarray, shape (J,) or (J, 4)
        Classes, or true momenta.
    weights : ndarray, shape (J,)
    """

    identity: str
    scores: F8
    truth: I8 | F8
    weights: F8

    @classmethod
    def of(cls, tagger: Tagger, jets: ak.Array, labels: str = "label", identity: str = "given jets") -> ScoredJets:
        """Score jets.

        Raises
        ------
        JetError
            For jets that cannot be scored, or without labels.
        """
        model, card = tagger.model, tagger.card
        if not tagger.classes:
            target = card.training.recipe["target"] if card.training is not None else "momentum"
            sample = LabelledJets.of(jets, None, 1, model.fields, Truth(target, model.output))
            found, truth = tagger.outputs(sample.jets), sample.targets[TARGET].numpy()
            return cls(identity, found, truth, sample.weights.numpy())
        sample = LabelledJets.of(jets, labels, len(tagger.classes), model.fields)
        scores = tagger.probabilities(sample.jets).astype(np.float64)
        return cls(identity, scores, sample.labels.numpy(), sample.weights.numpy())

    def to_bytes(self) -> bytes:
        """A file that `from_bytes` reads; probabilities have float32's precision, which is that of taggers."""
        columns: dict[str, Any] = {"scores": self.scores, "truth": self.truth, "weights": self.weights}
        if self.truth.ndim == 1:
            columns |= {"scores": self.scores.astype(np.float32), "truth": self.truth.astype(np.int16)}
        content = io.BytesIO()
        np.savez_compressed(content, identity=np.array(self.identity), **columns)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> ScoredJets:
        """Read what `to_bytes` made."""
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            truth = file["truth"]
            truth = truth.astype(np.int64) if truth.ndim == 1 else truth
            return cls(str(file["identity"]), file["scores"].astype(np.float64), truth, file["weights"])
