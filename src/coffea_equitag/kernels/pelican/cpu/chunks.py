"""What is done to a chunk of a jet's pairs and their mirror images, from encoded products to messages.

The pairs of a jet are taken in the order (0, 1), (0, 2), ..., (1, 2), ..., then those on the diagonal. `weights` are
`PelicanWeights`, or `forward.LayerWeights`, which have fields of the same names. Arrays are taken out of NamedTuples
before loops: numba counts a reference each time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, leaf
from ...common.cpu.aligned import aligned_rows
from .encoder import ENCODED, encode_angles, encode_rows, scalar_row
from .mixing_tiles import mixed_rows, mixed_tile, self_tile
from .pair_tiles import add_rows, block_width, message_tile, sum_pair, sum_self, tile_rows

__all__ = [
    "CHUNK", "MARGIN", "Chunk", "NodeTerms", "PairNodes", "Rows", "chunk_from", "collect", "encode", "find_pair_nodes",
    "make_pair_nodes", "make_rows", "message", "mix", "next_pair", "pair_after", "run_from",
]  # fmt: skip

#: Pairs per chunk, and as many mirror images: few enough for the first-level cache.
CHUNK = 72
#: Rows that tiles may read or write beyond a matrix's own.
MARGIN = 16


class Chunk(NamedTuple):
    """`size` pairs of a jet of n nodes, the first of which is (i, j)."""

    i: int
    j: int
    at: int  # pairs of the jet before them
    size: int
    n: int
    mirrored: bool  # whether i ≠ j


class NodeTerms(NamedTuple):
    """What nodes add to their pairs: u_i + v_j + δ_ij d_i, each (n, W)."""

    u: F4
    v: F4
    d: F4


class PairNodes(NamedTuple):
    """The nodes i and j of a jet's pairs in their order, without those on the diagonal."""

    own: I8
    other: I8


class Rows(NamedTuple):
    """Work space for one chunk: rows of T_ij and T_ji, (CHUNK, W), and of the messages Y_ij and Y_ji, (CHUNK, N)."""

    t_ij: F4
    t_ji: F4
    y_ij: F4
    y_ji: F4
    encoded: F4  # encoded products; zero beyond the encoder's channels
    places: I8  # where each row of `encoded` has its inputs
    mirror: I8  # the row of `encoded` of each pair's mirror image


@inner
def chunk_from(i: int, j: int, at: int, n: int) -> Chunk:
    """The chunk that begins with (i, j), `at` pairs into the jet; chunks end before the diagonal begins."""
    count = n * (n - 1) // 2
    if at < count:
        return Chunk(i, j, at, min(count - at, CHUNK), n, True)
    return Chunk(at - count, at - count, at, min(count + n - at, CHUNK), n, False)


@leaf
def pair_after(chunk: Chunk) -> tuple[int, int]:
    """The pair after its last one."""
    i, j, done = chunk.i, chunk.j, 0
    while done < chunk.size:
        run = run_from(i, j, chunk.n, chunk.size - done)
        done += run
        i, j = next_pair(i, j + run - 1, chunk.n)
    return i, j


@inner
def make_pair_nodes(largest: int) -> PairNodes:
    """Room for the nodes of a jet's pairs, valid ones where a tile reads beyond them."""
    size = largest * (largest - 1) // 2 + MARGIN
    return PairNodes(np.zeros(size, np.int64), np.zeros(size, np.int64))


@leaf
def find_pair_nodes(n: int, nodes: PairNodes) -> None:
    """Those of a jet of n nodes."""
    own, other = nodes
    at = 0
    for i in range(n):
        for j in range(i + 1, n):
            own[at + j - i - 1], other[at + j - i - 1] = i, j
        at += n - i - 1


@inner
def make_rows(narrow: int, wide: int) -> Rows:
    """Work space for N and W channels."""
    side, encoded = CHUNK + MARGIN, 2 * CHUNK + ENCODED
    return Rows(
        aligned_rows(side, wide), aligned_rows(side, wide), aligned_rows(side, narrow), aligned_rows(side, narrow),
        aligned_rows(encoded, wide), np.empty(encoded, np.int64), np.empty(CHUNK, np.int64),
    )  # fmt: skip


@leaf
def encode(weights: Any, angles: bool, products: F8, chunk: Chunk, terms: NodeTerms, rows: Rows) -> int:
    """T_ij and T_ji of the first layer: encoded products beside LeakyReLU of the scalars' terms.

    Row r of `rows.encoded` is a pair's own, row ``rows.mirror[r]`` its image's. Returns how many rows there are.
    """
    t_ij, t_ji, encoded, mirror, (u, v, d) = rows.t_ij, rows.t_ji, rows.encoded, rows.mirror, terms
    size, n, wide, block = chunk.size, chunk.n, rows.t_ij.shape[1], block_width(weights.wide)
    count = _find_products(products, chunk, rows)
    _encode_places(weights, angles, products, rows.places, count, encoded)
    i, j, done = chunk.i, chunk.j, 0
    while done < size:
        run = run_from(i, j, n, size - done)
        for c in range(0, wide, block):
            if i == j:
                # its mirror image is itself: the row of T_ji is free
                to, own = done * wide + c, i * wide + c
                add_rows(weights.wide, t_ji, to, v, own, d, own)
                scalar_row(weights.wide, t_ij, to, encoded, to, u, own, t_ji, to)
                continue
            for row in range(done, done + run):
                to, own, other = row * wide + c, i * wide + c, (j + row - done) * wide + c
                scalar_row(weights.wide, t_ij, to, encoded, to, u, own, v, other)
                scalar_row(weights.wide, t_ji, to, encoded, mirror[row] * wide + c, u, other, v, own)
        done += run
        i, j = next_pair(i, j + run - 1, n)
    return count


@leaf
def _find_products(products: F8, chunk: Chunk, rows: Rows) -> int:
    """Fill `places` and `mirror`: the pairs' rows, then those of mirror images with products of their own."""
    places, mirror, inputs = rows.places, rows.mirror, products.shape[1]
    i, j, size, n = chunk.i, chunk.j, chunk.size, chunk.n
    count, done = size, 0
    while done < size:
        run = run_from(i, j, n, size - done)
        for row in range(done, done + run):
            pair, image = i * n + j + row - done, (j + row - done) * n + i
            places[row], mirror[row] = pair * inputs, row
            for k in range(inputs):
                # NaN differs from itself
                if mirror[row] == row and products[pair, k] != products[image, k]:
                    places[count], mirror[row] = image * inputs, count
                    count += 1
        done += run
        i, j = next_pair(i, j + run - 1, n)
    for row in range(count, count + ENCODED):
        places[row] = 0
    return count


@leaf
def run_from(i: int, j: int, n: int, most: int) -> int:
    """How many pairs follow in the row of (i, j); one at a time down the diagonal."""
    return 1 if i == j else min(most, n - j)


@leaf
def next_pair(i: int, j: int, n: int) -> tuple[int, int]:
    """The pair after (i, j): along the row, to the next one, or down the diagonal."""
    if i == j:
        return i + 1, j + 1
    return (i, j + 1) if j + 1 < n else (i + 1, i + 2)


@leaf
def _encode_places(weights: Any, angles: bool, products: F8, places: I8, count: int, out: F4) -> None:
    wide, inputs, block = out.shape[1], products.shape[1], block_width(weights.encoded)
    embedding, bias, power, inverse = weights.embedding, weights.embedding_bias, weights.power, weights.inverse
    for b in range(0, len(weights.encoded) * block, block):
        for row in range(0, count, ENCODED):
            if angles:
                encode_angles(
                    weights.encoded, products, places, row, inputs, embedding, wide, bias, power, inverse, b, out
                )
            else:
                encode_rows(
                    weights.encoded, products, places, row, inputs, embedding, wide, bias, power, inverse, b, out
                )


@leaf
def mix(
    weights: Any, layer: int, chunk: Chunk, pairs: F4, even_at: int, odd_at: int, terms: NodeTerms, nodes: PairNodes,
    rows: Rows,
) -> None:  # fmt: skip
    """T of a chunk from its messages, S from row `even_at` and A from row `odd_at` of `pairs`, and from its nodes."""
    narrow, depth, (u, v, d), (own, other) = pairs.shape[1], weights.even.shape[-2], terms, nodes
    block, blocks = block_width(weights.wide), len(weights.wide)
    t_ij, t_ji, even, odd = rows.t_ij, rows.t_ji, weights.even, weights.odd
    for b in range(blocks):
        at = (layer * blocks + b) * depth * block
        if not chunk.mirrored:
            for row in range(0, chunk.size, tile_rows(weights.wide)):
                self_tile(
                    weights.wide, weights.narrow, t_ij, row, b * block, pairs, (even_at + row) * narrow, depth, even,
                    at, u, v, d, chunk.i + row,
                )  # fmt: skip
            continue
        for row in range(0, chunk.size, mixed_rows(weights.wide)):
            mixed_tile(
                weights.wide, weights.narrow, t_ij, t_ji, row, b * block, pairs, (even_at + row) * narrow,
                (odd_at + row) * narrow, depth, even, odd, at, u, v, own, other, chunk.at + row,
            )  # fmt: skip


@leaf
def message(weights: Any, layer: int, chunk: Chunk, rows: Rows) -> None:
    """Messages Y from T, before their BatchNorm; those of mirror images if there are any."""
    wide, narrow, depth = rows.t_ij.shape[1], rows.y_ij.shape[1], weights.message.shape[-2]
    block, blocks = block_width(weights.narrow), len(weights.narrow)
    matrix, bias = weights.message, weights.message_bias
    for side in range(2 if chunk.mirrored else 1):
        x, out = (rows.t_ij, rows.y_ij) if side == 0 else (rows.t_ji, rows.y_ji)
        for b in range(blocks):
            at = (layer * blocks + b) * depth * block
            for row in range(0, chunk.size, tile_rows(weights.narrow)):
                message_tile(
                    weights.wide, weights.narrow, x, row * wide, depth, matrix, at, bias,
                    layer * narrow + b * block, out, row * narrow + b * block,
                )  # fmt: skip


@leaf
def collect(
    weights: Any, chunk: Chunk, rows: Rows, weight: F8, row: F8, column: F8, pairs: F4, even_to: int, odd_to: int
) -> tuple[int, int]:
    """Sum a chunk's messages for their nodes and store S and A in `pairs`; the pair after the last one."""
    narrow, block = rows.y_ij.shape[1], block_width(weights.narrow)
    i, j, size, n, done = chunk.i, chunk.j, chunk.size, chunk.n, 0
    y_ij, y_ji = rows.y_ij, rows.y_ji
    while done < size:
        run = run_from(i, j, n, size - done)
        for c in range(0, narrow, block):
            if i == j:
                sum_self(
                    weights.narrow, y_ij, c, done, narrow, weight, row, column, i, pairs, even_to + done,
                    odd_to + done,
                )  # fmt: skip
            else:
                sum_pair(
                    weights.narrow, y_ij, y_ji, c, done, run, narrow, weight, row, column, i, j, pairs,
                    even_to + done, odd_to + done,
                )  # fmt: skip
        done += run
        i, j = next_pair(i, j + run - 1, n)
    return i, j
