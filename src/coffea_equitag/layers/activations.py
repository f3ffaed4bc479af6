"""Activations of perceptrons, by the names that the official LGN gives them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "ActivationName", "ArcTangent"]

ActivationName = Literal["leakyrelu", "relu", "elu", "sigmoid", "logsigmoid", "atan"]


class ArcTangent(nn.Module):
    """arctan x."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each number."""
        return torch.atan(x)


#: Types of the activations.
ACTIVATIONS: dict[ActivationName, type[nn.Module]] = {
    "leakyrelu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "sigmoid": nn.Sigmoid,
    "logsigmoid": nn.LogSigmoid,
    "atan": ArcTangent,
}
