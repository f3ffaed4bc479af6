"""Which programs a kernel over ragged jets is launched with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ....jets.ragged import boundaries

__all__ = ["RECEIVERS", "JetTiles", "Tiles", "own_tile", "tile_at"]

#: Rows of a jet's matrix that one program works on.
RECEIVERS = 16


class JetTiles(NamedTuple):
    """What kernels take of `Tiles`: boundaries of jets among nodes and pairs, each program's jet and first node."""

    offsets: Tensor
    pairs: Tensor
    jet: Tensor
    first: Tensor


@dataclass(frozen=True)
class Tiles:
    """A ragged batch in tiles of some nodes, none of which spans two jets.

    What a program computes depends on its own jet alone, in a fixed order: neither the other jets nor the order in
    which programs run can change a score.

    Attributes
    ----------
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries among the N nodes.
    pairs : Tensor of int64, shape (J + 1,)
        Boundaries of the jets' n × n blocks.
    jet, first : Tensor of int32, shape (T,)
        The jet of each tile, and its first node counted within the jet.
    node_jet : Tensor of int64, shape (N,)
        The jet of each node.
    diagonal : Tensor of int64, shape (N,)
        Where (i, i) stands among the pairs.
    num_nodes, num_pairs, num_jets : int
        N, Q = Σ n², J.
    """

    offsets: Tensor
    pairs: Tensor
    jet: Tensor
    first: Tensor
    node_jet: Tensor
    diagonal: Tensor
    num_nodes: int
    num_pairs: int
    num_jets: int

    @classmethod
    def of(cls, offsets: Tensor, rows: int = RECEIVERS) -> Tiles:
        """Tiles of so many nodes of jets with the given boundaries (J + 1,)."""
        device, counts = offsets.device, offsets[1:] - offsets[:-1]
        pairs, nodes = boundaries(counts * counts), int(offsets[-1])
        each = (counts + rows - 1) // rows
        jet = torch.repeat_interleave(torch.arange(len(counts), device=device), each)
        first = (torch.arange(len(jet), device=device) - boundaries(each)[:-1][jet]) * rows
        node_jet = torch.repeat_interleave(torch.arange(len(counts), device=device), counts, output_size=nodes)
        local = torch.arange(nodes, device=device) - offsets[:-1][node_jet]
        return cls(
            offsets=offsets.contiguous(),
            pairs=pairs,
            jet=jet.int(),
            first=first.int(),
            node_jet=node_jet,
            diagonal=pairs[:-1][node_jet] + local * (counts[node_jet] + 1),
            num_nodes=nodes,
            num_pairs=int(pairs[-1]),
            num_jets=len(counts),
        )

    @property
    def arguments(self) -> JetTiles:
        """What kernels take of them."""
        return JetTiles(self.offsets, self.pairs, self.jet, self.first)


@triton.jit
def own_tile(
    offsets: tl.tensor, tile_jet: tl.tensor, tile_first: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """A program's jet, the jet's first node and how many it has, and the tile's first, counted within the jet."""
    jet, start, n, begin = tile_at(tl.program_id(0), offsets, tile_jet, tile_first)
    return jet, start, n, begin


@triton.jit
def tile_at(
    tile: tl.tensor, offsets: tl.tensor, tile_jet: tl.tensor, tile_first: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """The same of any tile."""
    jet = tl.load(tile_jet + tile)
    start = tl.load(offsets + jet)
    n = (tl.load(offsets + jet + 1) - start).to(tl.int32)
    return jet, start, n, tl.load(tile_first + tile)
