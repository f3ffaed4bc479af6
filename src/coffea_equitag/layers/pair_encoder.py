"""The input encoder of PELICAN: trainable powers that compress invariants spread over many orders of magnitude."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PairEncoder"]

#: Added to |x| in the form for angles, as in the official code.
_ANGLE_FLOOR = 1e-5


class PairEncoder(nn.Module):
    """sgn(x) [(1 + |x|)^a − 1] / a for each channel: between logarithm (a → 0) and identity (a = 1).

    a = 1e-6 + α² with trainable α, initialized from 0.05 to 0.5 across the channels.

    Parameters
    ----------
    channels : int
        Number of channels C.
    angles : bool
        Use the form for angles of the infrared- and collinear-safe variant: [(1e-5 + |x|)^a − 1] / a.
    """

    def __init__(self, channels: int, *, angles: bool = False) -> None:
        super().__init__()
        self.angles = angles
        self.alpha = nn.Parameter(torch.linspace(0.05, 0.5, channels))

    def forward(self, pairs_QC: Tensor) -> Tensor:
        """Encode values (Q, C)."""
        a = 1e-6 + self.alpha**2
        size = pairs_QC.abs()
        if self.angles:
            return torch.expm1(a * torch.log(_ANGLE_FLOOR + size)) / a
        return pairs_QC.sign() * torch.expm1(a * torch.log1p(size)) / a
