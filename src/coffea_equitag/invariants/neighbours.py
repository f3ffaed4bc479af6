"""Nearest neighbours of each constituent within its jet: the edges of ParticleNet's graphs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..array_types import F8, I8
from ..compiled import njit, over_jets
from ..errors import TaggerError, explain
from ..jets.ragged import boundaries
from .sorted_neighbours import sorted_senders

__all__ = ["Neighbours", "nearest", "with_phantoms"]


@dataclass(frozen=True)
class Neighbours:
    """Directed edges to each constituent i from its neighbours j, grouped by receiver i.

    In a jet of n constituents each has min(k, n − 1) neighbours, all of them real: never itself, never padding. With
    `with_phantoms` it has k, of which those beyond n − 1 are phantoms: senders N, one beyond the constituents.

    Attributes
    ----------
    receiver, sender : Tensor of int64, shape (P,)
        Rows of i and j among the N constituents; nearest senders first.
    place : Tensor of int64, shape (P,)
        Index of (i, j) in the square layout of Gram matrices (one n × n block per jet).
    diagonal : Tensor of int64, shape (N,)
        Index of (i, i) in that layout.
    offsets : Tensor of int64, shape (N + 1,)
        The edges of receiver i are ``offsets[i]:offsets[i + 1]``.
    """

    receiver: Tensor
    sender: Tensor
    place: Tensor
    diagonal: Tensor
    offsets: Tensor


def nearest(
    points_ND: Tensor, offsets: Tensor, k: int, priority: Tensor | None = None, threads: int | None = None
) -> Neighbours:
    """The k nearest neighbours of each constituent within its jet, by Euclidean distance.

    Distances are sums of squared differences in float64, so that the distance between two points does not depend on
    their rows. Ties (calorimeter objects from the same tower share a direction) go to the larger `priority`, then to
    the smaller row: with a physical priority, permuting a jet does not change its graph.

    Parameters
    ----------
    points_ND : Tensor, shape (N, D)
        Coordinates; no gradient flows through them. A NaN distance counts as infinite.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    k : int
        Number of neighbours; at most n − 1 in a jet of n constituents.
    priority : Tensor, shape (N,), optional
        Larger values win among equal distances, e.g. pT.
    threads : int, optional
        Number of threads of a CPU; the result does not depend on it.

    Returns
    -------
    Neighbours
        On the device of the points, which they do not leave.

    Raises
    ------
    TaggerError
        If k < 1.
    """
    if k < 1:
        raise TaggerError(explain(f"k = {k} neighbours", "at least 1", "use 16 as in the paper, or 7 (Lite)"))
    counts = offsets.diff()
    degree = torch.repeat_interleave((counts - 1).clamp(0, k), counts)
    start, n = (torch.repeat_interleave(values, counts) for values in (offsets[:-1], counts))
    edges, squares = boundaries(degree), boundaries(counts * counts)
    receiver = torch.repeat_interleave(torch.arange(len(degree), device=offsets.device), degree)
    if points_ND.device.type == "cpu":
        sender = _senders(points_ND, offsets, squares, edges, priority, threads)
    else:
        first = points_ND.new_zeros(len(points_ND)) if priority is None else priority
        sender = sorted_senders(points_ND.detach().double(), offsets, degree, first.detach().double())
    square, local = (
        torch.repeat_interleave(squares[:-1], counts),
        torch.arange(len(degree), device=offsets.device) - start,
    )
    place = (square + local * n - start)[receiver] + sender
    return Neighbours(receiver, sender, place, square + local * (n + 1), edges)


def with_phantoms(edges: Neighbours, k: int) -> Neighbours:
    """The same edges and, of each constituent with fewer than k, as many more as it lacks, from phantoms.

    The official ParticleNet pads jets and looks for k neighbours: where a jet has no more, it finds padding. A phantom
    is no constituent: its row is N, it has no place in the square layout (−1), and a network sees zeros there.
    """
    total = len(edges.diagonal)
    offsets = torch.arange(0, (total + 1) * k, k, device=edges.offsets.device)
    rank = torch.arange(len(edges.sender), device=offsets.device) - edges.offsets[edges.receiver]
    at = offsets[edges.receiver] + rank
    sender, place = offsets.new_full((total * k,), total), offsets.new_full((total * k,), -1)
    sender[at], place[at] = edges.sender, edges.place
    receiver = torch.arange(total, device=offsets.device).repeat_interleave(k)
    return Neighbours(receiver, sender, place, edges.diagonal, offsets)


def _senders(
    points_ND: Tensor, offsets: Tensor, squares: Tensor, edges: Tensor, priority: Tensor | None, threads: int | None
) -> Tensor:
    """Rows of each constituent's neighbours, by compiled code."""
    points = _array(points_ND)
    first = np.zeros(len(points)) if priority is None else _array(priority)
    bounds, ends, sender = offsets.numpy(), edges.numpy(), np.empty(int(edges[-1]), np.int64)

    def run(low: int, high: int) -> None:
        _fill_nearest(points, first, bounds, ends, sender, low, high)

    over_jets(run, squares.numpy(), threads)
    return torch.from_numpy(sender)


def _array(values: Tensor) -> F8:
    return np.ascontiguousarray(values.detach().cpu().double().numpy())


@njit
def _fill_nearest(
    points: F8,
    priority: F8,
    offsets: I8,
    edges: I8,
    sender: I8,
    first: int,
    last: int,
) -> None:
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        # one coordinate at a time, so that the innermost loop runs over constituents without a reduction
        columns = points[start : start + n].T.copy()
        distance = np.empty(n)
        for i in range(n):
            distance[:] = 0.0
            for d in range(columns.shape[0]):
                here = columns[d, i]
                for j in range(n):
                    step = columns[d, j] - here
                    distance[j] += step * step
            begin, wanted, found = edges[start + i], edges[start + i + 1] - edges[start + i], 0
            for j in range(n):
                if j == i:
                    continue
                if not distance[j] < np.inf:
                    distance[j] = np.inf
                # insertion sort from the far end: by distance, then priority, then row (j only increases)
                at = found
                while at > 0:
                    other = sender[begin + at - 1] - start
                    nearer = distance[j] < distance[other]
                    if distance[j] == distance[other]:
                        nearer = priority[start + j] > priority[start + other]
                    if not nearer:
                        break
                    if at < wanted:
                        sender[begin + at] = start + other
                    at -= 1
                if at < wanted:
                    sender[begin + at] = start + j
                    found = min(found + 1, wanted)
