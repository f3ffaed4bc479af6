"""PELICAN's training, one layer of pairs forward: from messages to the next messages, chunk by chunk.

All that is stored of a layer's pairs are its messages Y, before their BatchNorm, with one dropout bit per channel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8, U1
from ....compiled import inner, leaf, njit
from ...common.cpu.aligned import aligned_rows
from .channel_blocks import ChannelBlocks
from .chunks import (
    CHUNK,
    MARGIN,
    Chunk,
    NodeTerms,
    PairNodes,
    Rows,
    chunk_from,
    encode,
    find_pair_nodes,
    make_pair_nodes,
    make_rows,
    message,
    mix,
    next_pair,
    pair_after,
    run_from,
)
from .message_norm import even_and_odd
from .message_storage import keep_pair, keep_self
from .pair_tiles import block_width

__all__ = [
    "Draw", "Jets", "LayerSums", "LayerValues", "LayerWeights", "add_to", "clear", "even_odd_rows", "jet_slice",
    "most_nodes", "places_of", "remake", "sweep_forward",
]  # fmt: skip


class LayerWeights(NamedTuple):
    """Parameters of one layer in float32; letters and layouts as in `PelicanWeights`, transposed for the gradient."""

    narrow: ChannelBlocks
    wide: ChannelBlocks
    encoded: ChannelBlocks
    first: bool  # whether the layer begins with encoded products, not with messages
    embedding: F4  # (R, W)
    embedding_bias: F4
    power: F4
    inverse: F4
    scale: F4  # BatchNorm and dropout of the messages that enter, (N,)
    shift: F4
    even: F4  # (W / B, D, B)
    odd: F4
    message: F4  # (N / B, S, B)
    message_bias: F4  # (N,)
    even_transposed: F4  # (N / B, S, B)
    odd_transposed: F4
    message_transposed: F4  # (W / B, D, B)
    leak: F4  # dT/dZ where T is not above 0: 0.01, and 1 in the encoder's channels, (W,)


class Jets(NamedTuple):
    """The batch."""

    offsets: I8  # (J + 1,)
    squares: I8
    groups: I8  # (G + 1,)
    products: F8  # (Q, R)


class LayerValues(NamedTuple):
    """Terms of nodes, (N, W), the messages that enter, (Q, N), with their bits, and the layer's own messages."""

    terms: NodeTerms
    before: F4
    before_bits: U1
    messages: F4
    bits: U1


class LayerSums(NamedTuple):
    """What is summed of a layer's messages, see `layer.Messages`."""

    sums: F8  # (N, 3, C)
    counts: F4
    moments: F8  # of each group, (G, 2, C); of one, (2, C)


class Draw(NamedTuple):
    """What dropout draws: a key, and the hash below which a channel is dropped."""

    key: np.uint64
    threshold: np.uint32


@njit
def sweep_forward(
    weights: LayerWeights, jets: Jets, values: LayerValues, sums: LayerSums, draw: Draw, first: int, last: int
) -> None:
    """Messages of the jets of some groups, their bits and sums."""
    narrow, wide = weights.scale.shape[0], weights.leak.shape[0]
    rows, even_odd = make_rows(narrow, wide), even_odd_rows(narrow)
    pair_nodes = make_pair_nodes(most_nodes(jets, first, last))
    moments = np.zeros((2, narrow), np.float32)
    for group in range(first, last):
        of_group = sums.moments[group]
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, n, base = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
            own = LayerSums(sums.sums[start : start + n], sums.counts[start : start + n], of_group)
            terms, products = jet_slice(values.terms, start, n), jets.products[base : base + n * n]
            find_pair_nodes(n, pair_nodes)
            _jet_forward(weights, products, values, own, draw, base, n, terms, pair_nodes, rows, even_odd, moments)


@leaf
def _jet_forward(
    weights: LayerWeights, products: F8, values: LayerValues, sums: LayerSums, draw: Draw, base: int, n: int,
    terms: NodeTerms, nodes: PairNodes, rows: Rows, even_odd: F4, moments: F4,
) -> None:  # fmt: skip
    i, j, at, total = 0, 1, 0, sums.moments
    while at < n * (n + 1) // 2:
        chunk = chunk_from(i, j, at, n)
        remake(weights, products, values, base, chunk, terms, nodes, rows, even_odd)
        message(weights, 0, chunk, rows)
        clear(moments)
        _store(weights, values, sums, draw, base, chunk, rows, moments)
        add_to(total, moments)
        i, j = pair_after(chunk)
        at += chunk.size


@leaf
def _store(
    weights: LayerWeights, values: LayerValues, sums: LayerSums, draw: Draw, base: int, chunk: Chunk, rows: Rows,
    moments: F4,
) -> None:  # fmt: skip
    """A chunk's messages to where they are kept, and into the sums of its jet."""
    narrow, block, n = rows.y_ij.shape[1], block_width(weights.narrow), chunk.n
    ij, ji = places_of(chunk, base)
    y_ij, y_ji, messages, bits = rows.y_ij, rows.y_ji, values.messages, values.bits
    node_sums, counts, _ = sums
    for c in range(0, narrow, block):
        i, j, done = chunk.i, chunk.j, 0
        if not chunk.mirrored:
            keep_self(
                weights.narrow, y_ij, c, chunk.size, messages, ji, bits, node_sums, counts, moments, i, draw.key,
                base + i * (n + 1), n + 1, draw.threshold,
            )  # fmt: skip
            continue
        while done < chunk.size:
            run = run_from(i, j, n, chunk.size - done)
            keep_pair(
                weights.narrow, y_ij, y_ji, c, done, run, messages, ij + done, ji + done, bits, node_sums, counts,
                moments, i, j, draw.key, base + i * n + j, base + j * n + i, n, draw.threshold,
            )  # fmt: skip
            done += run
            i, j = next_pair(i, j + run - 1, n)


@inner
def most_nodes(jets: Jets, first: int, last: int) -> int:
    """Nodes of the largest jet of some groups, 1 at least."""
    most = 1
    for jet in range(jets.groups[first], jets.groups[last]):
        most = max(most, jets.offsets[jet + 1] - jets.offsets[jet])
    return most


@inner
def even_odd_rows(narrow: int) -> F4:
    """Work space for S and, in the second half, A of a chunk."""
    return aligned_rows(2 * (CHUNK + MARGIN), narrow)


@leaf
def places_of(chunk: Chunk, base: int) -> tuple[int, int]:
    """Where a chunk's Y_ij and its Y_ji begin, one on the diagonal, in a jet whose messages begin at `base`."""
    ji = base + chunk.n * (chunk.n - 1) // 2 + chunk.at
    return (base + chunk.at if chunk.mirrored else ji), ji


@inner
def jet_slice(terms: NodeTerms, start: int, n: int) -> NodeTerms:
    """Those of a jet's n nodes."""
    return NodeTerms(terms.u[start : start + n], terms.v[start : start + n], terms.d[start : start + n])


@leaf
def add_to(total: F8, part: F4) -> None:
    """Add up in float64."""
    for r in range(part.shape[0]):
        for c in range(part.shape[1]):
            total[r, c] += part[r, c]


@leaf
def clear(part: F4) -> None:
    """Set to 0."""
    for r in range(part.shape[0]):
        for c in range(part.shape[1]):
            part[r, c] = np.float32(0)


@leaf
def remake(
    weights: LayerWeights, products: F8, values: LayerValues, base: int, chunk: Chunk, terms: NodeTerms,
    nodes: PairNodes, rows: Rows, even_odd: F4,
) -> int:  # fmt: skip
    """The rows of T of a chunk, and what they were made of in `even_odd` or `rows.encoded`; how many the latter are.

    Products, terms and nodes of pairs are those of the jet, whose messages begin at `base`.
    """
    if weights.first:
        return encode(weights, False, products, chunk, terms, rows)
    side = even_odd.shape[0] // 2
    ij, ji = places_of(chunk, base)
    for c in range(0, even_odd.shape[1], block_width(weights.narrow)):
        even_and_odd(
            weights.narrow, values.before, ij, ji, c, chunk.size, values.before_bits, weights.scale, weights.shift,
            even_odd, side,
        )  # fmt: skip
    mix(weights, 0, chunk, even_odd, 0, side, terms, nodes, rows)
    return chunk.size
