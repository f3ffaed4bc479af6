"""What LGN's CPU kernels are given: momenta, scalars and squared differences of ragged jets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, F8, I8
from ....compiled import njit, over_jets
from ....invariants.minkowski import pair_offsets
from .workspace import WIDE

__all__ = ["Jets", "make_jets"]

_NO_VECTORS: F8 = np.zeros((0, 2))


class Jets(NamedTuple):
    """Jets of N nodes and Q pairs in all."""

    p4: F8  # (N, 4), scaled
    scalars: F8  # (N, 2 C): (Re, Im) of the channels before the first level
    offsets: I8  # (J + 1,)
    pair_offsets: I8  # (J + 1,)
    sizes: F4  # (Q + WIDE,): scaled |(p_i − p_j)²|, and some 0
    vectors: F8  # (C, 2): (Re, Im) weights of the momenta before the first level, or (0, 2)


def make_jets(
    p4_N4: Tensor, scalars: F8, offsets: Tensor, products_Q: Tensor, scale2: float | None, vectors: F8 = _NO_VECTORS
) -> Jets:
    """Arrays of ``LGN.network``'s arguments; scalars as they leave the input layer."""
    bounds = np.ascontiguousarray(offsets.numpy())
    p4 = np.ascontiguousarray(p4_N4.detach().numpy(), np.float64)
    places = pair_offsets(bounds)
    return Jets(p4, scalars, bounds, places, _sizes(products_Q, bounds, places, scale2), vectors)


def _sizes(products_Q: Tensor, offsets: I8, places: I8, scale2: float | None) -> F4:
    """|scale² (p_i − p_j)²| = |scale² (m_i² + m_j² − 2 p_i·p_j)| from p_i·p_j; without a scale squares are given."""
    products: F8 = np.ascontiguousarray(products_Q.detach().numpy(), np.float64)
    sizes = np.empty(len(products) + WIDE, np.float32)
    sizes[len(products) :] = 0
    if scale2 is None:
        np.abs(products, out=sizes[: len(products)], casting="same_kind")
        return sizes

    def run(first: int, last: int) -> None:
        _differences(products, offsets, places, scale2, sizes, first, last)

    over_jets(run, places, torch.get_num_threads())
    return sizes


@njit
def _differences(gram: F8, offsets: I8, places: I8, factor: float, sizes: F4, first: int, last: int) -> None:
    largest = 1
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    squares = np.empty(largest)
    for jet in range(first, last):
        n, at = offsets[jet + 1] - offsets[jet], places[jet]
        for i in range(n):
            squares[i] = gram[at + i * n + i]
        for i in range(n):
            row, out = gram[at + i * n : at + i * n + n], sizes[at + i * n : at + i * n + n]
            for j in range(n):
                out[j] = np.float32(abs(factor * (squares[i] + squares[j] - 2 * row[j])))
            out[i] = 0
