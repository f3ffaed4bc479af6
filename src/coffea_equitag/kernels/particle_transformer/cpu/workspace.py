"""Room for one group of jets on its way through the network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4
from ....compiled import inner
from ...common.cpu.aligned import aligned
from .weights import ParticleTransformerWeights

__all__ = ["CHUNK", "PAIR_CHUNK", "Workspace", "shaped", "workspace_of"]

#: Constituents of which the hidden units are held at once, and pairs: what a second-level cache holds.
CHUNK, PAIR_CHUNK = 120, 240


class Workspace(NamedTuple):
    """Rows that are used again for every group."""

    x: F4  # of constituents (N, C)
    normed: F4  # (N, C)
    query: F4  # (N, C)
    key: F4  # (N, C)
    value: F4  # (N, C)
    attended: F4  # (N, C)
    hidden: F4  # the widest rows of a chunk of constituents, or of the jets, flat; two take turns
    spare: F4
    bias: F4  # (heads, pairs i, j)
    pairs: F4  # the widest rows of a chunk of pairs, flat; two take turns
    pairs_spare: F4
    tokens: F4  # of jets (J, C)
    token_normed: F4  # (J, C)
    token_query: F4  # (J, C)
    token_key: F4  # (J, C)
    token_value: F4  # (J, C)


def workspace_of(weights: ParticleTransformerWeights, rows: int, jets: int, squares: int) -> Workspace:
    """Room for groups of at most so many constituents, jets and ordered pairs."""
    width, of_pairs = len(weights.head.token), weights.pairs.layers
    blocks = (*weights.blocks, *weights.class_blocks)
    layers = *weights.embedding.layers, *(block.first for block in blocks), *weights.head.layers
    widest = max(len(weights.embedding.scale), *(layer.width for layer in layers))
    hidden, spare = (_room(max(min(CHUNK, rows), jets), widest).reshape(-1) for _ in range(2))
    pairs, pairs_spare = (
        _room(PAIR_CHUNK, max((layer.width for layer in of_pairs), default=0)).reshape(-1) for _ in range(2)
    )
    return Workspace(
        x=_room(rows, width),
        normed=_room(rows, width),
        query=_room(rows, width),
        key=_room(rows, width),
        value=_room(rows, width),
        attended=_room(rows, width),
        hidden=hidden,
        spare=spare,
        bias=_room(weights.pairs.heads if of_pairs else 0, squares),
        pairs=pairs,
        pairs_spare=pairs_spare,
        tokens=_room(jets, width),
        token_normed=_room(jets, width),
        token_query=_room(jets, width),
        token_key=_room(jets, width),
        token_value=_room(jets, width),
    )


@inner
def shaped(buffer: F4, width: int) -> F4:
    """A flat buffer as rows of this width."""
    rows = len(buffer) // width
    return buffer[: rows * width].reshape(rows, width)


def _room(rows: int, width: int) -> F4:
    room: F4 = aligned(np.zeros((rows, width), np.float32))
    return room
