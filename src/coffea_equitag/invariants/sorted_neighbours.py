"""Nearest neighbours by sorting all distances in torch: for points on a GPU, which they need not leave."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..jets.ragged import boundaries

__all__ = ["sorted_senders"]

#: Pairs sorted at once, of jets padded to the largest of them: some 100 bytes each.
_PAIRS = 4_000_000

#: Distances that are infinite or no number come after all others, and before who is no neighbour.
_FAR, _NEVER = torch.finfo(torch.float64).max, torch.inf


def sorted_senders(
    points_ND: Tensor, offsets: Tensor, degree_N: Tensor, priority_N: Tensor, pairs: int = _PAIRS
) -> Tensor:
    """Rows of each constituent's nearest neighbours, the same and in the same order as `neighbours.nearest` finds.

    Parameters
    ----------
    points_ND : Tensor of float64, shape (N, D)
        Coordinates, on any device.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    degree_N : Tensor of int64, shape (N,)
        How many each has.
    priority_N : Tensor of float64, shape (N,)
        Larger values win among equal distances, then smaller rows.
    pairs : int
        Pairs of padded jets that are sorted at once.

    Returns
    -------
    Tensor of int64, shape (Σ degree,)
        Receiver after receiver, nearest first.
    """
    edges = boundaries(degree_N)
    out = edges.new_empty(int(edges[-1]))
    for jets, largest in _groups(offsets.diff(), pairs):
        place = torch.arange(largest, device=offsets.device)
        real = place < offsets.diff()[jets, None]
        row = torch.where(real, offsets[:-1][jets, None] + place, 0)
        order = torch.sort(torch.where(real, priority_N[row], -torch.inf), descending=True, stable=True).indices
        # a real one may have the priority of padding
        order = order.gather(1, torch.sort(~real.gather(1, order), stable=True).indices)
        points = points_ND[row]
        distance = torch.zeros(*real.shape, largest, dtype=torch.float64, device=offsets.device)
        for coordinate in points.unbind(-1):
            distance += (coordinate.gather(1, order)[:, None] - coordinate[:, :, None]).square()
        distance = torch.where(distance < torch.inf, distance, _FAR)
        never = (order[:, None] == place[:, None]) | ~real.gather(1, order)[:, None]
        rank = torch.sort(distance.masked_fill(never, _NEVER), stable=True).indices
        chosen = order[:, None].expand_as(rank).gather(2, rank) + offsets[:-1][jets, None, None]
        wanted = (place < degree_N[row][..., None]) & real[..., None]
        out[(edges[row][..., None] + place)[wanted]] = chosen[wanted]
    return out


def _groups(counts: Tensor, pairs: int) -> Iterator[tuple[Tensor, int]]:
    """Jets of like size, and the size of the largest of them."""
    order = torch.sort(counts, descending=True).indices
    sizes = counts[order].tolist()
    begin = 0
    while begin < len(sizes) and sizes[begin] > 1:
        end = begin + max(1, pairs // sizes[begin] ** 2)
        yield order[begin:end], sizes[begin]
        begin = end
