"""The ordered pairs of constituents within each jet, as flat indices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..jets.ragged import boundaries

__all__ = ["Pairs"]


@dataclass(frozen=True)
class Pairs:
    """All ordered pairs i ≠ j of each jet, grouped by receiver i.

    Besides the list of P pairs there is the square layout for matrices over a jet's constituents: one n × n row-major
    block per jet, diagonal included, Q = Σ n² entries.

    Attributes
    ----------
    receiver, sender : Tensor of int64, shape (P,)
        Rows of i and j among the N constituents.
    place : Tensor of int64, shape (P,)
        Index of (i, j) in the square layout.
    diagonal : Tensor of int64, shape (N,)
        Index of (i, i) in the square layout.
    offsets : Tensor of int64, shape (N + 1,)
        The pairs of receiver i are ``offsets[i]:offsets[i + 1]``.
    runs : tuple of (int, int)
        (B, n) of each run of B consecutive jets of n constituents, which are multiplied together.
    """

    receiver: Tensor
    sender: Tensor
    place: Tensor
    diagonal: Tensor
    offsets: Tensor
    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, jet_offsets: Tensor) -> Pairs:
        """List the pairs of jets with the given boundaries (J + 1,)."""
        device = jet_offsets.device
        counts = jet_offsets[1:] - jet_offsets[:-1]
        total = int(jet_offsets[-1])
        n = torch.repeat_interleave(counts, counts)
        start = torch.repeat_interleave(jet_offsets[:-1], counts)
        square = torch.repeat_interleave(boundaries(counts * counts)[:-1], counts)
        local = torch.arange(total, device=device) - start
        row = square + local * n
        offsets = boundaries(n - 1)
        receiver = torch.repeat_interleave(torch.arange(total, device=device), n - 1)
        other = torch.arange(int(offsets[-1]), device=device) - offsets[receiver]
        other = other + (other >= local[receiver])
        sizes, repeats = torch.unique_consecutive(counts, return_counts=True)
        return cls(
            receiver=receiver,
            sender=start[receiver] + other,
            place=row[receiver] + other,
            diagonal=row + local,
            offsets=offsets,
            runs=tuple(zip(repeats.tolist(), sizes.tolist(), strict=True)),
        )

    def similarity(self, matrix_Q: Tensor, gram_Q: Tensor) -> Tensor:
        """S G Sᵀ for each jet, in the square layout (Q,)."""
        blocks: list[Tensor] = []
        at = 0
        for jets, n in self.runs:
            last = at + jets * n * n
            s, g = (values[at:last].view(jets, n, n) for values in (matrix_Q, gram_Q))
            blocks.append((s @ g @ s.transpose(1, 2)).reshape(-1))
            at = last
        return torch.cat(blocks) if blocks else gram_Q
