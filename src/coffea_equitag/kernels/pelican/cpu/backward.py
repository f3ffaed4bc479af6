"""PELICAN's training, one layer of pairs back: the wide rows of a chunk are made again, and slopes go through them.

Each group of jets has gradients of the weights of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from .chunks import next_pair, run_from
from .forward import CHUNK, MARGIN, Jets, LayerWeights, Terms, add_to, pair_after, remake
from .pair_encoding import ENCODED
from .pair_encoding_gradient import encode_back
from .pair_gradient_tile import fold_pair, fold_self, outer_rows, outer_tile, slope_tile
from .pair_norm import back_to_messages, slopes_of_pair, slopes_of_self
from .pair_tile import block_of, mixed_rows, node_tile

__all__ = ["LayerSlopes", "sweep_back"]


class LayerSlopes(NamedTuple):
    """Slopes, in the shapes of what they belong to, of weights a group each."""

    messages: F4  # arriving, (Q, N)
    nodes: F4  # arriving, of the nodes' sums, (N, 3, N)
    statistics: F4  # arriving, (2, N): a constant, and a factor of the message
    before: F4
    u: F4
    v: F4
    d: F4
    message: F4  # (G, D, W)
    even: F4
    odd: F4
    message_bias: F8  # (G, N)
    norm: F8  # of scale and shift, (G, 2, N)
    encoder: F8  # of the embedding's weights, its bias, and a, (G, R + 2, W)


@njit
def sweep_back(weights: LayerWeights, jets: Jets, terms: Terms, slopes: LayerSlopes, first: int, last: int) -> None:
    """Slopes of some groups."""
    narrow, wide = weights.scale.shape[0], weights.below_zero.shape[0]
    block, side, inputs = block_of(weights.narrow), CHUNK + MARGIN, jets.products.shape[1]
    above, below = aligned_rows(side, wide), aligned_rows(side, wide)
    up, down = aligned_rows(side, narrow), aligned_rows(side, narrow)
    mixed, spare = aligned_rows(2 * side, narrow), aligned_rows(MARGIN, wide)
    encoded = aligned_rows(2 * CHUNK + ENCODED, wide)
    encoded_slopes = aligned_rows(2 * CHUNK + ENCODED, wide)
    places, mirror = np.empty(2 * CHUNK + ENCODED, np.int64), np.empty(CHUNK, np.int64)
    of_norm, of_bias = np.zeros((2, narrow), np.float32), np.zeros((1, narrow), np.float32)
    of_encoder, zeros = np.zeros((inputs + 2, wide), np.float32), np.zeros(narrow, np.float32)
    for group in range(first, last):
        message_out, even_out, odd_out = slopes.message[group], slopes.even[group], slopes.odd[group]
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, n, base = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
            nodes = slopes.nodes[start : start + n]
            u, v, d = slopes.u[start : start + n], slopes.v[start : start + n], slopes.d[start : start + n]
            i, j, at, count = 0, 1, 0, n * (n - 1) // 2
            while at < count + n:
                mirrored = at < count
                size = min((count if mirrored else count + n) - at, CHUNK)
                if not mirrored:
                    i, j = at - count, at - count
                lower = base + count + at
                upper = base + at if mirrored else lower
                of_bias[:] = np.float32(0)
                for c in range(0, narrow, block):
                    if not mirrored:
                        slopes_of_self(
                            weights.narrow, terms.messages, slopes.messages, lower, c, size, terms.bits, nodes, i,
                            slopes.statistics, up, of_bias,
                        )  # fmt: skip
                        continue
                    a, b, done = i, j, 0
                    while done < size:
                        run = run_from(a, b, n, size - done)
                        slopes_of_pair(
                            weights.narrow, terms.messages, slopes.messages, upper + done, lower + done, c, run,
                            terms.bits, nodes, a, b, slopes.statistics, up, down, done, of_bias,
                        )  # fmt: skip
                        done += run
                        a, b = next_pair(a, b + run - 1, n)
                add_to(slopes.message_bias[group : group + 1], of_bias)
                rows = remake(
                    weights, jets, terms, jet, i, j, at, size, above, below, mixed, spare, encoded, places, mirror
                )
                _through_message(weights, size, mirrored, up, down, above, below, message_out)
                _fold(weights, i, j, size, n, above, below, u, v, d)
                if weights.first:
                    _encoder_slopes(weights, size, mirrored, rows, mirror, above, below, encoded_slopes)
                    of_encoder[:] = np.float32(0)
                    _through_encoder(
                        weights, jets.products[base : base + n * n], places, rows, encoded, encoded_slopes, of_encoder
                    )
                    add_to(slopes.encoder[group], of_encoder)
                else:
                    _outer(weights, mixed, 0, size, above, even_out)
                    if mirrored:
                        _outer(weights, mixed, side, size, below, odd_out)
                    _narrowed(weights, size, above, weights.even_back, zeros, up)
                    _narrowed(weights, size, below, weights.odd_back, zeros, down)
                    of_norm[:] = np.float32(0)
                    for c in range(0, narrow, block):
                        back_to_messages(
                            weights.narrow, up, down, terms.before, upper, lower, c, size, terms.before_bits,
                            weights.scale, slopes.before, of_norm,
                        )  # fmt: skip
                    add_to(slopes.norm[group], of_norm)
                    if not mirrored:
                        _double(slopes.before, lower, size)
                i, j = pair_after(i, j, size, n)
                at += size


@inner
def _double(rows: F4, first: int, count: int) -> None:
    for row in range(first, first + count):
        for c in range(rows.shape[1]):
            rows[row, c] *= np.float32(2)


@inner
def _outer(weights: LayerWeights, left: F4, left_row: int, count: int, right: F4, out: F4) -> None:
    """Add leftᵀ right of a chunk's rows to a gradient (D, W)."""
    narrow, wide, depth = left.shape[1], right.shape[1], weights.message_back.shape[1]
    for c in range(0, wide, block_of(weights.wide)):
        for r in range(0, depth, outer_rows(weights.wide, weights.narrow)):
            outer_tile(
                weights.wide, weights.narrow, left, left_row * narrow + r, narrow, count, right, c, out, r * wide + c
            )  # fmt: skip


@inner
def _through_message(
    weights: LayerWeights, size: int, mirrored: bool, up: F4, down: F4, above: F4, below: F4, out: F4
) -> None:
    """Slopes of messages, `up` and `down`, to those of the wide rows before their activation, and of the weights."""
    narrow, wide, depth = up.shape[1], above.shape[1], weights.message_back.shape[1]
    block = block_of(weights.wide)
    for turn in range(2 if mirrored else 1):
        x, values = (up, above) if turn == 0 else (down, below)
        _outer(weights, x, 0, size, values, out)
        for b in range(wide // block):
            for row in range(0, size, mixed_rows(weights.wide)):
                slope_tile(
                    weights.wide, weights.narrow, x, row * narrow, depth, weights.message_back, b * depth * block,
                    values, row * wide + b * block, weights.below_zero, b * block,
                )  # fmt: skip


@inner
def _narrowed(weights: LayerWeights, size: int, x: F4, matrix: F4, zeros: F4, out: F4) -> None:
    narrow, wide, depth, block = out.shape[1], x.shape[1], matrix.shape[1], block_of(weights.narrow)
    for b in range(narrow // block):
        for row in range(0, size, mixed_rows(weights.narrow)):
            node_tile(
                weights.narrow, x, row * wide, wide, depth, matrix, b * depth * block, zeros, b * block, out,
                row * narrow + b * block, narrow,
            )  # fmt: skip


@inner
def _fold(weights: LayerWeights, i: int, j: int, size: int, n: int, above: F4, below: F4, u: F4, v: F4, d: F4) -> None:
    """Slopes of wide rows to those of u, v and d; what is left are those of the even and the odd part."""
    for c in range(0, above.shape[1], block_of(weights.wide)):
        if i == j:
            fold_self(weights.wide, above, below, c, size, u, v, d, i)
            continue
        a, b, done = i, j, 0
        while done < size:
            run = run_from(a, b, n, size - done)
            fold_pair(weights.wide, above, below, c, done, run, u, v, a, b)
            done += run
            a, b = next_pair(a, b + run - 1, n)


@inner
def _encoder_slopes(
    weights: LayerWeights, size: int, mirrored: bool, rows: int, mirror: I8, even: F4, odd: F4, out: F4
) -> None:
    """Slopes of encoded products: of a pair and its mirror image together if these were encoded as one."""
    channels, half = len(weights.encoded) * block_of(weights.encoded), np.float32(0.5)
    for row in range(size, rows + ENCODED):
        out[row, :channels] = np.float32(0)
    for row in range(size):
        for c in range(channels):
            out[row, c] = even[row, c]
        if mirrored and mirror[row] != row:
            for c in range(channels):
                out[row, c] = half * (even[row, c] + odd[row, c])
                out[mirror[row], c] = half * (even[row, c] - odd[row, c])


@inner
def _through_encoder(
    weights: LayerWeights, products: F8, places: I8, rows: int, encoded: F4, slopes: F4, out: F4
) -> None:
    wide, inputs, block = encoded.shape[1], products.shape[1], block_of(weights.encoded)
    for b in range(0, len(weights.encoded) * block, block):
        for row in range(0, rows, ENCODED):
            encode_back(
                weights.encoded, products, places, row, inputs, weights.embedding, wide, weights.embedding_bias,
                weights.power, weights.inverse, b, encoded, slopes, out,
            )  # fmt: skip
