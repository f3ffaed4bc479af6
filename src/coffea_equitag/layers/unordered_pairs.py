"""The unordered pairs of constituents within each jet, each with itself included."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..jets.ragged import boundaries
from .squares import Squares

__all__ = ["UnorderedPairs"]


@dataclass(frozen=True)
class UnorderedPairs:
    """All pairs j ≤ i of each jet, grouped by i: T = Σ n(n + 1)/2, half of what the square layout holds.

    Attributes
    ----------
    first, second : Tensor of int64, shape (T,)
        Rows of i and j among the N constituents.
    place : Tensor of int64, shape (T,)
        Index of (i, j) in the square layout.
    diagonal : Tensor of int64, shape (N,)
        Index of (i, i) in the square layout.
    of_square : Tensor of int64, shape (Q,)
        Index of the pair {i, j} of each entry of the square layout.
    """

    first: Tensor
    second: Tensor
    place: Tensor
    diagonal: Tensor
    of_square: Tensor

    @classmethod
    def of(cls, squares: Squares) -> UnorderedPairs:
        """List the pairs of jets in the square layout."""
        n_N, start_N = squares.counts[squares.jet], squares.offsets[:-1][squares.jet]
        row_N, node_N = boundaries(n_N), torch.arange(squares.num_nodes, device=n_N.device)
        local_N = node_N - start_N
        pair_N = boundaries(local_N + 1)
        first = torch.repeat_interleave(node_N, local_N + 1)
        other = torch.arange(len(first), device=n_N.device) - pair_N[first]
        receiver = torch.repeat_interleave(node_N, n_N)
        sender = torch.arange(len(receiver), device=n_N.device) - row_N[receiver] + start_N[receiver]
        last, earlier = torch.maximum(receiver, sender), torch.minimum(receiver, sender)
        return cls(
            first=first,
            second=start_N[first] + other,
            place=row_N[first] + other,
            diagonal=row_N[:-1] + local_N,
            of_square=pair_N[last] + earlier - start_N[last],
        )
