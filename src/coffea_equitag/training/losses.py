"""Losses other than the cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["momentum_loss", "momentum_losses"]

#: In GeV²; keeps the gradient of the square root finite.
_FLOOR = 1e-8


def momentum_loss(
    predicted_J4: Tensor, target_J4: Tensor, *, mass_weight: float = 0.05, momentum_weight: float = 0.01
) -> Tensor:
    """0.05 ⟨|m − m'|⟩ + 0.01 ⟨|p − p'|⟩, for four-momentum regression (PELICAN, arXiv:2307.16506).

    Parameters
    ----------
    predicted_J4, target_J4 : Tensor, shape (J, 4)
        (E, px, py, pz) in GeV.
    mass_weight, momentum_weight : float
        Weights of the two terms in 1/GeV. A space-like prediction has a negative mass −√|m²|.

    Returns
    -------
    Tensor, scalar
        NaN if there are no jets.
    """
    return momentum_losses(predicted_J4, target_J4, mass_weight=mass_weight, momentum_weight=momentum_weight).mean()


def momentum_losses(
    predicted_J4: Tensor, target_J4: Tensor, *, mass_weight: float = 0.05, momentum_weight: float = 0.01
) -> Tensor:
    """The same for each jet, shape (J,)."""
    mass = (_mass(predicted_J4) - _mass(target_J4)).abs()
    momentum: Tensor = torch.linalg.vector_norm(predicted_J4[:, 1:] - target_J4[:, 1:], dim=1)
    return mass_weight * mass + momentum_weight * momentum


def _mass(p4_J4: Tensor) -> Tensor:
    square = p4_J4[:, 0].square() - p4_J4[:, 1:].square().sum(1)
    return square.sign() * torch.sqrt(square.abs() + _FLOOR)
