"""ψ: a signed logarithm for invariants spread over many orders of magnitude."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["psi"]


def psi(x: Tensor) -> Tensor:
    """ψ(x) = sgn(x) log(1 + |x|), any shape (LorentzNet, JHEP 07 (2022) 030, eq. 3.4)."""
    return torch.sign(x) * torch.log1p(torch.abs(x))
