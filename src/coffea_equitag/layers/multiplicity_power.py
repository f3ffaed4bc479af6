"""Dependence of PELICAN's aggregates on the number of constituents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MultiplicityPower"]


class MultiplicityPower(nn.Module):
    """(n / n̄)^α with a trainable α for each channel and operation: interpolates between means and sums.

    Parameters
    ----------
    channels, operations : int
        Shape of α.
    mean_count : float
        n̄, the typical number of constituents.
    random : bool
        Initialize α ~ U[0, 1) instead of 0.
    """

    def __init__(self, channels: int, operations: int, *, mean_count: float, random: bool) -> None:
        super().__init__()
        self.mean_count = mean_count
        start = torch.rand if random else torch.zeros
        self.exponent = nn.Parameter(start(channels, operations))

    def forward(self, counts: Tensor) -> Tensor:
        """Factors (J, C, operations), float64, for jets with `counts` (J,) nodes; an empty jet counts as one node."""
        ratio = counts.clamp(min=1).double() / self.mean_count
        return ratio[:, None, None] ** self.exponent.double()
