"""The k nearest neighbours of `invariants.neighbours`, faster: the same ones, in the order of their rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiled import njit

__all__ = ["nearest_senders"]

_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]
_Points = np.ndarray[Any, np.dtype[np.float32 | np.float64]]


@njit
def nearest_senders(
    points: _Points, dimension: int, priority: _F8, offsets: _I8, edges: _I8, sender: _I8, first: int, last: int
) -> None:  # pragma: no cover
    """Write the senders of all edges of jets ``first:last``.

    `points` may have more columns than its first `dimension`, which count; receiver i's edges are
    ``edges[i]:edges[i + 1]``. Distances are summed in float64 as the reference sums them, so that no neighbour is
    another one.
    """
    largest = 1
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    columns = np.empty((dimension + 3, largest))
    others, spare = np.empty(largest + 1), np.empty(largest + 1)
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        if n < 2:
            continue
        wanted = edges[start + 1] - edges[start]
        if wanted == n - 1:
            for i in range(n):
                at = edges[start + i]
                for j in range(n):
                    if j != i:
                        sender[at] = start + j
                        at += 1
            continue
        for j in range(n):
            for d in range(dimension):
                columns[d, j] = points[start + j, d]
        distance = np.zeros((n, n))
        _distances(columns, dimension, n, distance)
        for i in range(n):
            row, found = distance[i], 0
            for j in range(n):
                others[found] = row[j]
                found += 1 if j != i else 0
            limit, nearer = _smallest(others, spare, n - 1, wanted)
            equal = 0
            for j in range(n):
                equal += 1 if row[j] == limit and j != i else 0
            at = edges[start + i]
            if nearer + equal == wanted:
                for j in range(n):
                    if row[j] <= limit and j != i:
                        sender[at] = start + j
                        at += 1
            else:
                _choose_equal(row, limit, i, wanted - nearer, priority, start, sender, at)


@njit
def _distances(columns: _F8, dimension: int, n: int, distance: _F8) -> None:  # pragma: no cover
    """Squared distances, the upper triangle copied down; NaN counts as infinite."""
    # whole groups of four coordinates; steps of 0 add nothing to a sum of squares
    for d in range(dimension, dimension + -dimension % 4):
        columns[d, :n] = 0.0
    for i in range(n):
        row = distance[i]
        for d in range(0, dimension, 4):
            a, b, c, e = columns[d], columns[d + 1], columns[d + 2], columns[d + 3]
            a_i, b_i, c_i, e_i = a[i], b[i], c[i], e[i]
            for j in range(i + 1, n):
                p, q, r, s = a[j] - a_i, b[j] - b_i, c[j] - c_i, e[j] - e_i
                row[j] = (((row[j] + p * p) + q * q) + r * r) + s * s
        for j in range(i + 1, n):
            value = row[j] if row[j] < np.inf else np.inf
            row[j] = value
            distance[j, i] = value


@njit
def _smallest(values: _F8, spare: _F8, n: int, k: int) -> tuple[float, int]:  # pragma: no cover
    """The k-th smallest of n numbers (k from 1), and how many are below it; `values` is overwritten."""
    below = 0
    while True:
        a, b, c = values[0], values[n // 2], values[n - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        left, right, same = 0, n, 0
        for j in range(n):
            value = values[j]
            # one of the two places is overwritten by a later number
            spare[left] = value
            less = 1 if value < pivot else 0
            more = 1 if value > pivot else 0
            left += less
            same += 1 - less - more
        if k <= left:
            n = left
            values, spare = spare, values
        elif k <= left + same:
            return pivot, below + left
        else:
            right = 0
            for j in range(n):
                value = values[j]
                values[right] = value
                right += 1 if value > pivot else 0
            below += left + same
            k -= left + same
            n = right


@njit
def _choose_equal(
    row: _F8, limit: float, i: int, vacant: int, priority: _F8, start: int, sender: _I8, at: int
) -> None:  # pragma: no cover
    """Of the equally near, those of highest priority, then those of the first rows."""
    n = len(row)
    for j in range(n):
        if j == i or not row[j] <= limit:
            continue
        if row[j] == limit:
            before = 0
            for other in range(n):
                if other != i and other != j and row[other] == limit:
                    higher = priority[start + other] > priority[start + j]
                    if higher or (other < j and not priority[start + j] > priority[start + other]):
                        before += 1
            if before >= vacant:
                continue
        sender[at] = start + j
        at += 1
