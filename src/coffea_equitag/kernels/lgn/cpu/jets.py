"""What LGN's CPU kernels are given: momenta, scalars and squared differences of ragged jets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....array_types import F8, I8
from ....compiled import njit, over_jets
from ....invariants.minkowski import pair_offsets

__all__ = ["Jets", "make_jets"]


_NO_VECTORS: F8 = np.zeros((0, 2))


class Jets(NamedTuple):
    """Jets of N nodes and Q pairs in all."""

    p4: F8  # (N, 4), scaled
    scalars: F8  # (N, 2 C): (Re, Im) of the channels before the first level
    offsets: I8  # (J + 1,)
    pair_offsets: I8  # (J + 1,)
    squares: F8  # (Q,): scaled (p_i − p_j)²
    vectors: F8  # (C, 2): (Re, Im) weights of the momenta before the first level, or (0, 2)


def make_jets(
    p4_N4: Tensor, scalars: F8, offsets: Tensor, products_Q: Tensor, scale2: float | None, vectors: F8 = _NO_VECTORS
) -> Jets:
    """Arrays of ``LGN.network``'s arguments; scalars as they leave the input layer."""
    bounds = np.ascontiguousarray(offsets.numpy())
    p4 = np.ascontiguousarray(p4_N4.detach().numpy(), np.float64)
    squares = _squared_differences(products_Q, bounds, scale2)
    return Jets(p4, scalars, bounds, pair_offsets(bounds), squares, vectors)


def _squared_differences(products_Q: Tensor, offsets: I8, scale2: float | None) -> F8:
    """scale² (p_i − p_j)² = scale² (m_i² + m_j² − 2 p_i·p_j) from p_i·p_j; without a scale they are given already."""
    products: F8 = np.ascontiguousarray(products_Q.detach().numpy(), np.float64)
    if scale2 is None:
        return products
    squares, places = np.empty_like(products), pair_offsets(offsets)

    def run(first: int, last: int) -> None:
        _differences(products, offsets, places, scale2, squares, first, last)

    over_jets(run, places, torch.get_num_threads())
    return squares


@njit
def _differences(gram: F8, offsets: I8, places: I8, factor: float, squares: F8, first: int, last: int) -> None:
    for jet in range(first, last):
        n, at = offsets[jet + 1] - offsets[jet], places[jet]
        for i in range(n):
            own = gram[at + i * n + i]
            for j in range(n):
                squares[at + i * n + j] = factor * (own + gram[at + j * n + j] - 2 * gram[at + i * n + j])
            squares[at + i * n + i] = 0
