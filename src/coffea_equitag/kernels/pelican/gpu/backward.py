"""PELICAN's training, one block and message layer backward: T is computed again tile by tile, never stored."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import leaky
from ...common.gpu.tf32_split import split_product
from ...common.gpu.tiles import RECEIVERS, JetTiles, own_tile, tile_at
from .kernel_arguments import Arriving, BlockGrads, Entering, Pairs, Transposed
from .pair_rows import entering, kept, node_terms, pairs_of

__all__ = [
    "PROGRAMS", "TILES", "block_gradient_kernel", "message_gradient", "sender_sums_kernel", "store_node_gradient",
]  # fmt: skip

#: Programs at most. Each adds up gradients of the weights over tiles of its own, in order; these sums are then added up
#: in order, so the number must not depend on the GPU. Two for each multiprocessor of an H200.
PROGRAMS = 264

#: Precision -> senders worked on at once, beside all receivers of a tile, and warps.
TILES = {"ieee": (1, 4), "tf32x3": (4, 4), "tf32": (4, 4), "bf16": (4, 4)}

_TILE = tl.constexpr(RECEIVERS)


# the same code for any batch and draw: these six numbers are why there are more than fifteen arguments
@triton.jit(do_not_specialize=["nodes", "tiles", "key", "threshold", "key_after", "threshold_after"])
def block_gradient_kernel(
    given: Entering,
    transposed: Transposed,
    terms: tl.tensor,
    arriving: Arriving,
    jets: JetTiles,
    shares: tl.tensor,
    out: BlockGrads,
    nodes: tl.tensor,
    tiles: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    key_after: tl.tensor,
    threshold_after: tl.tensor,
    ARRIVES: tl.constexpr,
    DROP: tl.constexpr,
    DROP_AFTER: tl.constexpr,
    SHAPE: tl.constexpr,
) -> None:
    """All pairs of some tiles of receivers, wide channels chunk by chunk.

    Parameters
    ----------
    given, terms, nodes, key, threshold
        As for `messages_kernel`.
    transposed, out
        See `Transposed` and `BlockGrads`.
    arriving, key_after, threshold_after
        As for `message_gradient`.
    shares : (J + 1,), int64
        Where each jet's rows of `out.senders` begin: n for each of its tiles.
    tiles : int
        Tiles of the batch.
    """
    PRECISION: tl.constexpr = SHAPE.precision
    NARROW: tl.constexpr = SHAPE.narrow
    WIDE: tl.constexpr = SHAPE.wide
    CHUNK: tl.constexpr = SHAPE.chunk
    BJ: tl.constexpr = SHAPE.senders
    M: tl.constexpr = _TILE * BJ
    c = tl.arange(0, NARROW)
    zeros, narrow_zeros = tl.zeros((M, CHUNK), tl.float32), tl.zeros((M, NARROW), tl.float32)
    own_matrices = out.matrices + tl.program_id(0).to(tl.int64) * (3 * NARROW * WIDE)
    own_vectors = out.vectors + tl.program_id(0) * (3 * NARROW) + c
    part = nodes.to(tl.int64) * WIDE
    for wide in range(0, WIDE, CHUNK):
        k = wide + tl.arange(0, CHUNK)
        weights = c[:, None] * WIDE + k[None, :]
        grad_matrix = tl.zeros((NARROW, CHUNK), tl.float32)
        grad_plain, grad_turned = grad_matrix, grad_matrix
        grad_bias = tl.zeros((NARROW,), tl.float32)
        grad_scale, grad_shift = grad_bias, grad_bias
        for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
            jet, start, n, first = tile_at(tile, jets.offsets, jets.jet, jets.first)
            block = tl.load(jets.pairs + jet)
            share = tl.load(shares + jet) + (first // _TILE).to(tl.int64) * n
            i = first + tl.arange(0, _TILE)
            grad_u = tl.zeros((BJ, _TILE, CHUNK), tl.float32)
            for sender in range(0, n, BJ):
                j = sender + tl.arange(0, BJ)
                pairs = pairs_of(start, n, block, i, j)
                inside = pairs.inside
                mirror = block + j.to(tl.int64)[:, None] * n + i[None, :]
                here = entering(given, pairs.place, inside, key, threshold, DROP, SHAPE)
                x = split_product(here, tl.load(given.plain + weights), zeros, PRECISION)
                here = entering(given, mirror, inside, key, threshold, DROP, SHAPE)
                x = split_product(here, tl.load(given.turned + weights), x, PRECISION)
                x += tl.reshape(node_terms(terms, nodes, pairs, k, WIDE), (M, CHUNK))
                grads = message_gradient(arriving, pairs, key_after, threshold_after, ARRIVES, DROP_AFTER, SHAPE)
                grad_bias += tl.sum(grads, axis=0)
                grad_matrix = split_product(tl.trans(grads), leaky(x), grad_matrix, PRECISION)
                row = split_product(grads, tl.load(transposed.matrix + weights), zeros, PRECISION)
                row = tl.where(x > 0, row, 0.01 * row)
                by_node = tl.reshape(row, (BJ, _TILE, CHUNK))
                grad_u += by_node
                store_node_gradient(
                    by_node, out.senders + share * WIDE, out.terms + 2 * part + start * WIDE, pairs, k, WIDE
                )
                # what enters once more: registers do not hold it that long
                here = entering(given, pairs.place, inside, key, threshold, DROP, SHAPE)
                grad_plain = split_product(tl.trans(here), row, grad_plain, PRECISION)
                back = tl.load(transposed.plain + k[:, None] * NARROW + c[None, :])
                found = split_product(row, back, narrow_zeros, PRECISION)
                more_scale, more_shift = _add(
                    found, given, out.plain, pairs.place, inside, wide, key, threshold, DROP, SHAPE
                )
                grad_scale, grad_shift = grad_scale + more_scale, grad_shift + more_shift
                here = entering(given, mirror, inside, key, threshold, DROP, SHAPE)
                grad_turned = split_product(tl.trans(here), row, grad_turned, PRECISION)
                back = tl.load(transposed.turned + k[:, None] * NARROW + c[None, :])
                found = split_product(row, back, narrow_zeros, PRECISION)
                more_scale, more_shift = _add(
                    found, given, out.turned, mirror, inside, wide, key, threshold, DROP, SHAPE
                )
                grad_scale, grad_shift = grad_scale + more_scale, grad_shift + more_shift
            place = out.terms + (start + i)[:, None] * WIDE + k[None, :]
            tl.store(place, tl.sum(grad_u, axis=0), mask=(i < n)[:, None])
        tl.store(own_matrices + weights, grad_matrix)
        tl.store(own_matrices + weights + NARROW * WIDE, grad_plain)
        tl.store(own_matrices + weights + 2 * NARROW * WIDE, grad_turned)
        # those of the last chunk stay
        tl.store(own_vectors, grad_bias)
        tl.store(own_vectors + NARROW, grad_scale)
        tl.store(own_vectors + 2 * NARROW, grad_shift)
        # what other threads of this program have added so far
        tl.debug_barrier()


@triton.jit
def store_node_gradient(
    grads: tl.tensor, senders: tl.tensor, itself: tl.tensor, pairs: Pairs, k: tl.tensor, WIDE: tl.constexpr
) -> None:
    """Store what a tile of pairs (senders, receivers, k) gives to v_j, summed over receivers, and to d_i of i = j.

    `senders` and `itself` point to the first node of the jet.
    """
    _, n, i, j, _, inside = pairs
    out = senders + j.to(tl.int64)[:, None] * WIDE + k[None, :]
    tl.store(out, tl.sum(grads, axis=1), mask=(j < n)[:, None])
    out = itself + i.to(tl.int64)[None, :, None] * WIDE + k[None, None, :]
    same = inside & (j[:, None] == i[None, :])
    tl.store(tl.broadcast_to(out, grads.shape), grads, mask=same[:, :, None])


@triton.jit
def message_gradient(
    arriving: Arriving,
    pairs: Pairs,
    key: tl.tensor,
    threshold: tl.tensor,
    ARRIVES: tl.constexpr,
    DROP: tl.constexpr,
    SHAPE: tl.constexpr,
) -> tl.tensor:
    """Gradients of messages before their activation, one pair per row; 0 beyond the jet.

    `key` and `threshold` are, with DROP, those of these messages.
    """
    DEPTH: tl.constexpr = SHAPE.depth
    NARROW: tl.constexpr = SHAPE.narrow
    start, n, i, j, place, inside = pairs
    c = tl.arange(0, NARROW)
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    channels = place[:, :, None] * DEPTH + c[None, None, :]
    y = tl.load(arriving.messages + channels, mask=known, other=0.0)
    own = arriving.sums + (start + i)[:, None] * (3 * DEPTH) + c[None, :]
    other = arriving.sums + (start + j)[:, None] * (3 * DEPTH) + c[None, :]
    real_i, real_j = (i < n)[:, None] & (c < DEPTH)[None, :], (j < n)[:, None] & (c < DEPTH)[None, :]
    of_self = tl.load(own, mask=real_i, other=0.0)[None, :, :]
    of_column = tl.load(other + DEPTH, mask=real_j, other=0.0)[:, None, :]
    of_row = tl.load(own + 2 * DEPTH, mask=real_i, other=0.0)[None, :, :]
    grad = of_row + of_column + tl.where((j[:, None] == i[None, :])[:, :, None], of_self, 0.0)
    if DROP:
        grad = tl.where(kept(place, c, key, threshold), grad, 0.0)
    constant, linear = tl.load(arriving.moments + c), tl.load(arriving.moments + NARROW + c)
    grad += constant[None, None, :] + linear[None, None, :] * y
    if ARRIVES:
        grad += tl.load(arriving.grads + channels, mask=known, other=0.0)
    grad = tl.where(y > 0, grad, 0.01 * grad)
    return tl.reshape(tl.where(known, grad, 0.0), (place.shape[0] * place.shape[1], NARROW))


@triton.jit
def _add(
    grads: tl.tensor,
    given: Entering,
    out: tl.tensor,
    place: tl.tensor,
    inside: tl.tensor,
    wide: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    DROP: tl.constexpr,
    SHAPE: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Add a chunk's gradients of X to those of the chunks before; after the last, those of Y, scale and shift."""
    DEPTH: tl.constexpr = SHAPE.depth
    NARROW: tl.constexpr = SHAPE.narrow
    WIDE: tl.constexpr = SHAPE.wide
    CHUNK: tl.constexpr = SHAPE.chunk
    c = tl.arange(0, NARROW)
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    channels = place[:, :, None] * DEPTH + c[None, None, :]
    grads = tl.reshape(grads, (place.shape[0], place.shape[1], NARROW))
    grad_scale = tl.zeros((NARROW,), tl.float32)
    grad_shift = grad_scale
    if wide > 0:
        grads += tl.load(out + channels, mask=known, other=0.0)
    if wide + CHUNK >= WIDE:
        keeps = known
        if DROP:
            keeps = keeps & kept(place, c, key, threshold)
        grads = tl.where(keeps, grads, 0.0)
        y = tl.load(given.messages + channels, mask=known, other=0.0)
        grad_scale = tl.sum(tl.sum(grads * y, axis=0), axis=0)
        grad_shift = tl.sum(tl.sum(grads, axis=0), axis=0)
        grads = grads * tl.load(given.norm + c)[None, None, :]
    tl.store(out + channels, grads, mask=known)
    return grad_scale, grad_shift


@triton.jit
def sender_sums_kernel(
    senders: tl.tensor,
    jets: JetTiles,
    shares: tl.tensor,
    out: tl.tensor,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
) -> None:
    """Sums over the tiles of receivers of what they give to some senders of one jet, in order: (N, WIDE)."""
    jet, start, n, begin = own_tile(jets.offsets, jets.jet, jets.first)
    j = begin + tl.arange(0, _TILE)
    place = tl.load(shares + jet) + j
    k = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    total = tl.zeros((_TILE, CHUNK), tl.float32)
    for _ in range(0, n, _TILE):
        total += tl.load(senders + place[:, None] * WIDE + k[None, :], mask=(j < n)[:, None], other=0.0)
        place += n
    tl.store(out + (start + j)[:, None] * WIDE + k[None, :], total, mask=(j < n)[:, None])
