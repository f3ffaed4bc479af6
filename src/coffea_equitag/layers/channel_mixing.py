"""Coefficients that mix the channels of PELICAN's aggregates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ChannelMixing"]


class ChannelMixing(nn.Module):
    """C_dsb from input channel d and operation b to output channel s.

    Factorized, C_dsb = A_db B_ds + A'_sb B'_ds (PELICAN, arXiv:2307.16506): most of the expressivity with a small
    fraction of the weights.

    Parameters
    ----------
    inputs, outputs, operations : int
        Ranges of d, s, b.
    factorize : bool
        Factorized or free coefficients.
    variance : float
        Free coefficients are initialized with variance ``variance / (inputs · operations)``.
    """

    def __init__(
        self, inputs: int, outputs: int, operations: int, *, factorize: bool = False, variance: float = 2.0
    ) -> None:
        super().__init__()
        self.factorize = factorize
        if factorize:
            self.operation_of_input = nn.Parameter(torch.randn(inputs, operations) * operations**-0.5)
            self.operation_of_output = nn.Parameter(torch.randn(outputs, operations) * operations**-0.5)
            self.channels_by_input = nn.Parameter(torch.randn(inputs, outputs) * inputs**-0.5)
            self.channels_by_output = nn.Parameter(torch.randn(inputs, outputs) * inputs**-0.5)
        else:
            scale = (variance / (inputs * operations)) ** 0.5
            self.coefficients = nn.Parameter(torch.randn(inputs, outputs, operations) * scale)

    def forward(self) -> Tensor:
        """The coefficients, operation first: shape (operations, inputs, outputs)."""
        if not self.factorize:
            return self.coefficients.permute(2, 0, 1)
        by_input = self.operation_of_input.T[:, :, None] * self.channels_by_input
        by_output = self.operation_of_output.T[:, None, :] * self.channels_by_output
        return by_input + by_output
