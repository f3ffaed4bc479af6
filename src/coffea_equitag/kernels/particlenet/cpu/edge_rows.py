"""A few edges of a training batch, and what the first layer gives them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, I8
from ....compiled import njit
from ...common.cpu.wide_dense import LINEAR, MARGIN, layer

__all__ = ["CHUNK", "ZERO", "Ends", "first_layer"]

#: Edges worked on at once: whole tiles of 6 and of 12 rows.
CHUNK = 96
ZERO = np.float32(0.0)


class Ends(NamedTuple):
    """The graph, and what the first layer makes of an edge: z_p = own[receiver[p]] + other[sender[p]] + W_e e_p."""

    own: F4  # (N, C): (A − B) x_i
    other: F4  # (N, C): B x_j; with phantoms (N + 1, C), the last row 0
    receiver: I8  # (P,)
    sender: I8
    features: F4  # (P, E): e_p, the pairwise patch's; (0, 0) for none
    pair: F4  # W_e, in blocks
    zeros: F4  # no bias


@njit
def first_layer(ends: Ends, begin: int, count: int, out: F4) -> None:
    """The first layer's values of a few edges."""
    for row in range(count):
        a, b, z = ends.own[ends.receiver[begin + row]], ends.other[ends.sender[begin + row]], out[row]
        for c in range(len(z)):
            z[c] = a[c] + b[c]
    extra = ends.features.shape[1]
    if extra:
        pairs, more = (
            np.empty((CHUNK + MARGIN, extra), np.float32),
            np.empty((CHUNK + MARGIN, out.shape[1]), np.float32),
        )
        pairs[:count] = ends.features[begin : begin + count]
        layer(pairs, 0, extra, ends.pair, ends.zeros, LINEAR, more, 0, count)
        for row in range(count):
            source, z = more[row], out[row]
            for c in range(len(z)):
                z[c] += source[c]
