"""The 2→1 and 2→0 layers of PELICAN: from pairs to constituents and to the jet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .aggregates import Aggregation
from .channel_mixing import ChannelMixing
from .squares import Squares

__all__ = ["Equivariant2to0", "Equivariant2to1"]


class Equivariant2to1(nn.Module):
    """All permutation-equivariant linear maps from pairs to nodes: X_ii, row_i, col_i, tr, tot.

    Each is multiplied by (n/n̄)^α, with α initialized to 0, and passed through LeakyReLU before the channels are mixed.
    Parameters as in `Equivariant2to2`.
    """

    def __init__(self, inputs: int, outputs: int, *, factorize: bool, aggregation: Aggregation) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.power = aggregation.power(inputs, 5, random=False)
        self.mixing = ChannelMixing(inputs, outputs, 5, factorize=factorize)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, pairs_QC: Tensor, squares: Squares, weight_N: Tensor | None = None) -> Tensor:
        """From X (Q, C) to node values (N, outputs)."""
        a, jet = self.aggregation(pairs_QC, squares, weight_N), squares.jet
        operations = torch.stack([a.diagonal, a.row, a.column, a.trace[jet], a.total[jet]], dim=2)
        if self.power is not None:
            operations = operations * self.power(squares.counts)[jet]
        mixed = torch.einsum("ndb,bds->ns", nn.functional.leaky_relu(operations), self.mixing().double())
        return (mixed + self.bias).to(pairs_QC)


class Equivariant2to0(nn.Module):
    """All permutation-invariant linear maps from pairs to the jet: tot and tr.

    Each is multiplied by (n/n̄)^α and passed through LeakyReLU before the channels are mixed. Parameters as in
    `Equivariant2to2`; the coefficients are not factorized.
    """

    def __init__(self, inputs: int, outputs: int, *, aggregation: Aggregation) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.power = aggregation.power(inputs, 2, random=True)
        self.mixing = ChannelMixing(inputs, outputs, 2, variance=4.0)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, pairs_QC: Tensor, squares: Squares, weight_N: Tensor | None = None) -> Tensor:
        """From X (Q, C) to jet values (J, outputs)."""
        a = self.aggregation(pairs_QC, squares, weight_N)
        operations = torch.stack([a.total, a.trace], dim=2)
        if self.power is not None:
            operations = operations * self.power(squares.counts)
        mixed = torch.einsum("jdb,bds->js", nn.functional.leaky_relu(operations), self.mixing().double())
        return (mixed + self.bias).to(pairs_QC)
