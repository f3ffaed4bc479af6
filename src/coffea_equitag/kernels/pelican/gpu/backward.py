"""PELICAN's training, one block and message layer back: wide rows are made again tile by tile, never stored."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import leaky
from ...common.gpu.tf32_split import split_product
from ...common.gpu.tiles import own_tile, tile_at
from .pair_rows import entering, kept, node_terms

__all__ = ["PROGRAMS", "TILES", "block_slopes_kernel", "message_slopes", "sender_sums_kernel", "store_node_slopes"]

#: Programs at most. Each adds up gradients of the weights over tiles of its own, in order; these sums are then added up
#: in order, so that the number must not depend on the GPU. Two for each multiprocessor of an H200.
PROGRAMS = 264

#: Precision -> senders worked on at once, beside all receivers of a tile, and warps.
TILES = {"ieee": (1, 4), "tf32x3": (4, 4), "tf32": (4, 4), "bf16": (4, 4)}


# the same code for any batch and draw
@triton.jit(do_not_specialize=["nodes", "tiles", "key", "threshold", "key_after", "threshold_after"])
def block_slopes_kernel(
    before: tl.tensor,
    norm: tl.tensor,
    plain: tl.tensor,
    turned: tl.tensor,
    plain_back: tl.tensor,
    turned_back: tl.tensor,
    terms: tl.tensor,
    nodes: tl.tensor,
    matrix_back: tl.tensor,
    after: tl.tensor,
    arriving: tl.tensor,
    node_slopes: tl.tensor,
    statistics: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    shares: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    tiles: tl.tensor,
    straight: tl.tensor,
    mirrored: tl.tensor,
    terms_slopes: tl.tensor,
    sender_slopes: tl.tensor,
    matrices: tl.tensor,
    vectors: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    key_after: tl.tensor,
    threshold_after: tl.tensor,
    ARRIVES: tl.constexpr,
    DROP: tl.constexpr,
    DROP_AFTER: tl.constexpr,
    PRECISION: tl.constexpr,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """All pairs of some tiles of RECEIVERS nodes, wide channels chunk by chunk.

    Parameters
    ----------
    before, norm, plain, turned, terms, key, threshold
        As of `messages_kernel`.
    plain_back, turned_back : (WIDE, NARROW); matrix_back : (NARROW, WIDE)
        The weights of X_ij and of X_ji, and of the message layer, the other way.
    after, arriving, node_slopes, statistics, key_after, threshold_after
        As of `message_slopes`.
    shares : (J + 1,), int64
        Where each jet's rows of `sender_slopes` begin: n for each of its tiles.
    straight, mirrored : (Q, DEPTH), float32
        Out: what comes to the messages that enter, from the rows of their own pairs and from those of their mirror
        images. Both are added to from chunk to chunk.
    terms_slopes : (3, N, WIDE)
        Out: of u and d.
    sender_slopes : (Σ n · tiles, WIDE)
        Out: of v, for the receivers of each tile by themselves.
    matrices : (programs, 3, NARROW, WIDE); vectors : (programs, 3, NARROW)
        Out: of the message layer, of W₁ and W₂; of the message layer's bias, of scale and shift.
    """
    M: tl.constexpr = RECEIVERS * BJ
    c = tl.arange(0, NARROW)
    zeros, narrow_zeros = tl.zeros((M, CHUNK), tl.float32), tl.zeros((M, NARROW), tl.float32)
    scale = tl.load(norm + c)
    own_matrices = matrices + tl.program_id(0).to(tl.int64) * (3 * NARROW * WIDE)
    own_vectors = vectors + tl.program_id(0) * (3 * NARROW) + c
    part = nodes.to(tl.int64) * WIDE
    for wide in range(0, WIDE, CHUNK):
        k = wide + tl.arange(0, CHUNK)
        of_matrix = tl.zeros((NARROW, CHUNK), tl.float32)
        of_plain, of_turned = of_matrix, of_matrix
        of_bias = tl.zeros((NARROW,), tl.float32)
        of_scale, of_shift = of_bias, of_bias
        for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
            jet, start, n, first = tile_at(tile, offsets, tile_jet, tile_first)
            block = tl.load(pairs + jet)
            share = tl.load(shares + jet) + (first // RECEIVERS).to(tl.int64) * n
            i = first + tl.arange(0, RECEIVERS)
            of_u = tl.zeros((BJ, RECEIVERS, CHUNK), tl.float32)
            for sender in range(0, n, BJ):
                j = sender + tl.arange(0, BJ)
                inside = (j < n)[:, None] & (i < n)[None, :]
                place = block + i.to(tl.int64)[None, :] * n + j[:, None]
                mirror = block + j.to(tl.int64)[:, None] * n + i[None, :]
                here = entering(before, norm, place, inside, key, threshold, DROP, DEPTH, NARROW)
                x = split_product(here, tl.load(plain + c[:, None] * WIDE + k[None, :]), zeros, PRECISION)
                here = entering(before, norm, mirror, inside, key, threshold, DROP, DEPTH, NARROW)
                x = split_product(here, tl.load(turned + c[:, None] * WIDE + k[None, :]), x, PRECISION)
                x += tl.reshape(node_terms(terms, nodes, start, i, j, n, k, WIDE), (M, CHUNK))
                slopes = message_slopes(
                    after, arriving, node_slopes, statistics, start, i, j, n, place, inside, key_after,
                    threshold_after, ARRIVES, DROP_AFTER, DEPTH, NARROW,
                )  # fmt: skip
                of_bias += tl.sum(slopes, axis=0)
                of_matrix = split_product(tl.trans(slopes), leaky(x), of_matrix, PRECISION)
                row = split_product(slopes, tl.load(matrix_back + c[:, None] * WIDE + k[None, :]), zeros, PRECISION)
                row = tl.where(x > 0, row, 0.01 * row)
                by_node = tl.reshape(row, (BJ, RECEIVERS, CHUNK))
                of_u += by_node
                store_node_slopes(
                    by_node, sender_slopes + share * WIDE, terms_slopes + 2 * part + start * WIDE, i, j, n, inside, k,
                    WIDE,
                )  # fmt: skip
                # what enters once more: registers do not hold it that long
                here = entering(before, norm, place, inside, key, threshold, DROP, DEPTH, NARROW)
                of_plain = split_product(tl.trans(here), row, of_plain, PRECISION)
                back = tl.load(plain_back + k[:, None] * NARROW + c[None, :])
                found = split_product(row, back, narrow_zeros, PRECISION)
                more_scale, more_shift = _add(
                    found, before, straight, place, inside, scale, wide, key, threshold, DROP, DEPTH, WIDE, CHUNK
                )
                of_scale, of_shift = of_scale + more_scale, of_shift + more_shift
                here = entering(before, norm, mirror, inside, key, threshold, DROP, DEPTH, NARROW)
                of_turned = split_product(tl.trans(here), row, of_turned, PRECISION)
                back = tl.load(turned_back + k[:, None] * NARROW + c[None, :])
                found = split_product(row, back, narrow_zeros, PRECISION)
                more_scale, more_shift = _add(
                    found, before, mirrored, mirror, inside, scale, wide, key, threshold, DROP, DEPTH, WIDE, CHUNK
                )
                of_scale, of_shift = of_scale + more_scale, of_shift + more_shift
            out = terms_slopes + (start + i)[:, None] * WIDE + k[None, :]
            tl.store(out, tl.sum(of_u, axis=0), mask=(i < n)[:, None])
        out = own_matrices + c[:, None] * WIDE + k[None, :]
        tl.store(out, of_matrix)
        tl.store(out + NARROW * WIDE, of_plain)
        tl.store(out + 2 * NARROW * WIDE, of_turned)
        # those of the last chunk stay
        tl.store(own_vectors, of_bias)
        tl.store(own_vectors + NARROW, of_scale)
        tl.store(own_vectors + 2 * NARROW, of_shift)
        # what other threads of this program have added so far
        tl.debug_barrier()


@triton.jit
def store_node_slopes(
    slopes: tl.tensor,
    of_senders: tl.tensor,
    of_itself: tl.tensor,
    i: tl.tensor,
    j: tl.tensor,
    n: tl.tensor,
    inside: tl.tensor,
    k: tl.tensor,
    WIDE: tl.constexpr,
) -> None:
    """Store what a tile of pairs (senders, receivers, k) gives to v_j, its receivers summed, and to d_i of i = j.

    `of_senders` and `of_itself` point to the first node of the jet.
    """
    out = of_senders + j.to(tl.int64)[:, None] * WIDE + k[None, :]
    tl.store(out, tl.sum(slopes, axis=1), mask=(j < n)[:, None])
    out = of_itself + i.to(tl.int64)[None, :, None] * WIDE + k[None, None, :]
    itself = inside & (j[:, None] == i[None, :])
    tl.store(tl.broadcast_to(out, slopes.shape), slopes, mask=itself[:, :, None])


@triton.jit
def message_slopes(
    after: tl.tensor,
    arriving: tl.tensor,
    node_slopes: tl.tensor,
    statistics: tl.tensor,
    start: tl.tensor,
    i: tl.tensor,
    j: tl.tensor,
    n: tl.tensor,
    place: tl.tensor,
    inside: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    ARRIVES: tl.constexpr,
    DROP: tl.constexpr,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
) -> tl.tensor:
    """Slopes of messages before their activation, one pair a row; 0 beyond the jet.

    Parameters
    ----------
    after : (Q, DEPTH), float32
        The messages Y.
    arriving : (Q, DEPTH), float32
        With ARRIVES: slopes from the next layer.
    node_slopes : (N, 3, DEPTH), float32
        Of the sums of `sums_kernel`.
    statistics : (2, NARROW)
        Of the moments: a constant, and a factor of Y.
    key, threshold
        With DROP: of these messages.
    """
    c = tl.arange(0, NARROW)
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    channels = place[:, :, None] * DEPTH + c[None, None, :]
    y = tl.load(after + channels, mask=known, other=0.0)
    own = node_slopes + (start + i)[:, None] * (3 * DEPTH) + c[None, :]
    other = node_slopes + (start + j)[:, None] * (3 * DEPTH) + c[None, :]
    real_i, real_j = (i < n)[:, None] & (c < DEPTH)[None, :], (j < n)[:, None] & (c < DEPTH)[None, :]
    of_self = tl.load(own, mask=real_i, other=0.0)[None, :, :]
    of_column = tl.load(other + DEPTH, mask=real_j, other=0.0)[:, None, :]
    of_row = tl.load(own + 2 * DEPTH, mask=real_i, other=0.0)[None, :, :]
    slope = of_row + of_column + tl.where((j[:, None] == i[None, :])[:, :, None], of_self, 0.0)
    if DROP:
        slope = tl.where(kept(place, c, key, threshold), slope, 0.0)
    slope += tl.load(statistics + c)[None, None, :] + tl.load(statistics + NARROW + c)[None, None, :] * y
    if ARRIVES:
        slope += tl.load(arriving + channels, mask=known, other=0.0)
    slope = tl.where(y > 0, slope, 0.01 * slope)
    return tl.reshape(tl.where(known, slope, 0.0), (place.shape[0] * place.shape[1], NARROW))


@triton.jit
def _add(
    slopes: tl.tensor,
    messages: tl.tensor,
    out: tl.tensor,
    place: tl.tensor,
    inside: tl.tensor,
    scale: tl.tensor,
    wide: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    DROP: tl.constexpr,
    DEPTH: tl.constexpr,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Add a chunk's slopes of X to those of the chunks before; of Y after the last, and then of scale and shift."""
    NARROW: tl.constexpr = slopes.shape[1]
    c = tl.arange(0, NARROW)
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    channels = place[:, :, None] * DEPTH + c[None, None, :]
    slopes = tl.reshape(slopes, (place.shape[0], place.shape[1], NARROW))
    of_scale = tl.zeros((NARROW,), tl.float32)
    of_shift = of_scale
    if wide > 0:
        slopes += tl.load(out + channels, mask=known, other=0.0)
    if wide + CHUNK >= WIDE:
        seen = known
        if DROP:
            seen = seen & kept(place, c, key, threshold)
        slopes = tl.where(seen, slopes, 0.0)
        y = tl.load(messages + channels, mask=known, other=0.0)
        of_scale = tl.sum(tl.sum(slopes * y, axis=0), axis=0)
        of_shift = tl.sum(tl.sum(slopes, axis=0), axis=0)
        slopes = slopes * scale[None, None, :]
    tl.store(out + channels, slopes, mask=known)
    return of_scale, of_shift


@triton.jit
def sender_sums_kernel(
    sender_slopes: tl.tensor,
    offsets: tl.tensor,
    shares: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    out: tl.tensor,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
    RECEIVERS: tl.constexpr,
) -> None:
    """Sums over the tiles of receivers of what they give to some senders of one jet, in order: (N, WIDE)."""
    jet, start, n, begin = own_tile(offsets, tile_jet, tile_first)
    place = tl.load(shares + jet) + begin + tl.arange(0, RECEIVERS)
    j = begin + tl.arange(0, RECEIVERS)
    k = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    total = tl.zeros((RECEIVERS, CHUNK), tl.float32)
    for _ in range(0, n, RECEIVERS):
        total += tl.load(sender_slopes + place[:, None] * WIDE + k[None, :], mask=(j < n)[:, None], other=0.0)
        place += n
    tl.store(out + (start + j)[:, None] * WIDE + k[None, :], total, mask=(j < n)[:, None])
