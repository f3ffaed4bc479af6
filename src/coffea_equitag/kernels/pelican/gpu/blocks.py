"""PELICAN's pairs: the encoder and the blocks, each with the message layer that follows, so that no wide array is made.

A pair is in memory only between a message and the next block, with the few channels of a message.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import expm1, leaky, product, psi
from ...common.gpu.tiles import own_tile

__all__ = ["TILES", "block_kernel", "columns_kernel", "encoder_kernel"]

#: Precision -> receivers and senders worked on at once, and warps.
TILES = {"ieee": (2, 8, 4), "tf32x3": (4, 16, 4), "tf32": (4, 16, 4), "bf16": (4, 16, 4)}


@triton.jit
def encoder_kernel(
    products: tl.tensor,
    embedding: tl.tensor,
    embedding_bias: tl.tensor,
    exponent: tl.tensor,
    u: tl.tensor,
    v: tl.tensor,
    d: tl.tensor,
    matrix: tl.tensor,
    bias: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    out: tl.tensor,
    row: tl.tensor,
    narrow: tl.tensor,
    encoded: tl.tensor,
    INPUTS: tl.constexpr,
    SCALARS: tl.constexpr,
    PRECISION: tl.constexpr,
    NARROW: tl.constexpr,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """The first messages of some receivers of one jet.

    Parameters
    ----------
    products : (Q, INPUTS), float64
        Pair channels.
    embedding : (INPUTS, WIDE); embedding_bias, exponent : (WIDE,)
        To the wide channels, the first `encoded` of which pass the encoder.
    u, v, d : (N, WIDE)
        With SCALARS: the other channels are LeakyReLU(u_i + v_j + δ_ij d_i).
    matrix : (WIDE, NARROW); bias, scale, shift : (NARROW,)
        The message layer and its BatchNorm.
    out : (Q, narrow), float32; row : (N, narrow), float64
        Out: the messages, and their sums over j.
    """
    jet, start, n, begin = own_tile(offsets, tile_jet, tile_first)
    block = tl.load(pairs + jet)
    c = tl.arange(0, NARROW)
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        sums = tl.zeros((BI, NARROW), tl.float64)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            inside = (i < n)[:, None] & (j < n)[None, :]
            place = block + i.to(tl.int64)[:, None] * n + j[None, :]
            total = tl.zeros((BI * BJ, NARROW), tl.float32)
            for wide in range(0, WIDE, CHUNK):
                k = wide + tl.arange(0, CHUNK)
                x = tl.zeros((BI, BJ, CHUNK), tl.float32) + tl.load(embedding_bias + k)[None, None, :]
                for r in tl.static_range(INPUTS):
                    seen = tl.load(products + place * INPUTS + r, mask=inside, other=0.0).to(tl.float32)
                    x += seen[:, :, None] * tl.load(embedding + r * WIDE + k)[None, None, :]
                a = tl.load(exponent + k)[None, None, :]
                size = expm1(a * tl.abs(psi(x))) / a
                x = tl.where(x < 0, -size, size)
                if SCALARS:
                    own = _rows(u, start, i, k, n, WIDE)[:, None, :]
                    here = _rows(d, start, i, k, n, WIDE)[:, None, :]
                    node = own + _rows(v, start, j, k, n, WIDE)[None, :, :]
                    node = leaky(node + tl.where((i[:, None] == j[None, :])[:, :, None], here, 0.0))
                    x = tl.where((k < encoded)[None, None, :], x, node)
                weight = tl.load(matrix + k[:, None] * NARROW + c[None, :])
                total = product(tl.reshape(x, (BI * BJ, CHUNK)), weight, total, PRECISION)
            sums += _finish(total, bias, scale, shift, out, place, inside, narrow, NARROW, BI, BJ)
        place_row = row + (start + i)[:, None] * narrow + c[None, :]
        tl.store(place_row, sums, mask=(i < n)[:, None] & (c < narrow)[None, :])


@triton.jit
def block_kernel(
    messages: tl.tensor,
    plain: tl.tensor,
    turned: tl.tensor,
    u: tl.tensor,
    v: tl.tensor,
    d: tl.tensor,
    matrix: tl.tensor,
    bias: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    out: tl.tensor,
    row: tl.tensor,
    narrow: tl.tensor,
    PRECISION: tl.constexpr,
    NARROW: tl.constexpr,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """A block and the next messages, of some receivers of one jet.

    Parameters
    ----------
    messages : (Q, narrow), float32
        X of the block.
    plain, turned : (NARROW, WIDE)
        Weights of X_ij and of X_ji.
    u, v, d : (N, WIDE), float32
        What the aggregates add to row i, column j and the diagonal.
    matrix, bias, scale, shift, out, row
        As of `encoder_kernel`.
    """
    jet, start, n, begin = own_tile(offsets, tile_jet, tile_first)
    block = tl.load(pairs + jet)
    c = tl.arange(0, NARROW)
    zeros = tl.zeros((BI * BJ, CHUNK), tl.float32)
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        sums = tl.zeros((BI, NARROW), tl.float64)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            inside = (i < n)[:, None] & (j < n)[None, :]
            place = block + i.to(tl.int64)[:, None] * n + j[None, :]
            mirror = block + j.to(tl.int64)[None, :] * n + i[:, None]
            known = inside[:, :, None] & (c < narrow)[None, None, :]
            here = tl.load(messages + place[:, :, None] * narrow + c[None, None, :], mask=known, other=0.0)
            there = tl.load(messages + mirror[:, :, None] * narrow + c[None, None, :], mask=known, other=0.0)
            here, there = tl.reshape(here, (BI * BJ, NARROW)), tl.reshape(there, (BI * BJ, NARROW))
            total = tl.zeros((BI * BJ, NARROW), tl.float32)
            for wide in range(0, WIDE, CHUNK):
                k = wide + tl.arange(0, CHUNK)
                x = product(here, tl.load(plain + c[:, None] * WIDE + k[None, :]), zeros, PRECISION)
                x = product(there, tl.load(turned + c[:, None] * WIDE + k[None, :]), x, PRECISION)
                own = _rows(u, start, i, k, n, WIDE)[:, None, :]
                diagonal = _rows(d, start, i, k, n, WIDE)[:, None, :]
                node = own + _rows(v, start, j, k, n, WIDE)[None, :, :]
                node += tl.where((i[:, None] == j[None, :])[:, :, None], diagonal, 0.0)
                x = leaky(x + tl.reshape(node, (BI * BJ, CHUNK)))
                total = product(x, tl.load(matrix + k[:, None] * NARROW + c[None, :]), total, PRECISION)
            sums += _finish(total, bias, scale, shift, out, place, inside, narrow, NARROW, BI, BJ)
        place_row = row + (start + i)[:, None] * narrow + c[None, :]
        tl.store(place_row, sums, mask=(i < n)[:, None] & (c < narrow)[None, :])


@triton.jit
def columns_kernel(
    messages: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    column: tl.tensor,
    narrow: tl.tensor,
    NARROW: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Σ_i X_ij in float64, for some columns of one jet; (N, narrow)."""
    jet, start, n, begin = own_tile(offsets, tile_jet, tile_first)
    block = tl.load(pairs + jet)
    c = tl.arange(0, NARROW)
    j = begin + tl.arange(0, COLUMNS)
    real = (j < n)[:, None] & (c < narrow)[None, :]
    total = tl.zeros((COLUMNS, NARROW), tl.float64)
    for first in range(0, n, ROWS):
        i = first + tl.arange(0, ROWS)
        place = block + i.to(tl.int64)[:, None] * n + j[None, :]
        x = tl.load(
            messages + place[:, :, None] * narrow + c[None, None, :],
            mask=(i < n)[:, None, None] & real[None, :, :],
            other=0.0,
        )
        total += tl.sum(x.to(tl.float64), axis=0)
    tl.store(column + (start + j)[:, None] * narrow + c[None, :], total, mask=real)


@triton.jit
def _rows(
    values: tl.tensor, start: tl.tensor, node: tl.tensor, k: tl.tensor, n: tl.tensor, WIDE: tl.constexpr
) -> tl.tensor:
    """Some channels of some nodes of a jet; 0 beyond it."""
    return tl.load(values + (start + node)[:, None] * WIDE + k[None, :], mask=(node < n)[:, None], other=0.0)


@triton.jit
def _finish(
    total: tl.tensor,
    bias: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    out: tl.tensor,
    place: tl.tensor,
    inside: tl.tensor,
    narrow: tl.tensor,
    NARROW: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
) -> tl.tensor:
    """The end of a message: bias, LeakyReLU, BatchNorm; stored, and summed over the senders."""
    c = tl.arange(0, NARROW)
    message = leaky(total + tl.load(bias + c)[None, :])
    message = message * tl.load(scale + c)[None, :] + tl.load(shift + c)[None, :]
    message = tl.reshape(message, (BI, BJ, NARROW))
    known = inside[:, :, None] & (c < narrow)[None, None, :]
    tl.store(out + place[:, :, None] * narrow + c[None, None, :], message, mask=known)
    return tl.sum(tl.where(known, message, 0.0).to(tl.float64), axis=1)
