"""PELICAN's training, one layer of pairs forth: from messages to the next messages, chunk by chunk.

Of a layer's pairs only its messages are kept, before their BatchNorm, with a bit a channel for dropout.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8, U1
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from .chunks import begin, encode, message, mix, next_pair, run_from
from .message_storage import keep_pair, keep_self
from .pair_encoding import ENCODED
from .pair_norm import even_and_odd
from .pair_shapes import Columns
from .pair_tile import block_of

__all__ = ["CHUNK", "MARGIN", "Jets", "LayerWeights", "Terms", "add_to", "pair_after", "remake", "sweep_forth"]


#: Pairs worked on at once, and as many mirror images.
CHUNK = 72
#: Rows that tiles may read or write beyond a matrix's own.
MARGIN = 16


class LayerWeights(NamedTuple):
    """Parameters of one layer in float32; letters and layouts as in `PelicanWeights`."""

    narrow: Columns
    wide: Columns
    encoded: Columns
    first: bool  # whether the layer begins with encoded products, and not with messages
    embedding: F4  # (R, W)
    embedding_bias: F4
    power: F4
    inverse: F4
    scale: F4  # of the messages before: BatchNorm and dropout, (N,)
    shift: F4
    even: F4  # (W / B, D, B)
    odd: F4
    message: F4  # (N / B, S, B)
    message_bias: F4  # (N,)
    even_back: F4  # (N / B, S, B)
    odd_back: F4
    message_back: F4  # (W / B, D, B)
    below_zero: F4  # slope of what a message is made of, where that is not above 0: 1 of the encoder, (W,)


class Jets(NamedTuple):
    """The batch."""

    offsets: I8  # (J + 1,)
    squares: I8
    groups: I8  # (G + 1,)
    products: F8  # (Q, R)


class Terms(NamedTuple):
    """What a layer has of nodes, (N, W), and of the messages before it, (Q, N) with their bits; and its own."""

    u: F4
    v: F4
    d: F4
    before: F4
    before_bits: U1
    messages: F4
    bits: U1


@njit
def sweep_forth(
    weights: LayerWeights,
    jets: Jets,
    terms: Terms,
    sums: F8,
    counts: F4,
    moments: F8,
    key: np.uint64,
    threshold: np.uint32,
    first: int,
    last: int,
) -> None:
    """Messages of the jets of some groups, their bits, nodes' sums (N, 3, C), and moments (G, 2, C)."""
    narrow, wide = weights.scale.shape[0], weights.below_zero.shape[0]
    block, side = block_of(weights.narrow), CHUNK + MARGIN
    above, below = aligned_rows(side, wide), aligned_rows(side, wide)
    up, down = aligned_rows(side, narrow), aligned_rows(side, narrow)
    mixed, spare = aligned_rows(2 * side, narrow), aligned_rows(MARGIN, wide)
    encoded = aligned_rows(2 * CHUNK + ENCODED, wide)
    places, mirror = np.empty(2 * CHUNK + ENCODED, np.int64), np.empty(CHUNK, np.int64)
    chunk_moments = np.zeros((2, narrow), np.float32)
    for group in range(first, last):
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, n, base = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
            own_sums, own_counts = sums[start : start + n], counts[start : start + n]
            i, j, at, count = 0, 1, 0, n * (n - 1) // 2
            while at < count + n:
                mirrored = at < count
                size = min((count if mirrored else count + n) - at, CHUNK)
                if not mirrored:
                    i, j = at - count, at - count
                remake(weights, jets, terms, jet, i, j, at, size, above, below, mixed, spare, encoded, places, mirror)
                message(weights, 0, size, mirrored, above, below, up, down)
                chunk_moments[:] = np.float32(0)
                upper, lower = base + at, base + count + at
                for c in range(0, narrow, block):
                    if not mirrored:
                        keep_self(
                            weights.narrow, up, c, size, terms.messages, lower, terms.bits, own_sums, own_counts,
                            chunk_moments, i, key, base + i * (n + 1), n + 1, threshold,
                        )  # fmt: skip
                        continue
                    a, b, done = i, j, 0
                    while done < size:
                        run = run_from(a, b, n, size - done)
                        keep_pair(
                            weights.narrow, up, down, c, done, run, terms.messages, upper + done, lower + done,
                            terms.bits, own_sums, own_counts, chunk_moments, a, b, key, base + a * n + b,
                            base + b * n + a, n, threshold,
                        )  # fmt: skip
                        done += run
                        a, b = next_pair(a, b + run - 1, n)
                add_to(moments[group], chunk_moments)
                i, j = pair_after(i, j, size, n)
                at += size


@inner
def pair_after(i: int, j: int, size: int, n: int) -> tuple[int, int]:
    """The pair `size` pairs after (i, j)."""
    done = 0
    while done < size:
        run = run_from(i, j, n, size - done)
        done += run
        i, j = next_pair(i, j + run - 1, n)
    return i, j


@inner
def add_to(total: F8, part: F4) -> None:
    """Add up."""
    for r in range(part.shape[0]):
        for c in range(part.shape[1]):
            total[r, c] += part[r, c]


@inner
def remake(
    weights: LayerWeights,
    jets: Jets,
    terms: Terms,
    jet: int,
    i: int,
    j: int,
    at: int,
    size: int,
    above: F4,
    below: F4,
    mixed: F4,
    spare: F4,
    encoded: F4,
    places: I8,
    mirror: I8,
) -> int:
    """The wide rows of a chunk, and what they were made of in `mixed` or `encoded`; rows of the latter."""
    start, n = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet]
    base, count, side = jets.squares[jet], n * (n - 1) // 2, mixed.shape[0] // 2
    u, v, d = terms.u[start : start + n], terms.v[start : start + n], terms.d[start : start + n]
    if weights.first:
        products = jets.products[base : base + n * n]
        return encode(weights, False, products, i, j, size, n, u, v, d, above, below, encoded, places, mirror)
    block, lower = block_of(weights.narrow), base + count + at
    upper = base + at if at < count else lower
    for c in range(0, mixed.shape[1], block):
        even_and_odd(
            weights.narrow, terms.before, upper, lower, c, size, terms.before_bits, weights.scale, weights.shift,
            mixed, side,
        )  # fmt: skip
    begin(weights, i, j, size, n, u, v, d, above, below)
    mix(weights, 0, size, mixed, 0, side, above, below, spare)
    return size
