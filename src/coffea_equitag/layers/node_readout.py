"""LGN's readout by perceptrons: one on the invariants of each node, one on their sum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..recording import jet_rows
from .segments import segment_sum

__all__ = ["NodeReadout", "real_parts_first"]


class NodeReadout(nn.Module):
    """logits = MLP₂(Σ_i MLP₁(x_i)), one hidden layer of 256 and LeakyReLU each (LGN's ``--top pmlp``).

    Parameters
    ----------
    invariants : int
        Complex invariants per node.
    width : int
        Numbers that are summed over a jet, in units of `invariants`.
    n_classes : int
        Logits per jet.
    """

    def __init__(self, invariants: int, width: int, n_classes: int) -> None:
        super().__init__()
        self.of_nodes = _perceptron(2 * invariants, width * invariants)
        self.of_jets = _perceptron(width * invariants, n_classes)

    def forward(self, x_NK: Tensor, offsets: Tensor) -> Tensor:
        """Logits (J, n_classes) from the nodes' numbers (N, 2 × invariants) and the jets' boundaries (J + 1,)."""
        sums_JC = segment_sum(self.of_nodes(x_NK), offsets)
        jet_rows.record(sums_JC)
        logits: Tensor = self.of_jets(sums_JC)
        return logits


def real_parts_first(values_2NK: Tensor, offsets: Tensor) -> Tensor:
    """Rows (N, 2 K) as the official code reads complex numbers of one jet: all real parts, then all imaginary ones.

    It takes an array [Re, Im][node][K] for one of [node][2 K], without a transposition. A jet of n nodes therefore has
    n rows that hold the real parts of two successive nodes each, and from the middle on their imaginary parts.
    """
    counts = torch.diff(offsets)
    jet = torch.repeat_interleave(torch.arange(len(counts), device=offsets.device), counts)
    start, n = offsets[:-1][jet], counts[jet]
    place = 2 * (torch.arange(len(jet), device=offsets.device) - start)
    halves = [values_2NK[(at >= n).long(), start + at % n] for at in (place, place + 1)]
    return torch.cat(halves, dim=1)


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 256), nn.LeakyReLU(), nn.Linear(256, outputs))
