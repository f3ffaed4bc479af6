"""The permutation-equivariant 2→2 layer of PELICAN, in collapsed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .aggregates import Aggregation
from .channel_mixing import ChannelMixing
from .squares import Squares

__all__ = ["Equivariant2to2"]


class Equivariant2to2(nn.Module):
    """All linear maps from pairs to pairs that commute with permutations (Bogatskiy et al., arXiv:2211.00454).

    There are fifteen, written with row_i = mean_j X_ij, col_j = mean_i X_ij, tr = mean_k X_kk and tot the mean of all
    X_ij:

        1 X_ij      2 X_ji      3 δ X_ii    4 X_jj      5 X_ii
        6 δ col_i   7 col_j     8 col_i     9 δ row_i  10 row_j   11 row_i
       12 tr       13 δ tr     14 tot      15 δ tot

    Aggregates (6 to 15) are multiplied by (n/n̄)^α. Only 1 and 2 are full matrices, so all fifteen with their
    coefficients reduce to X·W₁ + (X·W₂)ᵀ + u_i + v_j + δ_ij d_i, where u, v, d cost one product per node instead of
    one per pair: 5 times fewer operations than stacking the fifteen, and none of the memory of the stack.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    factorize : bool
        Factorized coefficients (`ChannelMixing`).
    aggregation : Aggregation
        Means or sums, and n̄.
    diagonal : bool
        Keep the operations with a δ_ij and the bias of the diagonal. Without them, a particle that splits into two
        collinear ones cannot be distinguished from the original.
    """

    def __init__(
        self, inputs: int, outputs: int, *, factorize: bool, aggregation: Aggregation, diagonal: bool = True
    ) -> None:
        super().__init__()
        self.aggregation, self.diagonal = aggregation, diagonal
        self.power = aggregation.power(inputs, 10, random=True)
        self.mixing = ChannelMixing(inputs, outputs, 15, factorize=factorize)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.diagonal_bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, pairs_QC: Tensor, squares: Squares, weight_N: Tensor | None = None) -> Tensor:
        """Apply the mixed operations, then LeakyReLU.

        Parameters
        ----------
        pairs_QC : Tensor, shape (Q, C)
            X in the square layout.
        squares : Squares
            The layout.
        weight_N : Tensor, shape (N,), optional
            Weights of the nodes in every aggregate (infrared- and collinear-safe variant).

        Returns
        -------
        Tensor, shape (Q, outputs)
        """
        w1, w2, *node_weights = self.mixing()
        # node terms in double precision: they cancel, and the rounding error of their sums would reach every pair
        w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15 = torch.stack(node_weights).double()
        a = self.aggregation(pairs_QC, squares, weight_N)
        jet = squares.jet
        if self.power is None:
            f6 = f7 = f8 = f9 = f10 = f11 = f12 = f13 = f14 = f15 = w3.new_ones(1, 1)
        else:
            factors = self.power(squares.counts)
            f6, f7, f8, f9, f10, f11 = factors[jet, :, :6].unbind(2)
            f12, f13, f14, f15 = factors[:, :, 6:].unbind(2)
        whole_J = (a.trace * f12) @ w12 + (a.total * f14) @ w14 + self.bias
        row_N = a.diagonal @ w5 + (a.column * f8) @ w8 + (a.row * f11) @ w11 + whole_J[jet]
        column_N = a.diagonal @ w4 + (a.column * f7) @ w7 + (a.row * f10) @ w10
        diagonal_N = torch.zeros_like(row_N)
        if self.diagonal:
            whole_J = (a.trace * f13) @ w13 + (a.total * f15) @ w15 + self.diagonal_bias
            diagonal_N = a.diagonal @ w3 + (a.column * f6) @ w6 + (a.row * f9) @ w9 + whole_J[jet]
        both = pairs_QC @ torch.cat([w1, w2], dim=1)
        mixed = squares.assemble(both, row_N.to(both), column_N.to(both), diagonal_N.to(both))
        # in place: nothing else refers to the result of `assemble`
        return nn.functional.leaky_relu_(mixed)
