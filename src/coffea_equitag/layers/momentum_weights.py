"""First weights of what gives each constituent its share in a momentum."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["begin_with_sum"]

#: Divides the first weights, so that the shares differ by per cent from constituent to constituent.
_DIVISOR = 10.0


def begin_with_sum(linear: nn.Module) -> None:
    """Let P = Σ c_i p_i begin near the sum of the constituents: c_i ≈ 1."""
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.div_(_DIVISOR)
        linear.bias.fill_(1.0)
