"""What is done to a chunk of a jet's pairs and their mirror images, from encoded products to messages.

Pairs go (0, 1), (0, 2), ..., (1, 2), ...; then the diagonal. `weights` are `PelicanWeights`, or others with fields of
the same names.
"""

from __future__ import annotations

from typing import Any

from ....array_types import F4, F8, I8
from ....compiled import inner
from .pair_encoding import ENCODED, encode_angles, encode_rows, scalar_row
from .pair_tile import add_rows, block_of, message_tile, mixed_rows, mixed_tile, sum_pair, sum_self

__all__ = ["begin", "collect", "encode", "message", "mix", "next_pair", "run_from"]


@inner
def encode(
    weights: Any,
    angles: bool,
    products: F8,
    i: int,
    j: int,
    size: int,
    n: int,
    u: F4,
    v: F4,
    d: F4,
    above: F4,
    below: F4,
    encoded: F4,
    places: I8,
    mirror: I8,
) -> int:
    """What pairs (i, j), ... begin with, and their mirror images: encoded products, and terms of their scalars.

    Row r of `encoded` is the pair's own, row ``mirror[r]`` its image's; returns how many rows there are.
    """
    wide, block, inputs = above.shape[1], block_of(weights.wide), products.shape[1]
    # the mirror images follow; they are encoded only if they differ
    first_i, first_j, count, done = i, j, size, 0
    while done < size:
        run = run_from(i, j, n, size - done)
        for row in range(done, done + run):
            pair, image = i * n + j + row - done, (j + row - done) * n + i
            places[row], mirror[row] = pair * inputs, row
            for k in range(inputs):
                # NaN is not the same
                if mirror[row] == row and products[pair, k] != products[image, k]:
                    places[count], mirror[row] = image * inputs, count
                    count += 1
        done += run
        i, j = next_pair(i, j + run - 1, n)
    for row in range(count, count + ENCODED):
        places[row] = 0
    _encode_places(weights, angles, products, places, count, encoded)
    i, j, done = first_i, first_j, 0
    while done < size:
        run = run_from(i, j, n, size - done)
        for c in range(0, wide, block):
            if i == j:
                # its mirror image is itself: there is a row free
                to, own = done * wide + c, i * wide + c
                add_rows(weights.wide, below, to, v, own, d, own)
                scalar_row(weights.wide, above, to, encoded, to, u, own, below, to)
                continue
            for row in range(done, done + run):
                to, other = row * wide + c, (j + row - done) * wide + c
                scalar_row(weights.wide, above, to, encoded, to, u, i * wide + c, v, other)
                scalar_row(weights.wide, below, to, encoded, mirror[row] * wide + c, u, other, v, i * wide + c)
        done += run
        i, j = next_pair(i, j + run - 1, n)
    return count


@inner
def run_from(i: int, j: int, n: int, most: int) -> int:
    """How many pairs follow in the row of (i, j); one at a time down the diagonal."""
    return 1 if i == j else min(most, n - j)


@inner
def next_pair(i: int, j: int, n: int) -> tuple[int, int]:
    """The pair after (i, j): along the row, to the next one, or down the diagonal."""
    if i == j:
        return i + 1, j + 1
    return (i, j + 1) if j + 1 < n else (i + 1, i + 2)


@inner
def _encode_places(weights: Any, angles: bool, products: F8, places: I8, count: int, out: F4) -> None:
    wide, inputs, block = out.shape[1], products.shape[1], block_of(weights.encoded)
    for b in range(0, len(weights.encoded) * block, block):
        for row in range(0, count, ENCODED):
            if angles:
                encode_angles(
                    weights.encoded, products, places, row, inputs, weights.embedding, wide, weights.embedding_bias,
                    weights.power, weights.inverse, b, out,
                )  # fmt: skip
            else:
                encode_rows(
                    weights.encoded, products, places, row, inputs, weights.embedding, wide, weights.embedding_bias,
                    weights.power, weights.inverse, b, out,
                )  # fmt: skip


@inner
def begin(weights: Any, i: int, j: int, size: int, n: int, u: F4, v: F4, d: F4, above: F4, below: F4) -> None:
    """u_i + v_j for pairs (i, j), (i, j + 1), ... and their mirror images; u_i + v_i + d_i on the diagonal."""
    wide, block = above.shape[1], block_of(weights.wide)
    done = 0
    while done < size:
        run = run_from(i, j, n, size - done)
        for c in range(0, wide, block):
            for row in range(done, done + run):
                to, other = row * wide + c, (j + row - done) * wide + c
                add_rows(weights.wide, above, to, u, i * wide + c, v, other)
                add_rows(weights.wide, below, to, u, other, v, i * wide + c)
            if i == j:
                add_rows(weights.wide, above, done * wide + c, above, done * wide + c, d, i * wide + c)
        done += run
        i, j = next_pair(i, j + run - 1, n)


@inner
def mix(
    weights: Any,
    layer: int,
    size: int,
    pairs: F4,
    even_at: int,
    odd_at: int,
    above: F4,
    below: F4,
    spare: F4,
) -> None:
    """Add the mixed messages in rows S and A of `pairs` to both, and LeakyReLU."""
    wide, narrow, depth = above.shape[1], pairs.shape[1], weights.even.shape[-2]
    block, blocks = block_of(weights.wide), len(weights.wide)
    for b in range(blocks):
        at = (layer * blocks + b) * depth * block
        for row in range(0, size, mixed_rows(weights.wide)):
            mixed_tile(
                weights.wide, weights.narrow, above, below, row * wide + b * block, pairs, (even_at + row) * narrow,
                (odd_at + row) * narrow, depth, weights.even, weights.odd, at, spare,
            )  # fmt: skip


@inner
def message(weights: Any, layer: int, size: int, mirrored: bool, above: F4, below: F4, up: F4, down: F4) -> None:
    """Messages before their BatchNorm."""
    wide, narrow, depth = above.shape[1], up.shape[1], weights.message.shape[-2]
    block, blocks = block_of(weights.narrow), len(weights.narrow)
    for side in range(2 if mirrored else 1):
        x, out = (above, up) if side == 0 else (below, down)
        for b in range(blocks):
            at = (layer * blocks + b) * depth * block
            for row in range(0, size, mixed_rows(weights.narrow)):
                message_tile(
                    weights.wide, weights.narrow, x, row * wide, depth, weights.message, at, weights.message_bias,
                    layer * narrow + b * block, out, row * narrow + b * block,
                )  # fmt: skip


@inner
def collect(
    weights: Any,
    i: int,
    j: int,
    size: int,
    n: int,
    up: F4,
    down: F4,
    weight: F8,
    row: F8,
    column: F8,
    pairs: F4,
    even_to: int,
    odd_to: int,
) -> tuple[int, int]:
    """Sum a chunk's messages for their nodes and put S and A in their place; the pair after the last one."""
    narrow, block = up.shape[1], block_of(weights.narrow)
    done = 0
    while done < size:
        run = run_from(i, j, n, size - done)
        for c in range(0, narrow, block):
            if i == j:
                sum_self(weights.narrow, up, c, done, narrow, weight, row, column, i, pairs, even_to + done,
                         odd_to + done)  # fmt: skip
            else:
                sum_pair(
                    weights.narrow, up, down, c, done, run, narrow, weight, row, column, i, j, pairs, even_to + done,
                    odd_to + done,
                )  # fmt: skip
        done += run
        i, j = next_pair(i, j + run - 1, n)
    return i, j
