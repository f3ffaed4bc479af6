"""PELICAN's pairs in evaluation: the encoder and the blocks, each with the message layer that follows.

T is never stored: a pair is in memory only between a message and the next block, with the few channels of a message.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import expm1, leaky, product, psi
from ...common.gpu.tiles import RECEIVERS, JetTiles, own_tile
from .kernel_arguments import Encoder
from .pair_rows import embedded
from .weights import Message, NodeTerms

__all__ = ["TILES", "block_kernel", "columns_kernel", "encoder_kernel"]

#: Precision -> receivers and senders worked on at once, and warps.
TILES = {"ieee": (2, 8, 4), "tf32x3": (4, 16, 4), "tf32": (4, 16, 4), "bf16": (4, 16, 4)}

_TILE = tl.constexpr(RECEIVERS)


@triton.jit
def encoder_kernel(
    encoder: Encoder,
    terms: NodeTerms,
    layer: Message,
    jets: JetTiles,
    out: tl.tensor,
    row: tl.tensor,
    SCALARS: tl.constexpr,
    SHAPE: tl.constexpr,
) -> None:
    """The first messages of some receivers of one jet.

    Parameters
    ----------
    encoder, layer, jets
        See `Encoder`, `Message` and `JetTiles`.
    terms : NodeTerms
        With SCALARS: the channels that are not encoded are LeakyReLU(u_i + v_j + δ_ij d_i).
    out : (Q, DEPTH), float32; row : (N, DEPTH), float64
        Out: the messages, and their sums over j.
    """
    PRECISION: tl.constexpr = SHAPE.precision
    DEPTH: tl.constexpr = SHAPE.depth
    NARROW: tl.constexpr = SHAPE.narrow
    WIDE: tl.constexpr = SHAPE.wide
    CHUNK: tl.constexpr = SHAPE.chunk
    ENCODED: tl.constexpr = SHAPE.encoded
    BI: tl.constexpr = SHAPE.receivers
    BJ: tl.constexpr = SHAPE.senders
    jet, start, n, begin = own_tile(jets.offsets, jets.jet, jets.first)
    block = tl.load(jets.pairs + jet)
    c = tl.arange(0, NARROW)
    for group in range(begin, tl.minimum(begin + _TILE, n), BI):
        i = group + tl.arange(0, BI)
        sums = tl.zeros((BI, NARROW), tl.float64)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            inside = (i < n)[:, None] & (j < n)[None, :]
            place = block + i.to(tl.int64)[:, None] * n + j[None, :]
            total = tl.zeros((BI * BJ, NARROW), tl.float32)
            for wide in range(0, WIDE, CHUNK):
                k = wide + tl.arange(0, CHUNK)
                x = embedded(encoder, place, inside, k, SHAPE)
                a = tl.load(encoder.exponent + k)[None, None, :]
                size = expm1(a * tl.abs(psi(x))) / a
                x = tl.where(x < 0, -size, size)
                if SCALARS:
                    node = leaky(_node_terms(terms, start, n, i, j, k, WIDE))
                    x = tl.where((k < ENCODED)[None, None, :], x, node)
                weight = tl.load(layer.matrix + k[:, None] * NARROW + c[None, :])
                total = product(tl.reshape(x, (BI * BJ, CHUNK)), weight, total, PRECISION)
            sums += _finish(total, layer, out, place, inside, SHAPE)
        place_row = row + (start + i)[:, None] * DEPTH + c[None, :]
        tl.store(place_row, sums, mask=(i < n)[:, None] & (c < DEPTH)[None, :])


@triton.jit
def block_kernel(
    messages: tl.tensor,
    plain: tl.tensor,
    turned: tl.tensor,
    terms: NodeTerms,
    layer: Message,
    jets: JetTiles,
    out: tl.tensor,
    row: tl.tensor,
    SHAPE: tl.constexpr,
) -> None:
    """A block and the next messages, of some receivers of one jet.

    Parameters
    ----------
    messages : (Q, DEPTH), float32
        X of the block.
    plain, turned : (NARROW, WIDE)
        W₁ and W₂, the weights of X_ij and of X_ji.
    terms : NodeTerms
        What the aggregates add to row i, column j and the diagonal.
    layer, jets, out, row
        As for `encoder_kernel`.
    """
    PRECISION: tl.constexpr = SHAPE.precision
    DEPTH: tl.constexpr = SHAPE.depth
    NARROW: tl.constexpr = SHAPE.narrow
    WIDE: tl.constexpr = SHAPE.wide
    CHUNK: tl.constexpr = SHAPE.chunk
    BI: tl.constexpr = SHAPE.receivers
    BJ: tl.constexpr = SHAPE.senders
    jet, start, n, begin = own_tile(jets.offsets, jets.jet, jets.first)
    block = tl.load(jets.pairs + jet)
    c = tl.arange(0, NARROW)
    zeros = tl.zeros((BI * BJ, CHUNK), tl.float32)
    for group in range(begin, tl.minimum(begin + _TILE, n), BI):
        i = group + tl.arange(0, BI)
        sums = tl.zeros((BI, NARROW), tl.float64)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            inside = (i < n)[:, None] & (j < n)[None, :]
            place = block + i.to(tl.int64)[:, None] * n + j[None, :]
            mirror = block + j.to(tl.int64)[None, :] * n + i[:, None]
            here, there = _messages(messages, place, inside, SHAPE), _messages(messages, mirror, inside, SHAPE)
            total = tl.zeros((BI * BJ, NARROW), tl.float32)
            for wide in range(0, WIDE, CHUNK):
                k = wide + tl.arange(0, CHUNK)
                weights = c[:, None] * WIDE + k[None, :]
                x = product(here, tl.load(plain + weights), zeros, PRECISION)
                x = product(there, tl.load(turned + weights), x, PRECISION)
                node = _node_terms(terms, start, n, i, j, k, WIDE)
                x = leaky(x + tl.reshape(node, (BI * BJ, CHUNK)))
                weight = tl.load(layer.matrix + k[:, None] * NARROW + c[None, :])
                total = product(x, weight, total, PRECISION)
            sums += _finish(total, layer, out, place, inside, SHAPE)
        place_row = row + (start + i)[:, None] * DEPTH + c[None, :]
        tl.store(place_row, sums, mask=(i < n)[:, None] & (c < DEPTH)[None, :])


@triton.jit
def columns_kernel(
    messages: tl.tensor,
    jets: JetTiles,
    column: tl.tensor,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Σ_i X_ij in float64, for some columns of one jet; (N, DEPTH)."""
    jet, start, n, begin = own_tile(jets.offsets, jets.jet, jets.first)
    block = tl.load(jets.pairs + jet)
    c = tl.arange(0, NARROW)
    j = begin + tl.arange(0, COLUMNS)
    real = (j < n)[:, None] & (c < DEPTH)[None, :]
    total = tl.zeros((COLUMNS, NARROW), tl.float64)
    for first in range(0, n, ROWS):
        i = first + tl.arange(0, ROWS)
        place = block + i.to(tl.int64)[:, None] * n + j[None, :]
        x = tl.load(
            messages + place[:, :, None] * DEPTH + c[None, None, :],
            mask=(i < n)[:, None, None] & real[None, :, :],
            other=0.0,
        )
        total += tl.sum(x.to(tl.float64), axis=0)
    tl.store(column + (start + j)[:, None] * DEPTH + c[None, :], total, mask=real)


@triton.jit
def _messages(messages: tl.tensor, place: tl.tensor, inside: tl.tensor, SHAPE: tl.constexpr) -> tl.tensor:
    """Messages of a tile of pairs, one per row; 0 beyond the jet."""
    DEPTH: tl.constexpr = SHAPE.depth
    NARROW: tl.constexpr = SHAPE.narrow
    c = tl.arange(0, NARROW)
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    x = tl.load(messages + place[:, :, None] * DEPTH + c[None, None, :], mask=known, other=0.0)
    return tl.reshape(x, (place.shape[0] * place.shape[1], NARROW))


@triton.jit
def _node_terms(
    terms: NodeTerms, start: tl.tensor, n: tl.tensor, i: tl.tensor, j: tl.tensor, k: tl.tensor, WIDE: tl.constexpr
) -> tl.tensor:
    """Some channels of u_i + v_j + δ_ij d_i, receivers first."""
    own, other = (start + i)[:, None] * WIDE + k[None, :], (start + j)[:, None] * WIDE + k[None, :]
    u = tl.load(terms.u + own, mask=(i < n)[:, None], other=0.0)[:, None, :]
    d = tl.load(terms.d + own, mask=(i < n)[:, None], other=0.0)[:, None, :]
    node = u + tl.load(terms.v + other, mask=(j < n)[:, None], other=0.0)[None, :, :]
    return node + tl.where((i[:, None] == j[None, :])[:, :, None], d, 0.0)


@triton.jit
def _finish(
    total: tl.tensor, layer: Message, out: tl.tensor, place: tl.tensor, inside: tl.tensor, SHAPE: tl.constexpr
) -> tl.tensor:
    """The end of a message: bias, LeakyReLU, BatchNorm; stored, and summed over the senders."""
    DEPTH: tl.constexpr = SHAPE.depth
    NARROW: tl.constexpr = SHAPE.narrow
    c = tl.arange(0, NARROW)
    message = leaky(total + tl.load(layer.bias + c)[None, :])
    message = message * tl.load(layer.scale + c)[None, :] + tl.load(layer.shift + c)[None, :]
    message = tl.reshape(message, (place.shape[0], place.shape[1], NARROW))
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    tl.store(out + place[:, :, None] * DEPTH + c[None, None, :], message, mask=known)
    return tl.sum(tl.where(known, message, 0.0).to(tl.float64), axis=1)
