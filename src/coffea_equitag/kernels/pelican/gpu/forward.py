"""PELICAN's training, one layer of pairs forth: the messages, before their BatchNorm, and what is summed of them."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import leaky, product
from ...common.gpu.tiles import own_tile
from .pair_rows import embedded, encoded, entering, kept, node_terms

__all__ = ["messages_kernel", "sums_kernel"]


# the same code for any batch and draw
@triton.jit(do_not_specialize=["nodes", "key", "threshold"])
def messages_kernel(
    before: tl.tensor,
    norm: tl.tensor,
    plain: tl.tensor,
    turned: tl.tensor,
    products: tl.tensor,
    embedding: tl.tensor,
    embedding_bias: tl.tensor,
    exponent: tl.tensor,
    terms: tl.tensor,
    nodes: tl.tensor,
    matrix: tl.tensor,
    bias: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    out: tl.tensor,
    channels: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    FIRST: tl.constexpr,
    INPUTS: tl.constexpr,
    TERMS: tl.constexpr,
    DROP: tl.constexpr,
    PRECISION: tl.constexpr,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """The messages to some receivers of one jet.

    Parameters
    ----------
    before : (Q, DEPTH), float32; norm : (2, NARROW)
        The messages that enter, and their scale and shift; not used if FIRST.
    plain, turned : (NARROW, WIDE)
        Weights of X_ij and of X_ji.
    products : (Q, INPUTS), float64; embedding : (INPUTS, WIDE); embedding_bias, exponent : (WIDE,)
        If FIRST: pair channels, and how they come to the wide channels, the first `channels` of which are encoded.
    terms : (3, N, WIDE)
        With TERMS: u, v and d of u_i + v_j + δ_ij d_i.
    matrix : (WIDE, NARROW); bias : (NARROW,)
        The message layer.
    key, threshold
        With DROP: of the messages that enter.
    out : (Q, DEPTH), float32
        Out: the messages.
    """
    jet, start, n, begin = own_tile(offsets, tile_jet, tile_first)
    block = tl.load(pairs + jet)
    c = tl.arange(0, NARROW)
    zeros = tl.zeros((BI * BJ, CHUNK), tl.float32)
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            inside = (j < n)[:, None] & (i < n)[None, :]
            place = block + i.to(tl.int64)[None, :] * n + j[:, None]
            if not FIRST:
                mirror = block + j.to(tl.int64)[:, None] * n + i[None, :]
                here = entering(before, norm, place, inside, key, threshold, DROP, DEPTH, NARROW)
                there = entering(before, norm, mirror, inside, key, threshold, DROP, DEPTH, NARROW)
            total = tl.zeros((BI * BJ, NARROW), tl.float32)
            for wide in range(0, WIDE, CHUNK):
                k = wide + tl.arange(0, CHUNK)
                if FIRST:
                    x = embedded(products, embedding, embedding_bias, place, inside, k, INPUTS, WIDE, CHUNK)
                    x = encoded(x, tl.load(exponent + k)[None, None, :])
                    if TERMS:
                        of_nodes = leaky(node_terms(terms, nodes, start, i, j, n, k, WIDE))
                        x = tl.where((k < channels)[None, None, :], x, of_nodes)
                    x = tl.reshape(x, (BI * BJ, CHUNK))
                else:
                    x = product(here, tl.load(plain + c[:, None] * WIDE + k[None, :]), zeros, PRECISION)
                    x = product(there, tl.load(turned + c[:, None] * WIDE + k[None, :]), x, PRECISION)
                    of_nodes = node_terms(terms, nodes, start, i, j, n, k, WIDE)
                    x = leaky(x + tl.reshape(of_nodes, (BI * BJ, CHUNK)))
                total = product(x, tl.load(matrix + k[:, None] * NARROW + c[None, :]), total, PRECISION)
            message = tl.reshape(leaky(total + tl.load(bias + c)[None, :]), (BJ, BI, NARROW))
            known = inside[:, :, None] & (c < DEPTH)[None, None, :]
            tl.store(out + place[:, :, None] * DEPTH + c[None, None, :], message, mask=known)


@triton.jit(do_not_specialize=["key", "threshold"])
def sums_kernel(
    messages: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    sums: tl.tensor,
    counts: tl.tensor,
    moments: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    DROP: tl.constexpr,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
    NODES: tl.constexpr,
    OTHERS: tl.constexpr,
) -> None:
    """What is summed of messages Y for some nodes of one jet, in a fixed order.

    Parameters
    ----------
    messages : (Q, DEPTH), float32
        Y.
    key, threshold
        With DROP: of these messages.
    sums : (N, 3, DEPTH), float64; counts : (N, 3, DEPTH), float32
        Out: of those that dropout keeps, Y_ii, Σ_j Y_ji and Σ_j Y_ij; with DROP, how many they are.
    moments : (tiles, 2, DEPTH), float64
        Out: Σ Y_ij and Σ Y_ij² of all, i of this tile.
    """
    jet, start, n, begin = own_tile(offsets, tile_jet, tile_first)
    block = tl.load(pairs + jet)
    c = tl.arange(0, NARROW)
    i = begin + tl.arange(0, NODES)
    own = tl.zeros((NODES, NARROW), tl.float64)
    row, column, square, whole = own, own, own, own
    own_count = tl.zeros((NODES, NARROW), tl.float32)
    row_count, column_count = own_count, own_count
    # partners first: each thread sums what is its own
    for other in range(0, n, OTHERS):
        j = other + tl.arange(0, OTHERS)
        known = ((j < n)[:, None] & (i < n)[None, :])[:, :, None] & (c < DEPTH)[None, None, :]
        itself = (j[:, None] == i[None, :])[:, :, None]
        place = block + i.to(tl.int64)[None, :] * n + j[:, None]
        y = tl.load(messages + place[:, :, None] * DEPTH + c[None, None, :], mask=known, other=0.0).to(tl.float64)
        whole += tl.sum(y, axis=0)
        square += tl.sum(y * y, axis=0)
        if DROP:
            seen = known & kept(place, c, key, threshold)
            y = tl.where(seen, y, 0.0)
            row_count += tl.sum(seen.to(tl.float32), axis=0)
            own_count += tl.sum((seen & itself).to(tl.float32), axis=0)
        row += tl.sum(y, axis=0)
        own += tl.sum(tl.where(itself, y, 0.0), axis=0)
        place = block + j.to(tl.int64)[:, None] * n + i[None, :]
        y = tl.load(messages + place[:, :, None] * DEPTH + c[None, None, :], mask=known, other=0.0)
        if DROP:
            seen = known & kept(place, c, key, threshold)
            y = tl.where(seen, y, 0.0)
            column_count += tl.sum(seen.to(tl.float32), axis=0)
        column += tl.sum(y.to(tl.float64), axis=0)
    out = (start + i)[:, None] * (3 * DEPTH) + c[None, :]
    real = (i < n)[:, None] & (c < DEPTH)[None, :]
    tl.store(sums + out, own, mask=real)
    tl.store(sums + out + DEPTH, column, mask=real)
    tl.store(sums + out + 2 * DEPTH, row, mask=real)
    if DROP:
        tl.store(counts + out, own_count, mask=real)
        tl.store(counts + out + DEPTH, column_count, mask=real)
        tl.store(counts + out + 2 * DEPTH, row_count, mask=real)
    moments += tl.program_id(0).to(tl.int64) * 2 * DEPTH + c
    tl.store(moments, tl.sum(whole, axis=0), mask=c < DEPTH)
    tl.store(moments + DEPTH, tl.sum(square, axis=0), mask=c < DEPTH)
