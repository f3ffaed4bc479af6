"""PELICAN's training, the encoder and the first message layer back: wide rows are made again, never stored."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import expm1, leaky, psi
from ...common.gpu.tf32_split import split_product
from ...common.gpu.tiles import tile_at
from .backward import message_slopes, store_node_slopes
from .pair_rows import embedded, node_terms

__all__ = ["encoder_slopes_kernel"]


# the same code for any batch and draw
@triton.jit(do_not_specialize=["nodes", "tiles", "key_after", "threshold_after"])
def encoder_slopes_kernel(
    products: tl.tensor,
    embedding: tl.tensor,
    embedding_bias: tl.tensor,
    exponent: tl.tensor,
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
    terms_slopes: tl.tensor,
    sender_slopes: tl.tensor,
    matrices: tl.tensor,
    vectors: tl.tensor,
    encoder: tl.tensor,
    channels: tl.tensor,
    key_after: tl.tensor,
    threshold_after: tl.tensor,
    ARRIVES: tl.constexpr,
    TERMS: tl.constexpr,
    DROP_AFTER: tl.constexpr,
    INPUTS: tl.constexpr,
    SEEN: tl.constexpr,
    PRECISION: tl.constexpr,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """A chunk of wide channels for all pairs of some tiles of RECEIVERS nodes.

    Parameters
    ----------
    products, embedding, embedding_bias, exponent, terms, channels
        As of `messages_kernel`.
    matrix_back, shares, terms_slopes, sender_slopes
        As of `block_slopes_kernel`; the last two with TERMS.
    after, arriving, node_slopes, statistics, key_after, threshold_after
        As of `message_slopes`.
    matrices : (programs, NARROW, WIDE); vectors : (programs, NARROW)
        Out: of the message layer and its bias.
    encoder : (programs, INPUTS + 2, WIDE)
        Out: of the embedding of each input, at most SEEN, of its bias, and of the exponents.
    """
    M: tl.constexpr = RECEIVERS * BJ
    c, seen = tl.arange(0, NARROW), tl.arange(0, SEEN)
    k = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    a = tl.load(exponent + k)[None, None, :]
    zeros = tl.zeros((M, CHUNK), tl.float32)
    of_matrix, of_bias = tl.zeros((NARROW, CHUNK), tl.float32), tl.zeros((NARROW,), tl.float32)
    of_inputs, of_power = tl.zeros((SEEN, CHUNK), tl.float32), tl.zeros((CHUNK,), tl.float32)
    of_linear = of_power
    part = nodes.to(tl.int64) * WIDE
    through_encoder = (k < channels)[None, None, :]
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        jet, start, n, first = tile_at(tile, offsets, tile_jet, tile_first)
        block = tl.load(pairs + jet)
        i = first + tl.arange(0, RECEIVERS)
        of_u = tl.zeros((BJ, RECEIVERS, CHUNK), tl.float32)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            inside = (j < n)[:, None] & (i < n)[None, :]
            place = block + i.to(tl.int64)[None, :] * n + j[:, None]
            slopes = message_slopes(
                after, arriving, node_slopes, statistics, start, i, j, n, place, inside, key_after,
                threshold_after, ARRIVES, DROP_AFTER, DEPTH, NARROW,
            )  # fmt: skip
            of_bias += tl.sum(slopes, axis=0)
            x = embedded(products, embedding, embedding_bias, place, inside, k, INPUTS, WIDE, CHUNK)
            power = psi(tl.abs(x))
            size = expm1(a * power) / a
            value = tl.where(x < 0, -size, size)
            if TERMS:
                of_nodes = node_terms(terms, nodes, start, i, j, n, k, WIDE)
                value = tl.where(through_encoder, value, leaky(of_nodes))
            of_matrix = split_product(tl.trans(slopes), tl.reshape(value, (M, CHUNK)), of_matrix, PRECISION)
            row = split_product(slopes, tl.load(matrix_back + c[:, None] * WIDE + k[None, :]), zeros, PRECISION)
            row = tl.reshape(row, (BJ, RECEIVERS, CHUNK))
            if TERMS:
                by_node = tl.where(of_nodes > 0, row, 0.01 * row)
                by_node = tl.where(through_encoder, 0.0, by_node)
                of_u += by_node
                share = tl.load(shares + jet) + (first // RECEIVERS).to(tl.int64) * n
                store_node_slopes(
                    by_node, sender_slopes + share * WIDE, terms_slopes + 2 * part + start * WIDE, i, j, n, inside, k,
                    WIDE,
                )  # fmt: skip
            # as with the layers, there is no slope where x is 0
            change = power * power * _of_exponent(a * power)
            row = tl.where(through_encoder & (x != 0), tl.where(x < 0, -row, row), 0.0)
            of_power += tl.sum(tl.sum(row * change, axis=0), axis=0)
            row = tl.where(x < 0, -row, row) * (1.0 + a * size) / (1.0 + tl.abs(x))
            for r in tl.static_range(INPUTS):
                given = tl.load(products + place * INPUTS + r, mask=inside, other=0.0).to(tl.float32)
                found = tl.sum(tl.sum(row * given[:, :, None], axis=0), axis=0)
                of_inputs += tl.where((seen == r)[:, None], found[None, :], 0.0)
            of_linear += tl.sum(tl.sum(row, axis=0), axis=0)
        if TERMS:
            out = terms_slopes + (start + i)[:, None] * WIDE + k[None, :]
            tl.store(out, tl.sum(of_u, axis=0), mask=(i < n)[:, None])
    program = tl.program_id(0).to(tl.int64)
    tl.store(matrices + program * NARROW * WIDE + c[:, None] * WIDE + k[None, :], of_matrix)
    if tl.program_id(1) == 0:
        tl.store(vectors + program * NARROW + c, of_bias)
    encoder += program * (INPUTS + 2) * WIDE + k
    tl.store(encoder[None, :] + seen[:, None] * WIDE, of_inputs, mask=(seen < INPUTS)[:, None])
    tl.store(encoder + INPUTS * WIDE, of_linear)
    tl.store(encoder + (INPUTS + 1) * WIDE, of_power)


@triton.jit
def _of_exponent(t: tl.tensor) -> tl.tensor:
    """(t eᵗ − eᵗ + 1) / t² of t ≥ 0, with which [e^(a L) − 1] / a changes with a: a series where it would cancel."""
    series = 1.0 / 3991680.0
    series = series * t + 1.0 / 403200.0
    series = series * t + 1.0 / 45360.0
    series = series * t + 1.0 / 5760.0
    series = series * t + 1.0 / 840.0
    series = series * t + 1.0 / 144.0
    series = series * t + 1.0 / 30.0
    series = series * t + 1.0 / 8.0
    series = series * t + 1.0 / 3.0
    series = series * t + 0.5
    large = tl.maximum(t, 0.5)
    grown = expm1(large)
    return tl.where(t < 1.0, series, (large * (1.0 + grown) - grown) / (large * large))
