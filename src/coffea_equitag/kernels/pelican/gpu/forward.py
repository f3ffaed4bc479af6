"""PELICAN's training, one layer of pairs forward: the messages, before their BatchNorm, and their sums."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import leaky, product
from ...common.gpu.tiles import RECEIVERS, JetTiles, own_tile
from .kernel_arguments import Encoder, Entering, Linear
from .pair_rows import embedded, encoded, entering, kept, node_terms, pairs_of

__all__ = ["messages_kernel", "sums_kernel"]

_TILE = tl.constexpr(RECEIVERS)


# the same code for any batch and draw
@triton.jit(do_not_specialize=["nodes", "key", "threshold"])
def messages_kernel(
    given: Entering,
    encoder: Encoder,
    terms: tl.tensor,
    layer: Linear,
    jets: JetTiles,
    out: tl.tensor,
    nodes: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    FIRST: tl.constexpr,
    TERMS: tl.constexpr,
    DROP: tl.constexpr,
    SHAPE: tl.constexpr,
) -> None:
    """The messages to some receivers of one jet.

    Parameters
    ----------
    given, key, threshold
        The messages that enter, and with DROP their dropout; not used if FIRST.
    encoder
        If FIRST: pair channels, and how the first `SHAPE.encoded` wide channels are made of them.
    terms : (3, N, WIDE)
        With TERMS: u, v and d of u_i + v_j + δ_ij d_i.
    layer, jets
        The message layer and the batch.
    nodes : int
        N.
    out : (Q, DEPTH), float32
        Out: the messages.
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
    zeros = tl.zeros((BI * BJ, CHUNK), tl.float32)
    for group in range(begin, tl.minimum(begin + _TILE, n), BI):
        i = group + tl.arange(0, BI)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            pairs = pairs_of(start, n, block, i, j)
            if not FIRST:
                mirror = block + j.to(tl.int64)[:, None] * n + i[None, :]
                here = entering(given, pairs.place, pairs.inside, key, threshold, DROP, SHAPE)
                there = entering(given, mirror, pairs.inside, key, threshold, DROP, SHAPE)
            total = tl.zeros((BI * BJ, NARROW), tl.float32)
            for wide in range(0, WIDE, CHUNK):
                k = wide + tl.arange(0, CHUNK)
                if FIRST:
                    x = embedded(encoder, pairs.place, pairs.inside, k, SHAPE)
                    x = encoded(x, tl.load(encoder.exponent + k)[None, None, :])
                    if TERMS:
                        of_nodes = leaky(node_terms(terms, nodes, pairs, k, WIDE))
                        x = tl.where((k < ENCODED)[None, None, :], x, of_nodes)
                    x = tl.reshape(x, (BI * BJ, CHUNK))
                else:
                    weights = c[:, None] * WIDE + k[None, :]
                    x = product(here, tl.load(given.plain + weights), zeros, PRECISION)
                    x = product(there, tl.load(given.turned + weights), x, PRECISION)
                    of_nodes = node_terms(terms, nodes, pairs, k, WIDE)
                    x = leaky(x + tl.reshape(of_nodes, (BI * BJ, CHUNK)))
                weight = tl.load(layer.matrix + k[:, None] * NARROW + c[None, :])
                total = product(x, weight, total, PRECISION)
            message = tl.reshape(leaky(total + tl.load(layer.bias + c)[None, :]), (BJ, BI, NARROW))
            known = pairs.inside[:, :, None] & (c < DEPTH)[None, None, :]
            tl.store(out + pairs.place[:, :, None] * DEPTH + c[None, None, :], message, mask=known)


@triton.jit(do_not_specialize=["key", "threshold"])
def sums_kernel(
    messages: tl.tensor,
    jets: JetTiles,
    sums: tl.tensor,
    counts: tl.tensor,
    moments: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    DROP: tl.constexpr,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
    OTHERS: tl.constexpr,
) -> None:
    """Sums of messages Y over some nodes of one jet, in a fixed order.

    Parameters
    ----------
    messages : (Q, DEPTH), float32
        Y.
    key, threshold
        With DROP: of these messages.
    sums : (N, 3, DEPTH), float64; counts : (N, 3, DEPTH), float32
        Out: of those that dropout keeps, Y_ii, Σ_j Y_ji and Σ_j Y_ij; with DROP, how many they are.
    moments : (tiles, 2, DEPTH), float64
        Out: Σ Y_ij and Σ Y_ij² of all, i in this tile.
    """
    jet, start, n, begin = own_tile(jets.offsets, jets.jet, jets.first)
    block = tl.load(jets.pairs + jet)
    c = tl.arange(0, NARROW)
    i = begin + tl.arange(0, _TILE)
    own = tl.zeros((_TILE, NARROW), tl.float64)
    row, column, square, whole = own, own, own, own
    own_count = tl.zeros((_TILE, NARROW), tl.float32)
    row_count, column_count = own_count, own_count
    # partners first: each thread sums its own
    for other in range(0, n, OTHERS):
        j = other + tl.arange(0, OTHERS)
        known = ((j < n)[:, None] & (i < n)[None, :])[:, :, None] & (c < DEPTH)[None, None, :]
        itself = (j[:, None] == i[None, :])[:, :, None]
        place = block + i.to(tl.int64)[None, :] * n + j[:, None]
        y = tl.load(messages + place[:, :, None] * DEPTH + c[None, None, :], mask=known, other=0.0).to(tl.float64)
        whole += tl.sum(y, axis=0)
        square += tl.sum(y * y, axis=0)
        if DROP:
            keeps = known & kept(place, c, key, threshold)
            y = tl.where(keeps, y, 0.0)
            row_count += tl.sum(keeps.to(tl.float32), axis=0)
            own_count += tl.sum((keeps & itself).to(tl.float32), axis=0)
        row += tl.sum(y, axis=0)
        own += tl.sum(tl.where(itself, y, 0.0), axis=0)
        place = block + j.to(tl.int64)[:, None] * n + i[None, :]
        y = tl.load(messages + place[:, :, None] * DEPTH + c[None, None, :], mask=known, other=0.0)
        if DROP:
            keeps = known & kept(place, c, key, threshold)
            y = tl.where(keeps, y, 0.0)
            column_count += tl.sum(keeps.to(tl.float32), axis=0)
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
