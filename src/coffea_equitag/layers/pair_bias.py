"""Particle Transformer's embedding of pair features as a bias of the attention."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from .batch_norm import RowBatchNorm
from .unordered_pairs import UnorderedPairs

__all__ = ["PairBias"]


class PairBias(nn.Module):
    """Features that are symmetric in i and j to one bias per head, by a network on each pair.

    Parameters
    ----------
    features : int
        Features F of a pair.
    widths : sequence of int
        Hidden widths.
    heads : int
        Heads H.
    last_activation : bool
        Whether GELU follows the last layer too.
    with_self : bool
        Whether a constituent with itself is a pair; else its bias is 0.
    """

    def __init__(
        self,
        features: int,
        widths: Sequence[int],
        heads: int,
        *,
        last_activation: bool = True,
        with_self: bool = True,
    ) -> None:
        super().__init__()
        self.with_self, self.heads = with_self, heads
        self.embed = nn.Sequential(RowBatchNorm(features))
        for before, after in pairwise([features, *widths, heads]):
            self.embed.extend([nn.Linear(before, after), RowBatchNorm(after), nn.GELU()])
        if not last_activation:
            del self.embed[-1]

    def forward(self, features_TF: Tensor, pairs: UnorderedPairs) -> Tensor:
        """Bias (Q, H) in the square layout, of the features of unordered pairs."""
        if self.with_self:
            bias_TH = self.embed(features_TF)
        else:
            others = (pairs.first != pairs.second).nonzero()[:, 0]
            bias_TH = features_TF.new_zeros(len(features_TF), self.heads)
            bias_TH = bias_TH.index_copy(0, others, self.embed(features_TF[others]))
        bias: Tensor = bias_TH[pairs.of_square]
        return bias
