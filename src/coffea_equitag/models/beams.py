"""The beams, as reference vectors in each jet."""

from __future__ import annotations

import math

from torch import Tensor

from ..jets.ragged import RaggedJets

__all__ = ["BEAMS", "with_beams"]

#: The two beams (E, px, py, pz), each of mass 1.
BEAMS = ((math.sqrt(2.0), 0.0, 0.0, 1.0), (math.sqrt(2.0), 0.0, 0.0, -1.0))


def with_beams(jets: RaggedJets, beams: Tensor | None = None) -> RaggedJets:
    """Put the beams before each jet's constituents.

    Parameters
    ----------
    jets : RaggedJets
        The batch.
    beams : Tensor, shape (2, 4), optional
        The beams' (E, px, py, pz) where they are not `BEAMS`: transformed together with the jets. Their masses are 1.
    """
    front = jets.p4.new_tensor(BEAMS) if beams is None else beams.to(jets.p4)
    return jets.prepend(front, front.new_ones(len(front)))
