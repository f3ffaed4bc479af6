"""PELICAN's four-momenta: what the weights of constituents and spurions add up to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..jets.ragged import RaggedJets
from ..layers.segments import segment_sum

__all__ = ["momenta", "of_constituents"]


def momenta(
    jets: RaggedJets,
    weights_NB: Tensor,
    blocks: Sequence[Sequence[Sequence[float]]],
    spurions: Sequence[Sequence[float]],
) -> Tensor:
    """Σ_i Σ_b c_ib M_b p_i over the nodes of each jet, spurions first: (J, 4) in GeV, float64."""
    if spurions:
        q = jets.p4.new_tensor(spurions)
        jets = jets.prepend(q, q.new_zeros(len(q)))
    moved = torch.einsum("nb,bkl,nl->nk", weights_NB.double(), jets.p4.new_tensor(blocks), jets.p4)
    return segment_sum(moved, jets.offsets)


def of_constituents(values_NB: Tensor, jets: RaggedJets, spurions: int) -> Tensor:
    """Rows of nodes without those of the spurions, which come first in each jet."""
    counts = torch.stack([torch.full_like(jets.counts, spurions), jets.counts], dim=1)
    kinds = counts.new_tensor([0, 1]).repeat(jets.num_jets)
    return values_NB[torch.repeat_interleave(kinds, counts.flatten()).bool()]
