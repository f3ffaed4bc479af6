"""The edge convolution of ParticleNet on ragged graphs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..invariants.neighbours import Neighbours
from .batch_norm import RowBatchNorm
from .segments import segment_mean

__all__ = ["EdgeConv"]


class EdgeConv(nn.Module):
    """EdgeConv block (Qu, Gouskos, Phys. Rev. D 101 (2020) 056019, Fig. 1).

    Each edge [x_i, x_j − x_i] passes through a small network; the mean over i's neighbours is added to a shortcut
    of x_i. The first layer is linear in x_i and x_j, so it is applied per constituent and gathered:
    A x_i + B (x_j − x_i) = (A − B) x_i + B x_j. Batch normalization runs over these edges only, never over padding; an
    edge from a phantom (`invariants.neighbours.with_phantoms`), [x_i, 0 − x_i], is one of them.

    Parameters
    ----------
    in_features : int
        Channels of the constituents.
    channels : sequence of int
        Widths of the edge network; the last is the width of the output.
    n_pair : int
        Number of further features per edge, concatenated to it.
    """

    def __init__(self, in_features: int, channels: Sequence[int], n_pair: int = 0) -> None:
        super().__init__()
        self.n_pair = n_pair
        widths = [2 * in_features + n_pair, *channels]
        self.linears = nn.ModuleList(nn.Linear(before, after, bias=False) for before, after in pairwise(widths))
        self.norms = nn.ModuleList(RowBatchNorm(width) for width in channels)
        self.shortcut: nn.Module = nn.Identity()
        if in_features != channels[-1]:
            self.shortcut = nn.Sequential(nn.Linear(in_features, channels[-1], bias=False), RowBatchNorm(channels[-1]))

    def forward(self, x_NF: Tensor, edges: Neighbours, pair_PE: Tensor | None = None) -> Tensor:
        """Convolve.

        Parameters
        ----------
        x_NF : Tensor, shape (N, in_features)
            The constituents.
        edges : Neighbours
            The edges of the graph.
        pair_PE : Tensor, shape (P, n_pair), optional
            Further features of the edges.

        Returns
        -------
        Tensor, shape (N, channels[-1])
            For a constituent without neighbours, the shortcut only.
        """
        messages: Tensor = self.first(x_NF, edges, pair_PE)
        messages = torch.relu(self.norms[0](messages))
        for linear, norm in zip(self.linears[1:], self.norms[1:], strict=True):
            messages = torch.relu(norm(linear(messages)))
        return torch.relu(self.shortcut(x_NF) + segment_mean(messages, edges.offsets))

    def first(self, x_NF: Tensor, edges: Neighbours, pair_PE: Tensor | None) -> Tensor:
        """The first layer of the edge network, computed per constituent: shape (P, channels[0])."""
        linear = self.linears[0]
        assert isinstance(linear, nn.Linear)
        f = x_NF.shape[1]
        w_own, w_difference, w_pair = torch.split(linear.weight, [f, f, self.n_pair], dim=1)
        # one row more: phantoms, which are 0
        own, other = x_NF @ (w_own - w_difference).T, nn.functional.pad(x_NF @ w_difference.T, (0, 0, 0, 1))
        out_PC = own.index_select(0, edges.receiver) + other.index_select(0, edges.sender)
        return out_PC if pair_PE is None else torch.addmm(out_PC, pair_PE, w_pair.T)
