"""What a thread computes in: the state of a group of jets, and what a few of their nodes at a time pass through."""

from __future__ import annotations

from typing import NamedTuple

from ....array_types import F4
from ....compiled import inner
from ...common.cpu.aligned import aligned_rows
from .gate_tiles import LANES
from .weights import SlimWeights

__all__ = ["CHUNK", "Rows", "Workspace", "padded_rows", "whole_tiles", "workspace"]

#: Nodes that pass through a layer at once, and rows that every tile divides.
CHUNK, _TILE = 48, 24


class Rows(NamedTuple):
    """Rows of vectors, four per node, and of scalars; whole registers, 0 beyond the channels."""

    vectors: F4
    scalars: F4


class Workspace(NamedTuple):
    """Rows of a group of jets, and of a chunk of its nodes."""

    state: Rows  # of the group
    q: F4
    k: F4
    v: F4
    attended: F4
    normed: Rows  # of a chunk
    projected: Rows
    unpacked: Rows
    here: Rows
    there: Rows


@inner
def whole_tiles(nodes: int) -> int:
    """Nodes in whole tiles, which are faster than single rows; there is room for them everywhere."""
    return nodes + -nodes % _TILE


@inner
def workspace(weights: SlimWeights, nodes: int) -> Workspace:
    """Room for groups of so many nodes."""
    sizes, most = weights.sizes, whole_tiles(nodes)
    head = sizes.heads * (4 * sizes.head_vectors + sizes.head_scalars)
    wide_v, wide_s = sizes.vectors, max(sizes.scalars, weights.embedding.scalars.weight.shape[2])
    first = weights.gates[0]  # and those that follow are as wide
    wide_v = max(wide_v, first.vectors.shape[1] * first.vectors.shape[3] // 3)
    wide_s = max(wide_s, first.scalars.shape[1] * first.scalars.shape[3] // 2)
    return Workspace(
        padded_rows(most, sizes.vectors, sizes.scalars),
        aligned_rows(most, head),
        aligned_rows(most, head),
        aligned_rows(most, head),
        aligned_rows(most, head),
        padded_rows(CHUNK, sizes.vectors, sizes.scalars),
        padded_rows(CHUNK, weights.heads.vectors.width, weights.heads.scalars.width),
        padded_rows(CHUNK, sizes.heads * sizes.head_vectors, sizes.heads * sizes.head_scalars),
        padded_rows(CHUNK, wide_v, wide_s),
        padded_rows(CHUNK, wide_v, wide_s),
    )


@inner
def padded_rows(nodes: int, vectors: int, scalars: int) -> Rows:
    """Zeros, in whole registers."""
    return Rows(
        aligned_rows(4 * nodes, vectors + -vectors % LANES), aligned_rows(nodes, scalars + -scalars % LANES)
    )  # fmt: skip
