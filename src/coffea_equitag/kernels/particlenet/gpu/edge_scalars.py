"""One number for each edge, which the pairwise patch sees: `invariants.pair_scalars` of the senders at hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ....invariants.pair_scalars import pair_scalar
from ...common.gpu.tiles import Tiles

__all__ = ["edge_scalars"]


def edge_scalars(kind: Any, p4_N4: Tensor | None, gram_Q: Tensor | None, senders: Tensor, tiles: Tiles) -> Tensor:
    """Numbers (N, k), float64, of edges from senders (N, k), counted within the jet; any number where there is none."""
    assert p4_N4 is not None
    assert gram_Q is not None
    local = senders.clamp(min=0).long()
    receiver = torch.arange(tiles.num_nodes, device=senders.device)[:, None].expand_as(local)
    start = tiles.offsets[tiles.node_jet]
    # the diagonal's place less the receiver's own
    place = (tiles.diagonal - torch.arange(tiles.num_nodes, device=senders.device) + start)[:, None] + local
    return pair_scalar(kind, p4_N4, gram_Q, receiver, start[:, None] + local, place, tiles.diagonal)
