"""PELICAN's training, one layer of pairs backward: a chunk's rows of T are computed again, and gradients pass them.

Each group of jets has gradients of the weights of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from .chunks import CHUNK, Chunk, NodeTerms, Rows, chunk_from, make_rows, next_pair, pair_after, run_from
from .encoder import ENCODED
from .encoder_gradient import encoder_gradient
from .forward import Jets, LayerValues, LayerWeights, add_to, even_odd_rows, jet_slice, places_of, remake
from .message_norm import grad_before, grad_of_pair, grad_of_self
from .pair_gradient_tiles import fold_pair, fold_self, grad_tile, outer_rows, outer_tile
from .pair_tiles import block_width, node_tile, tile_rows

__all__ = ["LayerGrads", "sweep_backward"]


class LayerGrads(NamedTuple):
    """Gradients in the shapes of what they belong to; those of weights once per group.

    The first three arrive, the others are computed.
    """

    messages: F4  # from the next layer, (Q, N)
    sums: F4  # of the nodes' sums, (N, 3, N)
    moments: F4  # (2, N): a constant, and a factor of the message
    before: F4  # of the messages that enter, (Q, N)
    terms: NodeTerms
    message: F4  # (G, D, W)
    even: F4
    odd: F4
    message_bias: F8  # (G, N)
    norm: F8  # of scale and shift, (G, 2, N)
    encoder: F8  # of the embedding's weights, its bias, and a, (G, R + 2, W)


class _Sums(NamedTuple):
    """Float32 sums over one chunk, which are added up in float64."""

    bias: F4
    norm: F4
    encoder: F4
    encoded: F4  # gradients of the encoded products
    zeros: F4


@njit
def sweep_backward(
    weights: LayerWeights, jets: Jets, values: LayerValues, grads: LayerGrads, first: int, last: int
) -> None:
    """Gradients of some groups."""
    narrow, wide, inputs = weights.scale.shape[0], weights.leak.shape[0], jets.products.shape[1]
    rows, even_odd = make_rows(narrow, wide), even_odd_rows(narrow)
    own = _Sums(
        np.zeros((1, narrow), np.float32), np.zeros((2, narrow), np.float32), np.zeros((inputs + 2, wide), np.float32),
        aligned_rows(2 * CHUNK + ENCODED, wide), np.zeros(narrow, np.float32),
    )  # fmt: skip
    for group in range(first, last):
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, n, base = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
            grad_sums, grad_terms = grads.sums[start : start + n], jet_slice(grads.terms, start, n)
            i, j, at = 0, 1, 0
            while at < n * (n + 1) // 2:
                chunk = chunk_from(i, j, at, n)
                # y_ij and y_ji now hold gradients of messages
                own.bias[:] = np.float32(0)
                _grad_messages(weights, values, grads, grad_sums, base, chunk, rows, own.bias)
                add_to(grads.message_bias[group : group + 1], own.bias)
                encoded = remake(weights, jets, values, jet, chunk, rows, even_odd)
                # t_ij and t_ji are replaced by their gradients, then by those of the even and the odd part
                _through_message(weights, chunk, rows, grads.message[group])
                _fold(weights, chunk, rows, grad_terms)
                if weights.first:
                    products = jets.products[base : base + n * n]
                    own.encoder[:] = np.float32(0)
                    _through_encoder(weights, products, chunk, rows, encoded, own)
                    add_to(grads.encoder[group], own.encoder)
                else:
                    own.norm[:] = np.float32(0)
                    _through_mixing(weights, values, grads, group, base, chunk, rows, even_odd, own)
                    add_to(grads.norm[group], own.norm)
                i, j = pair_after(chunk)
                at += chunk.size


@inner
def _grad_messages(
    weights: LayerWeights, values: LayerValues, grads: LayerGrads, grad_sums: F4, base: int, chunk: Chunk, rows: Rows,
    bias: F4,
) -> None:  # fmt: skip
    """Gradients of a chunk's messages before their activation, to `y_ij` and `y_ji`, and their sum to `bias`."""
    narrow, block = rows.y_ij.shape[1], block_width(weights.narrow)
    ij, ji = places_of(chunk, base)
    for c in range(0, narrow, block):
        i, j, done = chunk.i, chunk.j, 0
        if not chunk.mirrored:
            grad_of_self(
                weights.narrow, values.messages, grads.messages, ji, c, chunk.size, values.bits, grad_sums, i,
                grads.moments, rows.y_ij, bias,
            )  # fmt: skip
            continue
        while done < chunk.size:
            run = run_from(i, j, chunk.n, chunk.size - done)
            grad_of_pair(
                weights.narrow, values.messages, grads.messages, ij + done, ji + done, c, run, values.bits, grad_sums,
                i, j, grads.moments, rows.y_ij, rows.y_ji, done, bias,
            )  # fmt: skip
            done += run
            i, j = next_pair(i, j + run - 1, chunk.n)


@inner
def _outer(weights: LayerWeights, left: F4, left_row: int, count: int, right: F4, out: F4) -> None:
    """Add leftᵀ right of a chunk's rows to a gradient (D, W)."""
    narrow, wide, depth = left.shape[1], right.shape[1], weights.message_transposed.shape[1]
    for c in range(0, wide, block_width(weights.wide)):
        for r in range(0, depth, outer_rows(weights.wide, weights.narrow)):
            outer_tile(
                weights.wide, weights.narrow, left, left_row * narrow + r, narrow, count, right, c, out, r * wide + c
            )  # fmt: skip


@inner
def _through_message(weights: LayerWeights, chunk: Chunk, rows: Rows, out: F4) -> None:
    """From gradients of messages to those of Z, in place of T, and of the message layer's weights."""
    narrow, wide, depth = rows.y_ij.shape[1], rows.t_ij.shape[1], weights.message_transposed.shape[1]
    block = block_width(weights.wide)
    for side in range(2 if chunk.mirrored else 1):
        x, values = (rows.y_ij, rows.t_ij) if side == 0 else (rows.y_ji, rows.t_ji)
        _outer(weights, x, 0, chunk.size, values, out)
        for b in range(wide // block):
            for row in range(0, chunk.size, tile_rows(weights.wide)):
                grad_tile(
                    weights.wide, weights.narrow, x, row * narrow, depth, weights.message_transposed,
                    b * depth * block, values, row * wide + b * block, weights.leak, b * block,
                )  # fmt: skip


@inner
def _fold(weights: LayerWeights, chunk: Chunk, rows: Rows, grad: NodeTerms) -> None:
    """From gradients of Z to those of u, v and d, and of its even and odd part."""
    for c in range(0, rows.t_ij.shape[1], block_width(weights.wide)):
        i, j, done = chunk.i, chunk.j, 0
        if not chunk.mirrored:
            fold_self(weights.wide, rows.t_ij, rows.t_ji, c, chunk.size, grad.u, grad.v, grad.d, i)
            continue
        while done < chunk.size:
            run = run_from(i, j, chunk.n, chunk.size - done)
            fold_pair(weights.wide, rows.t_ij, rows.t_ji, c, done, run, grad.u, grad.v, i, j)
            done += run
            i, j = next_pair(i, j + run - 1, chunk.n)


@inner
def _through_mixing(
    weights: LayerWeights, values: LayerValues, grads: LayerGrads, group: int, base: int, chunk: Chunk, rows: Rows,
    even_odd: F4, own: _Sums,
) -> None:  # fmt: skip
    """From gradients of the even and the odd part to those of their matrices, BatchNorm and the messages that enter."""
    _outer(weights, even_odd, 0, chunk.size, rows.t_ij, grads.even[group])
    if chunk.mirrored:
        _outer(weights, even_odd, even_odd.shape[0] // 2, chunk.size, rows.t_ji, grads.odd[group])
    _product(weights, chunk.size, rows.t_ij, weights.even_transposed, own.zeros, rows.y_ij)
    _product(weights, chunk.size, rows.t_ji, weights.odd_transposed, own.zeros, rows.y_ji)
    ij, ji = places_of(chunk, base)
    for c in range(0, rows.y_ij.shape[1], block_width(weights.narrow)):
        grad_before(
            weights.narrow, rows.y_ij, rows.y_ji, values.before, ij, ji, c, chunk.size, values.before_bits,
            weights.scale, grads.before, own.norm,
        )  # fmt: skip
    if not chunk.mirrored:
        _double(grads.before, ji, chunk.size)


@inner
def _double(rows: F4, first: int, count: int) -> None:
    for row in range(first, first + count):
        for c in range(rows.shape[1]):
            rows[row, c] *= np.float32(2)


@inner
def _product(weights: LayerWeights, size: int, x: F4, matrix: F4, zeros: F4, out: F4) -> None:
    narrow, wide, depth, block = out.shape[1], x.shape[1], matrix.shape[1], block_width(weights.narrow)
    for b in range(narrow // block):
        for row in range(0, size, tile_rows(weights.narrow)):
            node_tile(
                weights.narrow, x, row * wide, wide, depth, matrix, b * depth * block, zeros, b * block, out,
                row * narrow + b * block, narrow,
            )  # fmt: skip


@inner
def _through_encoder(weights: LayerWeights, products: F8, chunk: Chunk, rows: Rows, encoded: int, own: _Sums) -> None:
    """From gradients of the even and the odd part to those of the embedding and of a; `encoded` rows were encoded."""
    wide, inputs, block = rows.encoded.shape[1], products.shape[1], block_width(weights.encoded)
    _grad_encoded(weights, chunk, rows.mirror, encoded, rows.t_ij, rows.t_ji, own.encoded)
    for b in range(0, len(weights.encoded) * block, block):
        for row in range(0, encoded, ENCODED):
            encoder_gradient(
                weights.encoded, products, rows.places, row, inputs, weights.embedding, wide, weights.embedding_bias,
                weights.power, weights.inverse, b, rows.encoded, own.encoded, own.encoder,
            )  # fmt: skip


@inner
def _grad_encoded(weights: LayerWeights, chunk: Chunk, mirror: I8, encoded: int, even: F4, odd: F4, out: F4) -> None:
    """Gradients of encoded products: of a pair and its mirror image together if they were encoded as one."""
    channels, half = len(weights.encoded) * block_width(weights.encoded), np.float32(0.5)
    for row in range(chunk.size, encoded + ENCODED):
        out[row, :channels] = np.float32(0)
    for row in range(chunk.size):
        for c in range(channels):
            out[row, c] = even[row, c]
        if chunk.mirrored and mirror[row] != row:
            for c in range(channels):
                out[row, c] = half * (even[row, c] + odd[row, c])
                out[mirror[row], c] = half * (even[row, c] - odd[row, c])
