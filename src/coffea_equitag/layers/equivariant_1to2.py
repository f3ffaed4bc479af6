"""The 1→2 layer of PELICAN: from scalars of constituents to pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .aggregates import Aggregation
from .channel_mixing import ChannelMixing
from .squares import Squares

__all__ = ["Equivariant1to2"]


class Equivariant1to2(nn.Module):
    """All permutation-equivariant linear maps from nodes to pairs: δ x_i, x_j, x_i, δ mean, mean.

    Each is multiplied by (n/n̄)^α, with α initialized to 0; LeakyReLU follows the mixing of channels. Parameters as in
    `Equivariant2to2`; the coefficients are not factorized.
    """

    def __init__(self, inputs: int, outputs: int, *, aggregation: Aggregation, diagonal: bool = True) -> None:
        super().__init__()
        self.aggregation, self.diagonal = aggregation, diagonal
        self.power = aggregation.power(inputs, 5, random=False)
        self.mixing = ChannelMixing(inputs, outputs, 5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, nodes_NC: Tensor, squares: Squares, weight_N: Tensor | None = None) -> Tensor:
        """From node values (N, C) to pairs (Q, outputs)."""
        w1, w2, w3, w4, w5 = self.mixing().double()
        jet, dtype, nodes_NC = squares.jet, nodes_NC.dtype, nodes_NC.double()
        mean = self.aggregation.over_jets(nodes_NC, squares, weight_N)
        if self.power is None:
            f1 = f2 = f3 = f4 = f5 = nodes_NC.new_ones(1, 1)
        else:
            factors = self.power(squares.counts)
            f1, f2, f3 = factors[jet, :, :3].unbind(2)
            f4, f5 = factors[:, :, 3:].unbind(2)
        row_N = (nodes_NC * f3) @ w3 + ((mean * f5) @ w5 + self.bias)[jet]
        column_N = (nodes_NC * f2) @ w2
        diagonal_N = torch.zeros_like(row_N)
        if self.diagonal:
            diagonal_N = (nodes_NC * f1) @ w1 + ((mean * f4) @ w4)[jet]
        return nn.functional.leaky_relu_(
            squares.assemble(None, row_N.to(dtype), column_N.to(dtype), diagonal_N.to(dtype))
        )
