"""PELICAN's training, one layer of pairs backward: a chunk's rows of T are computed again, and gradients pass them.

Each group of jets has gradients of the weights of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8, U1
from ....compiled import leaf, njit
from ...common.cpu.aligned import aligned_rows
from .channel_blocks import ChannelBlocks
from .chunks import (
    CHUNK,
    Chunk,
    NodeTerms,
    PairNodes,
    Rows,
    chunk_from,
    find_pair_nodes,
    make_pair_nodes,
    make_rows,
    next_pair,
    pair_after,
    run_from,
)
from .encoder import ENCODED
from .encoder_gradient import encoder_gradient
from .forward import (
    Jets,
    LayerValues,
    LayerWeights,
    add_to,
    clear,
    even_odd_rows,
    jet_slice,
    most_nodes,
    places_of,
    remake,
)
from .message_norm import grad_before, grad_of_pair, grad_of_self
from .pair_gradient_tiles import fold_pair, fold_self, grad_tile, outer_rows, outer_tile
from .pair_tiles import block_width, node_tile, tile_rows

__all__ = ["Arriving", "LayerGrads", "sweep_backward"]


class Arriving(NamedTuple):
    """A layer's messages, and the gradients that arrive at them."""

    messages: F4  # (Q, N)
    bits: U1
    grads: F4  # from the next layer, (Q, N)
    sums: F4  # of the nodes' sums, (N, 3, N)
    moments: F4  # (2, N): a constant, and a factor of the message


class LayerGrads(NamedTuple):
    """Gradients in the shapes of what they belong to; those of weights once per group, G, or of one."""

    before: F4  # of the messages that enter, (Q, N)
    terms: NodeTerms
    message: F4  # (G, D, W)
    even: F4
    odd: F4
    message_bias: F8  # (G, N)
    norm: F8  # of scale and shift, (G, 2, N)
    encoder: F8  # of the embedding's weights, its bias, and a, (G, R + 2, W)


@njit
def sweep_backward(
    weights: LayerWeights, jets: Jets, values: LayerValues, arriving: Arriving, grads: LayerGrads, first: int, last: int
) -> None:
    """Gradients of some groups."""
    narrow, wide, inputs = weights.scale.shape[0], weights.leak.shape[0], jets.products.shape[1]
    rows, even_odd = make_rows(narrow, wide), even_odd_rows(narrow)
    pair_nodes = make_pair_nodes(most_nodes(jets, first, last))
    bias, norm = np.zeros((1, narrow), np.float32), np.zeros((2, narrow), np.float32)
    encoder, zeros = np.zeros((inputs + 2, wide), np.float32), np.zeros(narrow, np.float32)
    encoded = aligned_rows(2 * CHUNK + ENCODED, wide)
    parts = _Parts(bias, norm, encoder, encoded, zeros)
    for group in range(first, last):
        mixing_group = 0 if weights.first else group
        of_group = LayerGrads(
            grads.before, grads.terms, grads.message[group], grads.even[mixing_group], grads.odd[mixing_group],
            grads.message_bias[group : group + 1], grads.norm[group], grads.encoder[group if weights.first else 0],
        )  # fmt: skip
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, n, base = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet], jets.squares[jet]
            terms, products = jet_slice(values.terms, start, n), jets.products[base : base + n * n]
            own, sums = jet_slice(grads.terms, start, n), arriving.sums[start : start + n]
            find_pair_nodes(n, pair_nodes)
            _jet_backward(
                weights, products, values, arriving, sums, of_group, base, n, terms, own, pair_nodes, rows, even_odd,
                parts,
            )  # fmt: skip


class _Parts(NamedTuple):
    """Gradients of one chunk in float32, which are added up in float64, work space and zeros."""

    bias: F4
    norm: F4
    encoder: F4
    encoded: F4
    zeros: F4


@leaf
def _jet_backward(
    weights: LayerWeights, products: F8, values: LayerValues, arriving: Arriving, sums: F4, grads: LayerGrads,
    base: int, n: int, terms: NodeTerms, grad_terms: NodeTerms, nodes: PairNodes, rows: Rows, even_odd: F4,
    parts: _Parts,
) -> None:  # fmt: skip
    """One jet; `grads` are those of its group."""
    t_ij, t_ji, y_ij, y_ji, _, _, _ = rows
    messages, bits, arriving_grads, _, moments = arriving
    before, _, grad_message, grad_even, grad_odd, grad_bias, grad_norm, grad_encoder = grads
    (bias, norm, encoder, encoded, zeros), (u, v, d) = parts, grad_terms
    i, j, at = 0, 1, 0
    while at < n * (n + 1) // 2:
        chunk = chunk_from(i, j, at, n)
        # y_ij and y_ji now hold gradients of messages
        clear(bias)
        _grad_messages(weights.narrow, messages, bits, arriving_grads, sums, moments, base, chunk, y_ij, y_ji, bias)
        add_to(grad_bias, bias)
        count = remake(weights, products, values, base, chunk, terms, nodes, rows, even_odd)
        # t_ij and t_ji are replaced by their gradients, then by those of the even and the odd part
        _through_message(weights, chunk, y_ij, y_ji, t_ij, t_ji, grad_message)
        _fold(weights.wide, chunk, t_ij, t_ji, u, v, d)
        if weights.first:
            clear(encoder)
            _through_encoder(weights, products, chunk, rows, count, encoded, encoder)
            add_to(grad_encoder, encoder)
        else:
            _through_mixing(weights, chunk, even_odd, t_ij, t_ji, y_ij, y_ji, grad_even, grad_odd, zeros)
            clear(norm)
            _through_norm(weights, values, chunk, base, y_ij, y_ji, before, norm)
            add_to(grad_norm, norm)
        i, j = pair_after(chunk)
        at += chunk.size


@leaf
def _grad_messages(
    narrow: ChannelBlocks, messages: F4, bits: U1, grads: F4, sums: F4, moments: F4, base: int, chunk: Chunk, y_ij: F4,
    y_ji: F4, bias: F4,
) -> None:  # fmt: skip
    """Gradients of a chunk's messages before their activation, to `y_ij` and `y_ji`, and their sum to `bias`."""
    ij, ji = places_of(chunk, base)
    for c in range(0, y_ij.shape[1], block_width(narrow)):
        i, j, done = chunk.i, chunk.j, 0
        if not chunk.mirrored:
            grad_of_self(narrow, messages, grads, ji, c, chunk.size, bits, sums, i, moments, y_ij, bias)
            continue
        while done < chunk.size:
            run = run_from(i, j, chunk.n, chunk.size - done)
            grad_of_pair(
                narrow, messages, grads, ij + done, ji + done, c, run, bits, sums, i, j, moments, y_ij, y_ji, done, bias
            )
            done += run
            i, j = next_pair(i, j + run - 1, chunk.n)


@leaf
def _outer(weights: LayerWeights, left: F4, left_row: int, count: int, right: F4, out: F4) -> None:
    """Add leftᵀ right of a chunk's rows to a gradient (D, W)."""
    narrow, wide, depth = left.shape[1], right.shape[1], weights.message_transposed.shape[1]
    for c in range(0, wide, block_width(weights.wide)):
        for r in range(0, depth, outer_rows(weights.wide, weights.narrow)):
            outer_tile(
                weights.wide, weights.narrow, left, left_row * narrow + r, narrow, count, right, c, out, r * wide + c
            )  # fmt: skip


@leaf
def _through_message(weights: LayerWeights, chunk: Chunk, y_ij: F4, y_ji: F4, t_ij: F4, t_ji: F4, out: F4) -> None:
    """From gradients of messages to those of Z, in place of T, and of the message layer's weights."""
    narrow, wide, depth = y_ij.shape[1], t_ij.shape[1], weights.message_transposed.shape[1]
    block, matrix, leak = block_width(weights.wide), weights.message_transposed, weights.leak
    for side in range(2 if chunk.mirrored else 1):
        x, values = (y_ij, t_ij) if side == 0 else (y_ji, t_ji)
        _outer(weights, x, 0, chunk.size, values, out)
        for b in range(wide // block):
            for row in range(0, chunk.size, tile_rows(weights.wide)):
                grad_tile(
                    weights.wide, weights.narrow, x, row * narrow, depth, matrix, b * depth * block, values,
                    row * wide + b * block, leak, b * block,
                )  # fmt: skip


@leaf
def _fold(wide: ChannelBlocks, chunk: Chunk, t_ij: F4, t_ji: F4, u: F4, v: F4, d: F4) -> None:
    """From gradients of Z to those of u, v and d, and of its even and odd part."""
    for c in range(0, t_ij.shape[1], block_width(wide)):
        i, j, done = chunk.i, chunk.j, 0
        if not chunk.mirrored:
            fold_self(wide, t_ij, t_ji, c, chunk.size, u, v, d, i)
            continue
        while done < chunk.size:
            run = run_from(i, j, chunk.n, chunk.size - done)
            fold_pair(wide, t_ij, t_ji, c, done, run, u, v, i, j)
            done += run
            i, j = next_pair(i, j + run - 1, chunk.n)


@leaf
def _through_mixing(
    weights: LayerWeights, chunk: Chunk, even_odd: F4, even: F4, odd: F4, out_even: F4, out_odd: F4, grad_even: F4,
    grad_odd: F4, zeros: F4,
) -> None:  # fmt: skip
    """From gradients of the even and the odd part to those of their matrices, and of S and A."""
    _outer(weights, even_odd, 0, chunk.size, even, grad_even)
    if chunk.mirrored:
        _outer(weights, even_odd, even_odd.shape[0] // 2, chunk.size, odd, grad_odd)
    _product(weights, chunk.size, even, weights.even_transposed, zeros, out_even)
    _product(weights, chunk.size, odd, weights.odd_transposed, zeros, out_odd)


@leaf
def _through_norm(
    weights: LayerWeights, values: LayerValues, chunk: Chunk, base: int, even: F4, odd: F4, out: F4, norm: F4
) -> None:
    """From gradients of S and A to those of the messages that enter, and of their BatchNorm."""
    ij, ji = places_of(chunk, base)
    messages, bits, scale = values.before, values.before_bits, weights.scale
    for c in range(0, even.shape[1], block_width(weights.narrow)):
        grad_before(weights.narrow, even, odd, messages, ij, ji, c, chunk.size, bits, scale, out, norm)
    if not chunk.mirrored:
        _double(out, ji, chunk.size)


@leaf
def _double(rows: F4, first: int, count: int) -> None:
    for row in range(first, first + count):
        for c in range(rows.shape[1]):
            rows[row, c] *= np.float32(2)


@leaf
def _product(weights: LayerWeights, size: int, x: F4, matrix: F4, zeros: F4, out: F4) -> None:
    narrow, wide, depth, block = out.shape[1], x.shape[1], matrix.shape[1], block_width(weights.narrow)
    for b in range(narrow // block):
        for row in range(0, size, tile_rows(weights.narrow)):
            node_tile(
                weights.narrow, x, row * wide, wide, depth, matrix, b * depth * block, zeros, b * block, out,
                row * narrow + b * block, narrow,
            )  # fmt: skip


@leaf
def _through_encoder(
    weights: LayerWeights, products: F8, chunk: Chunk, rows: Rows, count: int, grads: F4, out: F4
) -> None:
    """From gradients of the even and the odd part to those of the embedding and of a; `count` rows were encoded."""
    wide, inputs, block = rows.encoded.shape[1], products.shape[1], block_width(weights.encoded)
    _grad_encoded(weights, chunk, rows.mirror, count, rows.t_ij, rows.t_ji, grads)
    values, places = rows.encoded, rows.places
    embedding, bias, power, inverse = weights.embedding, weights.embedding_bias, weights.power, weights.inverse
    for b in range(0, len(weights.encoded) * block, block):
        for row in range(0, count, ENCODED):
            encoder_gradient(
                weights.encoded, products, places, row, inputs, embedding, wide, bias, power, inverse, b, values,
                grads, out,
            )  # fmt: skip


@leaf
def _grad_encoded(weights: LayerWeights, chunk: Chunk, mirror: I8, count: int, even: F4, odd: F4, out: F4) -> None:
    """Gradients of encoded products: of a pair and its mirror image together if they were encoded as one."""
    channels, half = len(weights.encoded) * block_width(weights.encoded), np.float32(0.5)
    for row in range(chunk.size, count + ENCODED):
        out[row, :channels] = np.float32(0)
    for row in range(chunk.size):
        for c in range(channels):
            out[row, c] = even[row, c]
        if chunk.mirrored and mirror[row] != row:
            for c in range(channels):
                out[row, c] = half * (even[row, c] + odd[row, c])
                out[mirror[row], c] = half * (even[row, c] - odd[row, c])
