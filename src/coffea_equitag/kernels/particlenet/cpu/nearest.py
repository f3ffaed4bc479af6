"""The k nearest neighbours of `invariants.neighbours`, faster: the same ones, in the order of their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F8, I8, Floats
from ....compiled import inner, njit
from ...common.cpu.llvm import DOUBLE, INDEX, bytes_of, loop, pointers, row_at
from ...common.cpu.vector_rows import Lanes

__all__ = ["edge_offsets", "nearest_senders"]

#: A tile of distances: rows, and float64 lanes.
_ROWS, _LANES = 4, 8


@intrinsic
def _distance_tile(
    typing_context: Any,
    columns: Any,
    width: Any,
    dimension: Any,
    i: Any,
    j: Any,
    out: Any,
    out_at: Any,
    stride: Any,
) -> Any:
    """A few rows of one vector of squared distances, summed one coordinate after the other."""
    at = types.intp
    signature = types.void(columns, at, at, at, at, out, at, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        columns, width, dimension, i, j, out, out_at, stride = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [_LANES], DOUBLE)

        def body(d: Any, sums: list[Any]) -> list[Any]:
            row = builder.gep(columns, [builder.mul(d, width)])
            others, found = lanes.load(row, j), []
            for r, total in enumerate(sums):
                own = builder.load(builder.gep(row, [builder.add(i, INDEX(r))]), align=bytes_of(DOUBLE))
                (step,) = lanes.subtract(others, lanes.spread(own))
                found.append(builder.fadd(total, builder.fmul(step, step)))
            return found

        for r, value in enumerate(loop(builder, dimension, lanes.zeros() * _ROWS, body, at_least_once=True)):
            lanes.store([value], row_at(builder, out, out_at, stride, r))
        return context.get_dummy_value()

    return signature, generate


def edge_offsets(bounds: I8, k: int, phantoms: bool) -> I8:
    """Where the edges of each constituent begin: min(k, n − 1) each, with phantoms k; shape (N + 1,)."""
    counts = np.diff(bounds)
    degree = np.repeat(np.full_like(counts, k) if phantoms else np.minimum(k, np.maximum(counts - 1, 0)), counts)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(degree)])


@njit
def nearest_senders(
    points: Floats, dimension: int, priority: F8, offsets: I8, edges: I8, sender: I8, first: int, last: int
) -> None:
    """Write the senders of all edges of jets ``first:last``.

    `points` may have more columns than its first `dimension`, which count; receiver i's edges are
    ``edges[i]:edges[i + 1]``, of which those beyond n − 1 are left as they are. Distances are summed in float64 as the
    reference sums them, so that no neighbour is another one.
    """
    largest = 1
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    columns = np.zeros((dimension, largest + -largest % _LANES))
    square = np.empty((largest + _ROWS, columns.shape[1]))
    others, spare = np.empty(largest + 1), np.empty(largest + 1)
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        if n < 2:
            continue
        wanted = min(edges[start + 1] - edges[start], n - 1)
        if wanted == n - 1:
            for i in range(n):
                _choose_all(n, i, start, sender, edges[start + i])
            continue
        for j in range(n):
            for d in range(dimension):
                columns[d, j] = points[start + j, d]
        _distances(columns, dimension, n, square)
        for i in range(n):
            row, found = square[i, :n], 0
            for j in range(n):
                others[found] = row[j]
                found += 1 if j != i else 0
            limit, nearer = _smallest(others, spare, n - 1, wanted)
            equal = 0
            for j in range(n):
                equal += 1 if row[j] == limit and j != i else 0
            if nearer + equal == wanted:
                _choose_near(row, limit, i, start, sender, edges[start + i])
            else:
                _choose_equal(row, limit, i, wanted - nearer, priority, start, sender, edges[start + i])


@inner
def _distances(columns: F8, dimension: int, n: int, distance: F8) -> None:
    """Squared distances, from coordinates (D, ≥ n) in whole tiles' columns; NaN counts as infinite."""
    width, stride = columns.shape[1], distance.shape[1]
    for i in range(0, n, _ROWS):
        # what lies below the diagonal is copied
        for j in range(i - i % _LANES, n, _LANES):
            _distance_tile(columns, width, dimension, i, j, distance, i * stride + j, stride)
    for i in range(n):
        row = distance[i]
        for j in range(i):
            row[j] = distance[j, i]
        for j in range(i, n):
            value = row[j]
            row[j] = value if value < np.inf else np.inf


@inner
def _smallest(values: F8, spare: F8, n: int, k: int) -> tuple[float, int]:
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


@inner
def _choose_all(n: int, i: int, start: int, sender: I8, at: int) -> None:
    for j in range(n):
        if j != i:
            sender[at] = start + j
            at += 1


@inner
def _choose_near(row: F8, limit: float, i: int, start: int, sender: I8, at: int) -> None:
    """All that are not farther than the limit."""
    for j in range(len(row)):
        if row[j] <= limit and j != i:
            sender[at] = start + j
            at += 1


@inner
def _choose_equal(row: F8, limit: float, i: int, vacant: int, priority: F8, start: int, sender: I8, at: int) -> None:
    """Those nearer than the limit and, of those at it, the `vacant` of highest priority, then of the first rows."""
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
