"""Pairs of constituents with nodes of their jet, references among these, and the masses of both together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from ....jets.ragged import boundaries
from ....layers import frame_prediction
from ...common.gpu.tiles import Tiles

__all__ = ["PairTiles", "Pairs", "load_gram", "own_pairs", "pair_mass", "pair_square"]

_LEAST = tl.constexpr(frame_prediction.LEAST_MASS)


class PairTiles(NamedTuple):
    """Tiles of constituents i, each of which makes pairs with all nodes j of its jet, R in all."""

    offsets: Any  # (J + 1,): of the constituents
    squares: Any  # (J + 1,): of the nodes' n × n blocks
    pairs: Any  # (J + 1,): of the pairs, i after i
    jet: Any  # (T,): of a tile
    first: Any  # (T,): its first constituent, counted within the jet


@dataclass(frozen=True)
class Pairs:
    """The pairs of a batch, and how they are worked on.

    Attributes
    ----------
    tiles : PairTiles
        Where they are.
    num, num_pairs, references : int
        Constituents N, pairs R, and references before each jet's constituents.
    mean, std : float
        What log m²_ij is standardised with.
    precision : str
        Of matrix products.
    """

    tiles: PairTiles
    num: int
    num_pairs: int
    references: int
    mean: float
    std: float
    precision: str

    @classmethod
    def of(cls, offsets: Tensor, references: int, standard: tuple[float, float], precision: str) -> Pairs:
        """Of jets with given boundaries (J + 1,) of their constituents."""
        tiles, n = Tiles.of(offsets), offsets.diff()
        nodes = n + references
        squares, pairs = boundaries(nodes * nodes), boundaries(n * nodes)
        found = PairTiles(tiles.offsets, squares, pairs, tiles.jet, tiles.first)
        return cls(found, tiles.num_nodes, int(pairs[-1]), references, *standard, precision)


@triton.jit
def own_pairs(tiles: PairTiles, REFERENCES: tl.constexpr) -> tuple[tl.tensor, ...]:
    """A program's jet's first constituent, first node, square of nodes and pairs; constituents, nodes, tile's first."""
    jet = tl.load(tiles.jet + tl.program_id(0)).to(tl.int64)
    start = tl.load(tiles.offsets + jet)
    n = (tl.load(tiles.offsets + jet + 1) - start).to(tl.int32)
    square, pairs = tl.load(tiles.squares + jet), tl.load(tiles.pairs + jet)
    return start, start + REFERENCES * jet, square, pairs, n, n + REFERENCES, tl.load(tiles.first + tl.program_id(0))


@triton.jit
def load_gram(gram: tl.tensor, i: tl.tensor, j: tl.tensor, nodes: tl.tensor) -> tl.tensor:
    """p_i·p_j of some nodes of a jet, float64; 0 beyond it."""
    real = (i < nodes)[:, None] & (j < nodes)[None, :]
    return tl.load(gram + i.to(tl.int64)[:, None] * nodes + j[None, :], mask=real, other=0.0)


@triton.jit
def pair_square(gram: tl.tensor, i: tl.tensor, j: tl.tensor, nodes: tl.tensor) -> tl.tensor:
    """(p_i + p_j)² of some nodes of a jet, 0 at least; NaN stays NaN."""
    own_i = tl.load(gram + i.to(tl.int64) * (nodes + 1), mask=i < nodes, other=0.0)
    own_j = tl.load(gram + j.to(tl.int64) * (nodes + 1), mask=j < nodes, other=0.0)
    square = own_i[:, None] + own_j[None, :] + 2.0 * load_gram(gram, i, j, nodes)
    return tl.where(square < 0.0, 0.0, square)


@triton.jit
def pair_mass(gram: tl.tensor, i: tl.tensor, j: tl.tensor, nodes: tl.tensor) -> tl.tensor:
    """m_ij of some nodes of a jet, not below the least."""
    square = pair_square(gram, i, j, nodes)
    return tl.sqrt(tl.where(square < _LEAST * _LEAST, _LEAST * _LEAST, square))
