"""Attention between the constituents of each jet, on ragged rows: scores live in registers, one tile at a time.

A program has some queries of one jet and one head, and walks through the jet's keys in a fixed order with a running
maximum and sum: what it computes depends on its own jet alone.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from ..dropout import threshold_of
from .arithmetic import product
from .dropout import kept, mixed
from .head_rows import AttentionShape, HeadRows, Softmax, bias_place, head_store, head_tile
from .tiles import JetTiles, Tiles, own_tile

__all__ = ["Drop", "attend", "attention_kernel"]


class Drop(NamedTuple):
    """Which weights are dropped: with which probability, and the key of the hash that tells (`common.dropout`)."""

    probability: float = 0.0
    key: int = 0

    @property
    def arguments(self) -> tuple[int, int, float]:
        """Key, threshold, and the factor of the weights that are kept."""
        p = self.probability
        return self.key, threshold_of(p), 1 / (1 - p) if p < 1 else 0.0


@triton.jit(do_not_specialize=["key", "threshold"])
def attention_kernel(
    query: HeadRows,
    keys: HeadRows,
    values: HeadRows,
    bias: tl.tensor,
    scale: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    grown: tl.tensor,
    tiles: JetTiles,
    out: HeadRows,
    softmax: Softmax,
    SHAPE: tl.constexpr,
) -> None:
    """Σ_j softmax_j(scale q_i·k_j + b_ij) v_j of some queries of one jet and head; empty jets have no program.

    Parameters
    ----------
    query, keys, values, out : HeadRows
        (N, H, D), (N, H, D), (N, H, E), (N, H, E).
    bias : flat, H Q entries
        Jet after jet a block (H, n, n), if SHAPE.bias.
    key, threshold, grown
        Which weights are dropped (`dropout`), and what the others are multiplied by, if SHAPE.drop.
    softmax : Softmax
        What the backward pass needs.
    """
    HEADS: tl.constexpr = SHAPE.heads
    D: tl.constexpr = SHAPE.depth
    BD: tl.constexpr = SHAPE.depth_padded
    E: tl.constexpr = SHAPE.width
    BE: tl.constexpr = SHAPE.width_padded
    ROWS: tl.constexpr = SHAPE.rows
    COLUMNS: tl.constexpr = SHAPE.columns
    PRECISION: tl.constexpr = SHAPE.precision
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    head = tl.program_id(1)
    i = begin + tl.arange(0, ROWS)
    real = i < n
    q = head_tile(query, head, start + i, real, D, BD) * scale
    largest = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    sums = tl.zeros((ROWS, BE), tl.float32)
    for first in range(0, n, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        k = head_tile(keys, head, start + j, j < n, D, BD)
        score = product(q, tl.trans(k), tl.zeros((ROWS, COLUMNS), tl.float32), PRECISION)
        inside = real[:, None] & (j < n)[None, :]
        if SHAPE.bias:
            place = bias_place(tiles.pairs, jet, n, head, i[:, None], j[None, :], HEADS)
            score += tl.load(bias + place, mask=inside, other=0.0)
        score = tl.where((j < n)[None, :], score, float("-inf"))
        new = tl.maximum(largest, tl.max(score, axis=1))
        weight = tl.exp(score - new[:, None])
        fade = tl.exp(largest - new)
        total = total * fade + tl.sum(weight, axis=1)
        if SHAPE.drop:
            pair = tl.load(tiles.pairs + jet) + i[:, None] * n + j[None, :]
            weight = tl.where(kept(mixed(pair, key), head, threshold), weight * grown, 0.0)
        v = head_tile(values, head, start + j, j < n, E, BE)
        sums = product(weight, v, sums * fade[:, None], PRECISION)
        largest = new
    head_store(out, head, start + i, real, sums / total[:, None], E, BE)
    place = (start + i) * HEADS + head
    tl.store(softmax.maximum + place, largest, mask=real)
    tl.store(softmax.total + place, total, mask=real)


def attend(
    rows: tuple[HeadRows, HeadRows, HeadRows],
    tiles: Tiles,
    bias: Tensor | None,
    scale: float,
    drop: Drop,
    shape: AttentionShape,
) -> tuple[Tensor, Softmax]:
    """Attention (N, H, E), and what its backward pass needs.

    Parameters
    ----------
    rows : tuple of three HeadRows
        Queries and keys (N, H, D), values (N, H, E), in float32.
    tiles : Tiles
        The jets, in tiles of `shape.rows`.
    bias : Tensor of float32, flat, H Q entries, or None
        Jet after jet a block (H, n, n).
    scale : float
        Of the scores.
    drop : Drop
        Which weights are dropped, if `shape.drop`.
    shape : AttentionShape
        Sizes.
    """
    given = rows[0].at
    out = given.new_empty(tiles.num_nodes, shape.heads, shape.width)
    softmax = Softmax(*(given.new_empty(tiles.num_nodes, shape.heads) for _ in range(2)))
    if len(tiles.jet):
        attention_kernel[(len(tiles.jet), shape.heads)](
            *rows, given if bias is None else bias, scale, *drop.arguments, tiles.arguments, HeadRows.of(out), softmax,
            SHAPE=shape, num_warps=4, num_stages=1,
        )  # fmt: skip
    return out, softmax
