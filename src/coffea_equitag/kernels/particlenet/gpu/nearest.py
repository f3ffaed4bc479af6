"""Nearest neighbours on the device, the same as `coffea_equitag.invariants.neighbours` finds."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.tiles import RECEIVERS, JetTiles, Tiles, own_tile

__all__ = ["nearest", "nearest_kernel"]

_AT_ONCE = 4


@triton.jit
def nearest_kernel(
    points: tl.tensor,
    stride: tl.tensor,
    dimensions: tl.tensor,
    priority: tl.tensor,
    tiles: JetTiles,
    senders: tl.tensor,
    NEIGHBOURS: tl.constexpr,
    LARGEST: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
) -> None:
    """Neighbours of some constituents of a jet of at most LARGEST, nearest first; −1 where there are no more."""
    _, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    j = tl.arange(0, LARGEST)
    first = tl.load(priority + start + j, mask=j < n, other=0.0)[None, :]
    others = points + (start + j) * stride
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        own = points + (start + i) * stride
        distance = tl.zeros((BI, LARGEST), tl.float64)
        for d in range(dimensions):
            here = tl.load(own + d, mask=i < n, other=0.0).to(tl.float64)
            there = tl.load(others + d, mask=j < n, other=0.0).to(tl.float64)
            step = there[None, :] - here[:, None]
            distance += step * step
        distance = tl.where(distance < float("inf"), distance, float("inf"))
        left = (j < n)[None, :] & (j[None, :] != i[:, None])
        for place in range(NEIGHBOURS):
            shortest = tl.min(tl.where(left, distance, float("inf")), axis=1)
            tied = left & (distance == shortest[:, None])
            highest = tl.max(tl.where(tied, first, float("-inf")), axis=1)
            tied = tied & (first == highest[:, None])
            chosen = tl.min(tl.where(tied, j[None, :], LARGEST), axis=1)
            out = senders + (start + i) * NEIGHBOURS + place
            tl.store(out, tl.where(chosen < LARGEST, chosen, -1), mask=i < n)
            left = left & (j[None, :] != chosen[:, None])


def nearest(points_ND: Tensor, priority_N: Tensor, k: int, largest: int, tiles: Tiles) -> Tensor:
    """The k nearest neighbours of each constituent within its jet: int32, (N, k), nearest first.

    Ties go to the larger priority, then to the smaller row, as in `invariants.neighbours.nearest`.

    Parameters
    ----------
    points_ND : Tensor, shape (N, D)
        Coordinates.
    priority_N : Tensor of float64, shape (N,)
        Who goes first among the equally near.
    k : int
        Neighbours wanted.
    largest : int
        Constituents of the largest jet, or more.
    tiles : Tiles
        The batch.

    Returns
    -------
    Tensor of int32, shape (N, k)
        Counted within the jet; −1 beyond the n − 1 that there are.
    """
    out = tiles.first.new_empty(tiles.num_nodes, k)
    if len(tiles.jet):
        nearest_kernel[(len(tiles.jet),)](
            points_ND, points_ND.stride(0), points_ND.shape[1], priority_N, tiles.arguments, out,
            NEIGHBOURS=k, LARGEST=max(16, triton.next_power_of_2(largest)), RECEIVERS=RECEIVERS, BI=_AT_ONCE,
        )  # fmt: skip
    return out
