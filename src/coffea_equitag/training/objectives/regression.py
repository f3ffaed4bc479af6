"""Regression of vectors: the loss of PELICAN for four-momenta, and how far momenta are off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ...evaluation.resolution import momentum_resolution
from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ..data import LabelledJets
from ..data.truth import TARGET
from ..losses import momentum_losses

__all__ = ["MomentumRegression", "VectorRegression"]


class VectorRegression:
    """⟨|v − v'|⟩ of 3-vectors, in the units of the target."""

    monitors: ClassVar[Mapping[str, bool]] = {"loss": True}
    whole_batch: ClassVar[bool] = False

    def output(self, model: JetModel, jets: RaggedJets) -> Tensor:
        """Vectors (J, 3) or four-momenta (J, 4)."""
        vectors: Tensor = model(jets)
        return vectors

    def losses(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """|v − v'| of each jet, shape (J,)."""
        distance: Tensor = torch.linalg.vector_norm(output.double() - sample.targets[TARGET], dim=1)
        return distance

    def batch_loss(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """Nothing that needs the whole batch."""
        return output.new_zeros(())

    def correct(self, output: Tensor, sample: LabelledJets) -> None:
        """There are no classes."""

    def observe(self, output: Tensor, sample: LabelledJets) -> dict[str, Tensor]:
        """Vectors, the true ones, losses and weights."""
        found = {"output": output.double(), "target": sample.targets[TARGET], "weights": sample.weights}
        return {name: values.cpu() for name, values in found.items()} | {"loss": self.losses(output, sample).cpu()}

    def metrics(self, observed: Mapping[str, Tensor]) -> dict[str, float]:
        """The mean loss."""
        losses, weights = observed["loss"].double(), observed["weights"]
        return {"loss": float((weights * losses).sum() / weights.sum())}


class MomentumRegression(VectorRegression):
    """0.05 |m − m'| + 0.01 |p − p'| (GeV) of four-momenta, as PELICAN (arXiv:2307.16506)."""

    monitors: ClassVar[Mapping[str, bool]] = dict.fromkeys(
        ("loss", "mass_resolution", "pt_resolution", "angle_resolution"), True
    )

    def losses(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """The loss of each jet, shape (J,)."""
        return momentum_losses(output.double(), sample.targets[TARGET])

    def metrics(self, observed: Mapping[str, Tensor]) -> dict[str, float]:
        """Loss; medians and half-widths of m/m_true and pT/pT_true; 68% quantile of the angle, in rad."""
        weights = observed["weights"].clamp(min=0)
        found = momentum_resolution(
            observed["output"].numpy(), observed["target"].numpy(), weights=weights.numpy(), replicas=0
        )
        return super().metrics(observed) | {
            "mass_response": found.mass.median.value,
            "mass_resolution": found.mass.width.value,
            "pt_response": found.pt.median.value,
            "pt_resolution": found.pt.width.value,
            "angle_resolution": found.angle.width.value,
        }
