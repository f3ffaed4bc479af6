"""Rows of the perceptron of pairs, made again for some jets at a time, and sums of their gradients."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.tiles import RECEIVERS, Tiles, own_tile
from .pair_tiles import Pairs, PairTiles, own_pairs

__all__ = ["pair_rows", "rows_kernel", "sender_sums", "sender_sums_kernel"]

#: Nodes that are worked on at once.
_COLUMNS = 16


# a first pair is any number
@triton.jit(do_not_specialize=["begin_pair"])
def rows_kernel(
    received: tl.tensor,
    sent: tl.tensor,
    of_edge: tl.tensor,
    edges: tl.tensor,
    tiles: PairTiles,
    out: tl.tensor,
    begin_pair: tl.tensor,
    REFERENCES: tl.constexpr,
    WIDTH: tl.constexpr,
    RECEIVERS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """What the first layer gives of the pairs of some constituents of one jet: WIDTH numbers each."""
    start, node, _, pairs, n, nodes, begin = own_pairs(tiles, REFERENCES)
    w = tl.arange(0, WIDTH)
    weight = tl.load(of_edge + w)[None, :]
    for i in range(begin, tl.minimum(begin + RECEIVERS, n)):
        to_i = tl.load(received + (start + i) * WIDTH + w)[None, :]
        for first in range(0, nodes, COLUMNS):
            j = first + tl.arange(0, COLUMNS)
            real = (j < nodes)[:, None]
            pair = pairs + i * nodes.to(tl.int64) + j
            from_j = tl.load(sent + (node + j)[:, None] * WIDTH + w[None, :], mask=real, other=0.0)
            edge = tl.load(edges + pair, mask=j < nodes, other=0.0)
            place = out + (pair - begin_pair)[:, None] * WIDTH + w[None, :]
            tl.store(place, to_i + from_j + edge[:, None] * weight, mask=real)


@triton.jit(do_not_specialize=["begin_pair"])
def sender_sums_kernel(
    rows: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    out: tl.tensor,
    begin_pair: tl.tensor,
    REFERENCES: tl.constexpr,
    WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Rows of the pairs (i, j) summed over i, for some nodes j of one jet; `offsets` are those of the nodes."""
    jet, start, nodes, first = own_tile(offsets, tile_jet, tile_first)
    j, w = first + tl.arange(0, COLUMNS), tl.arange(0, WIDTH)
    real = (j < nodes)[:, None]
    place = rows + (tl.load(pairs + jet) - begin_pair + j)[:, None] * WIDTH + w[None, :]
    total = tl.zeros((COLUMNS, WIDTH), tl.float32)
    for i in range(nodes - REFERENCES):
        total += tl.load(place + i * nodes.to(tl.int64) * WIDTH, mask=real, other=0.0)
    tl.store(out + (start + j)[:, None] * WIDTH + w[None, :], total, mask=real)


def pair_rows(
    received: Tensor, sent: Tensor, of_edge: Tensor, edges: Tensor, pairs: Pairs, some: PairTiles, first: int, last: int
) -> Tensor:
    """Rows (last − first, W) of the pairs that some tiles make, which are the pairs first to last."""
    out = received.new_empty(last - first, received.shape[1])
    if len(some.jet):
        rows_kernel[(len(some.jet),)](
            received, sent, of_edge, edges, some, out, first, REFERENCES=pairs.references, WIDTH=out.shape[1],
            RECEIVERS=RECEIVERS, COLUMNS=_COLUMNS,
        )  # fmt: skip
    return out


def sender_sums(rows: Tensor, nodes: Tiles, pairs: Pairs, some: slice, first: int, out: Tensor) -> None:
    """Sums (M, W) over the constituents i of rows of pairs (i, j), the first being `first`, for some tiles of nodes."""
    jet, begin = nodes.jet[some], nodes.first[some]
    if len(jet):
        sender_sums_kernel[(len(jet),)](
            rows, nodes.offsets, pairs.tiles.pairs, jet, begin, out, first, REFERENCES=pairs.references,
            WIDTH=rows.shape[1], COLUMNS=_COLUMNS,
        )  # fmt: skip
