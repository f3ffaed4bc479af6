"""A few edges of a training batch, and what the first layer gives them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, I8
from ....compiled import njit

__all__ = ["CHUNK", "ZERO", "Ends", "first_layer"]

#: Edges worked on at once: whole tiles of 6 and of 12 rows.
CHUNK = 96
ZERO = np.float32(0.0)


class Ends(NamedTuple):
    """The graph, and what the first layer makes of an edge's two ends: z_p = own[receiver[p]] + other[sender[p]]."""

    own: F4  # (N, C): (A − B) x_i
    other: F4  # (N, C): B x_j; with phantoms (N + 1, C), the last row 0
    receiver: I8  # (P,)
    sender: I8


@njit
def first_layer(ends: Ends, begin: int, count: int, out: F4) -> None:
    """The first layer's values of a few edges."""
    for row in range(count):
        a, b, z = ends.own[ends.receiver[begin + row]], ends.other[ends.sender[begin + row]], out[row]
        for c in range(len(z)):
            z[c] = a[c] + b[c]
