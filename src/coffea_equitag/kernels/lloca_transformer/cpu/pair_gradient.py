"""Backward through the frames' vectors and the perceptron of pairs, whose channels are computed again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.row_layers import LINEAR, RowLayer, row_layer
from ...common.cpu.wide_dense import add_products
from .frame_vectors import VECTORS, frame_sums, pair_shares
from .pair_network import PairBuffers, at_once, first_layer, hidden_layer
from .pair_rows import logit_rows
from .pair_rows_gradient import first_rows_gradient, logit_rows_gradient
from .weights import PairWeights

__all__ = ["PairGradients", "Shares", "jet_gradient", "logit_gradients"]

#: Not literals, which numba would compile functions for.
_FIRST: int = np.int64(0)  # type: ignore[assignment]
_LINEAR: int = np.int64(LINEAR)  # type: ignore[assignment]


class PairGradients(NamedTuple):
    """Gradients, those of weights for each of G groups of jets."""

    received: F4  # (N, W)
    sent: F4  # (M, W)
    of_edge: F4  # (G, W)
    hidden: F4  # (G, W + margin, W)
    hidden_bias: F4  # (G, W)
    last: F4  # (G, 3, W)
    last_bias: F4  # (G, 3)


class Shares(NamedTuple):
    """Room for what one constituent's vectors are made of."""

    shares: F8  # (3, M)
    products: F8  # (3, M)
    vectors: F8  # (3, 4)
    squares: F8  # (3,)


@inner
def jet_gradient(
    weights: PairWeights, transposed: RowLayer, momenta: tuple[F8, F8], place: tuple[int, int, int, int, int],
    arriving: tuple[F8, F8], buffers: PairBuffers, spare: F4, grad_logits: F4, shares: Shares, grads: PairGradients,
) -> None:  # fmt: skip
    """Add a jet's part to the gradients, given those of its vectors (3, N, 4) and of their squares (3, N).

    `momenta` are those of all nodes and the jet's products; `place` is the group, the jet's first constituent and node,
    how many nodes it has and how many of them are references. `buffers` holds its edges and nodes' parts.
    """
    group, first, start, nodes, references = place
    here, there, width, count = buffers.here, buffers.there, len(weights.of_edge), nodes - references
    stride, some = buffers.logits.shape[1], at_once(nodes)
    for i_first in range(0, count, some):
        i_last = min(i_first + some, count)
        rows, at = (i_last - i_first) * nodes, i_first * nodes
        first_layer(weights, nodes, i_first, i_last, buffers, here)
        row_layer(here, _FIRST, hidden_layer(weights, 0), _LINEAR, there, _FIRST, rows)
        logit_rows(there, weights.last, weights.last_bias, rows, width, buffers.logits, at, stride)
        for i in range(i_first, i_last):
            logit_gradients(
                momenta, start, nodes, references, i, (arriving[0][:, first + i], arriving[1][:, first + i]),
                buffers, shares, grad_logits, grads.last_bias[group],
            )  # fmt: skip
        logit_rows_gradient(
            there, weights.last, grad_logits, at, stride, rows, width,
            grads.last, group * VECTORS * width, grads.hidden_bias, group * width,
        )  # fmt: skip
        add_products(there, here, _FIRST, rows, grads.hidden[group])
        row_layer(there, _FIRST, transposed, _LINEAR, spare, _FIRST, rows)
        for i in range(i_first, i_last):
            first_rows_gradient(
                buffers.received, i * width, buffers.sent, 0, weights.of_edge, buffers.edges, i * nodes, nodes, width,
                spare, (i - i_first) * nodes * width, grads.received, (first + i) * width,
                grads.sent, start * width, grads.of_edge, group * width,
            )  # fmt: skip


@inner
def logit_gradients(
    momenta: tuple[F8, F8], start: int, nodes: int, references: int, i: int, arriving: tuple[F8, F8],
    buffers: PairBuffers, room: Shares, grad_logits: F4, grad_bias: F4,
) -> None:  # fmt: skip
    """Gradients (3, ...) of the logits of the i-th constituent's pairs, and their sums added to a bias's.

    With shares s_j = w_j/m_j and d_j = ∂L/∂s_j as if the constituent's own share were free: ∂L/∂w_j = (d_j + d_i)/m_j.
    """
    (p4, gram), at, itself = momenta, i * nodes, references + i
    pair_shares(buffers, nodes, references, i, room.shares)
    frame_sums(room.shares, p4, start, gram, nodes, room.vectors, room.squares, room.products)
    for vector in range(VECTORS):
        shares, d = room.shares[vector], room.products[vector]
        g, twice = arriving[0][vector], 2 * arriving[1][vector]
        for j in range(nodes):
            p = p4[start + j]
            d[j] = twice * d[j] + (g[0] * p[0] + g[1] * p[1] + g[2] * p[2] + g[3] * p[3])
        own, mean = d[itself], 0.0
        shares[itself] = 0.0
        for j in range(nodes):
            mean += shares[j] * (d[j] + own)
        for j in range(nodes):
            value = np.float32(shares[j] * (d[j] + own - mean / buffers.inverse_mass[at + j]))
            grad_logits[vector, at + j] = value
            grad_bias[vector] += value
