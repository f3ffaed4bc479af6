"""The three vectors of each constituent that define its frame, from the logits of its pairs; double precision."""

from __future__ import annotations

import math

import numpy as np

from ....array_types import F8
from ....compiled import inner
from ...common.cpu.activations import exp_number
from .frame_features import at_least
from .pair_network import PairBuffers

__all__ = ["VECTORS", "frame_sums", "normalise", "pair_shares"]

VECTORS = 3
_LEAST_NORM, _LEAST_MASS_SQUARE = 1e-5, 1e-60


@inner
def pair_shares(buffers: PairBuffers, nodes: int, first: int, i: int, shares: F8) -> None:
    """What each node contributes to the vectors of the i-th constituent: softmax weights by m_ij, (3, M).

    The constituent itself, at ``first + i``, contributes with each of the others.
    """
    at, itself = i * nodes, first + i
    for vector in range(VECTORS):
        logits, here = buffers.logits[vector, at : at + nodes], shares[vector]
        largest, total, own = np.float32(-np.inf), 0.0, 0.0
        for j in range(nodes):
            if j != itself and logits[j] > largest:
                largest = logits[j]
        for j in range(nodes):
            here[j] = exp_number(logits[j] - largest)
        here[itself] = 0.0
        for j in range(nodes):
            total += here[j]
        # without others, nothing remains of a logit but NaN
        scale = 1 / total if nodes > 1 else 0.0 * logits[itself]
        for j in range(nodes):
            here[j] *= scale * buffers.inverse_mass[at + j]
            own += here[j]
        here[itself] += scale if nodes == 1 else own


@inner
def frame_sums(shares: F8, p4: F8, start: int, gram: F8, nodes: int, vectors: F8, squares: F8, products: F8) -> None:
    """Vectors (3, 4) of a constituent with given shares, their squares (3,) and their products (3, M) with the nodes.

    `p4` are all nodes' momenta, the jet's from `start` on, `gram` its products (M²,).
    """
    for vector in range(VECTORS):
        # of the products, all positive: no digit is lost
        row = products[vector]
        row[:nodes] = 0
        for j in range(nodes):
            share, at = shares[vector, j], j * nodes
            for k in range(nodes):
                row[k] += share * gram[at + k]
        square, e, x, y, z = 0.0, 0.0, 0.0, 0.0, 0.0
        for j in range(nodes):
            share = shares[vector, j]
            square += share * row[j]
            e += share * p4[start + j, 0]
            x += share * p4[start + j, 1]
            y += share * p4[start + j, 2]
            z += share * p4[start + j, 3]
        squares[vector] = square
        vectors[vector, 0], vectors[vector, 1], vectors[vector, 2], vectors[vector, 3] = e, x, y, z


@inner
def normalise(vectors: F8, squares: F8, nodes: int) -> float:
    """Divide the three vectors by their common size; returns the first one's mass."""
    norm = math.sqrt(at_least(abs(squares[0] + squares[1] + squares[2]), _LEAST_NORM**2))
    for vector in range(VECTORS):
        # n nodes have n − 1 independent vectors: the others would differ by rounding
        scale = 1 / norm if vector < nodes - 1 else 0.0
        for c in range(4):
            vectors[vector, c] *= scale
    return math.sqrt(at_least(squares[0], _LEAST_MASS_SQUARE)) / norm
