"""What the kernels use of a PELICAN network; `coffea_equitag.models.pelican`, which imports kernels, defines it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ...layers.broken_symmetry import Symmetry
from ...layers.equivariant_1to2 import Equivariant1to2
from ...layers.equivariant_2to2 import Equivariant2to2
from ...layers.equivariant_readout import Equivariant2to0, Equivariant2to1
from ...layers.pair_encoder import PairEncoder
from ...layers.pair_message import PairMessage

__all__ = ["PelicanNetwork"]


class PelicanNetwork(JetModel):
    """The attributes of `PELICAN` as a type; nothing is an instance of it.

    `messages` has one element more than `blocks`. The head is dropout, a linear layer and LeakyReLU.
    """

    embedding: nn.Linear
    encoder: PairEncoder
    scalars_to_pairs: Equivariant1to2 | None
    messages: Sequence[PairMessage]
    blocks: Sequence[Equivariant2to2]
    readout: Equivariant2to0 | Equivariant2to1
    head: nn.Sequential
    message_channels: int
    broken: Symmetry
    by_spurions: bool

    def own_scalars(self, jets: RaggedJets) -> Tensor:
        """Scalars of the constituents, (N, S)."""
        raise NotImplementedError
