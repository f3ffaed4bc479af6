"""LLoCa-Transformer forward, a group of jets at a time: frames, features and all blocks in one workrows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned
from ...common.cpu.ragged_attention import attend_rows
from ...common.cpu.row_layers import GELU, LINEAR, RowLayer, row_layer, row_layer_add
from ...common.cpu.row_norms import layer_norm_rows
from .carry import Ranks, carry_rows
from .frame_features import FEATURES, at_least, polar, write_features
from .frame_vectors import VECTORS, frame_sums, normalise, pair_shares
from .pair_network import PairBuffers, pair_logits, write_edges
from .polar_frame import polar_frame
from .weights import BlockWeights, LLoCaWeights, PairWeights

__all__ = ["Jets", "Network", "Rows", "apply_block", "frame_jets", "mean_rows", "rows_for"]

#: Not literals, which numba would compile functions for.
_FIRST: int = np.int64(0)  # type: ignore[assignment]
_LINEAR: int = np.int64(LINEAR)  # type: ignore[assignment]
_GELU: int = np.int64(GELU)  # type: ignore[assignment]
_EPS = 1e-5
_MASS_FLOOR, _LEAST_GAMMA = 1e-2, 0.1
_NONE = np.empty(0, np.float32)
_NO_BIAS = np.empty((0, 0), np.float32)


class Jets(NamedTuple):
    """What the network is given: N constituents, M nodes (references first in each jet)."""

    offsets: I8  # (J + 1,): constituents before each jet
    p4: F8  # (N, 4), in the laboratory
    total: F8  # (J, 4): of all nodes, in the laboratory
    own: F4  # (N, S): columns
    rest: F8  # (M, 4), in the rest frame
    gram: F8  # (Q,): p_i·p_j of the nodes
    squares: I8  # (J + 1,): pairs of nodes before each jet


class Network(NamedTuple):
    """What is not weights."""

    references: int
    laboratory: bool
    preserves_variance: bool
    heads: int
    ranks: Ranks
    per_constituent: bool  # the head is applied to each


class Rows(NamedTuple):
    """A group's rows, R at most."""

    seen: F4  # (R, S + 7): what the embedding sees
    h: F4  # (R, C)
    normed: F4  # (R, C)
    wide: F4  # (R, max(3 C, factor · C))
    q: F4  # (R, C)
    k: F4
    v: F4
    attended: F4
    to_common: F4  # (R, 16)
    to_local: F4
    nodes: F4  # (M, S + 7): scalars of a jet's nodes


def rows_for(weights: LLoCaWeights, rows: int, nodes: int, columns: int) -> Rows:
    """Room for groups of so many rows, and jets of so many nodes; what the embedding sees begins with `columns`."""
    block, channels = weights.blocks[0], weights.embedding.width
    size, wide = block.qkv.width // 3, max(block.qkv.width, block.up.width)
    widths = (columns + FEATURES, channels, channels, wide, size, size, size, size, 16, 16)
    made = [aligned(np.zeros((rows, width))) for width in widths]
    return Rows._make([*made, aligned(np.zeros((nodes, widths[0])))])


@njit
def frame_jets(
    received: RowLayer, sent: RowLayer, weights: PairWeights, network: Network, jets: Jets, first: int, last: int,
    buffers: PairBuffers, rows: Rows,
) -> None:  # fmt: skip
    """Frames of the constituents of the jets ``first:last``, and what the embedding sees of them there."""
    references = network.references
    for jet in range(first, last):
        n = jets.offsets[jet + 1] - jets.offsets[jet]
        if n == 0:
            continue
        nodes, gram = n + references, jets.gram[jets.squares[jet] : jets.squares[jet + 1]]
        _write_scalars(network, jets, jet, rows.nodes)
        row_layer(rows.nodes, _FIRST, sent, _LINEAR, buffers.sent, _FIRST, nodes)
        row_layer(rows.nodes, references, received, _LINEAR, buffers.received, _FIRST, n)
        write_edges(weights, gram, nodes, references, buffers)
        pair_logits(weights, nodes, references, buffers)
        _frame_constituents(network, jets, jet, gram, jets.offsets[jet] - jets.offsets[first], buffers, rows)


@njit
def apply_block(weights: BlockWeights, network: Network, offsets: I8, rows: Rows) -> None:
    """Attention and perceptron on the channels of a group of jets, whose rows begin at `offsets`."""
    count, jets, heads, ranks = offsets[-1], len(offsets) - 1, network.heads, network.ranks
    width = rows.q.shape[1]
    scale = (width // heads) ** -0.5
    layer_norm_rows(rows.h, _FIRST, count, _NONE, _NONE, _EPS, rows.normed, _FIRST)
    row_layer(rows.normed, _FIRST, weights.qkv, _LINEAR, rows.wide, _FIRST, count)
    carry_rows(rows.wide, 0, ranks, heads, rows.to_common, False, rows.q, 0, 0, count)
    carry_rows(rows.wide, width, ranks, heads, rows.to_common, True, rows.k, 0, 0, count)
    carry_rows(rows.wide, 2 * width, ranks, heads, rows.to_common, False, rows.v, 0, 0, count)
    attend_rows(rows.q, rows.k, rows.v, offsets, _FIRST, jets, heads, scale, _NO_BIAS, _FIRST, rows.attended)
    carry_rows(rows.attended, 0, ranks, heads, rows.to_local, False, rows.v, 0, 0, count)
    row_layer_add(rows.v, _FIRST, weights.out, rows.h, _FIRST, count)
    layer_norm_rows(rows.h, _FIRST, count, _NONE, _NONE, _EPS, rows.normed, _FIRST)
    row_layer(rows.normed, _FIRST, weights.up, _GELU, rows.wide, _FIRST, count)
    row_layer_add(rows.wide, _FIRST, weights.down, rows.h, _FIRST, count)


@njit
def mean_rows(h: F4, offsets: I8, out: F4) -> None:
    """The mean over each jet's rows, 0 over none."""
    for jet in range(len(offsets) - 1):
        first, last = offsets[jet], offsets[jet + 1]
        out[jet] = 0
        for row in range(first, last):
            for c in range(h.shape[1]):
                out[jet, c] += h[row, c]
        for c in range(h.shape[1]):
            out[jet, c] /= np.float32(max(last - first, 1))


@inner
def _frame_constituents(
    network: Network, jets: Jets, jet: int, gram: F8, row: int, buffers: PairBuffers, rows: Rows
) -> None:
    """Frames of a jet's constituents from their pairs' logits, and features, into the group's rows from `row` on."""
    first, references = jets.offsets[jet], network.references
    n = jets.offsets[jet + 1] - first
    nodes, start = n + references, first + jet * references
    total = np.zeros(4)
    for i in range(start + references, start + nodes):
        total += jets.rest[i]
    shares, vectors = np.empty((VECTORS, nodes)), np.empty((VECTORS, 4))
    squares, frame, spare = np.empty(VECTORS), np.empty((4, 4)), np.empty((VECTORS, nodes))
    for i in range(n):
        pair_shares(buffers, nodes, references, i, shares)
        frame_sums(shares, jets.rest, start, gram, nodes, vectors, squares, spare)
        mass = normalise(vectors, squares, nodes)
        momentum = jets.rest[start + references + i]
        polar_frame(vectors, mass, momentum, frame)
        for c in range(jets.own.shape[1]):
            rows.seen[row + i, c] = jets.own[first + i, c]
        own, local = _transformed(frame, momentum), _transformed(frame, total)
        write_features(polar(*own), polar(*local), rows.seen, row + i, jets.own.shape[1])
        gamma = _gamma(local[0], total) if network.preserves_variance else 1.0
        _write_frame(frame, 1 / gamma, rows.to_common, rows.to_local, row + i)


@inner
def _write_scalars(network: Network, jets: Jets, jet: int, out: F4) -> None:
    """Scalars of a jet's nodes: columns, and features in the laboratory; 0 for references."""
    first, columns = jets.offsets[jet], jets.own.shape[1]
    out[: network.references] = 0
    total = jets.total[jet]
    whole = polar(total[0], total[1], total[2], total[3])
    for i in range(jets.offsets[jet + 1] - first):
        row = network.references + i
        for c in range(columns):
            out[row, c] = jets.own[first + i, c]
        if network.laboratory:
            p = jets.p4[first + i]
            write_features(polar(p[0], p[1], p[2], p[3]), whole, out, row, columns)


@inner
def _transformed(frame: F8, momentum: F8) -> tuple[float, float, float, float]:
    e, x, y, z = momentum[0], momentum[1], momentum[2], momentum[3]
    return (
        frame[0, 0] * e + frame[0, 1] * x + frame[0, 2] * y + frame[0, 3] * z,
        frame[1, 0] * e + frame[1, 1] * x + frame[1, 2] * y + frame[1, 3] * z,
        frame[2, 0] * e + frame[2, 1] * x + frame[2, 2] * y + frame[2, 3] * z,
        frame[3, 0] * e + frame[3, 1] * x + frame[3, 2] * y + frame[3, 3] * z,
    )


@inner
def _gamma(energy: float, total: F8) -> float:
    """The jet's Lorentz factor in a frame, from its energy there and its momentum at rest."""
    square = at_least(total[0] ** 2 - (total[1] ** 2 + total[2] ** 2 + total[3] ** 2), 0.0)
    return at_least(energy / math.sqrt(square + _MASS_FLOOR**2), _LEAST_GAMMA)


@inner
def _write_frame(frame: F8, scale: float, to_common: F4, to_local: F4, row: int) -> None:
    """The matrices out of a frame and into it, flat, both with a factor."""
    for a in range(4):
        for b in range(4):
            sign = 1.0 if (a == 0) == (b == 0) else -1.0
            to_local[row, 4 * a + b] = np.float32(frame[a, b] * scale)
            to_common[row, 4 * b + a] = np.float32(sign * frame[a, b] * scale)
