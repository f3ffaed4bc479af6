"""PELICAN's training, the encoder and the first message layer backward: T is computed again, never stored."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import expm1, leaky, psi
from ...common.gpu.tf32_split import split_product
from ...common.gpu.tiles import RECEIVERS, JetTiles, tile_at
from .backward import message_gradient, store_node_gradient
from .kernel_arguments import Arriving, Encoder, EncoderGrads
from .pair_rows import embedded, node_terms, pairs_of

__all__ = ["encoder_gradient_kernel"]

_TILE = tl.constexpr(RECEIVERS)


# the same code for any batch and draw
@triton.jit(do_not_specialize=["nodes", "tiles", "key_after", "threshold_after"])
def encoder_gradient_kernel(
    encoder: Encoder,
    matrix: tl.tensor,
    terms: tl.tensor,
    arriving: Arriving,
    jets: JetTiles,
    shares: tl.tensor,
    out: EncoderGrads,
    nodes: tl.tensor,
    tiles: tl.tensor,
    key_after: tl.tensor,
    threshold_after: tl.tensor,
    ARRIVES: tl.constexpr,
    TERMS: tl.constexpr,
    DROP_AFTER: tl.constexpr,
    SHAPE: tl.constexpr,
) -> None:
    """A chunk of wide channels for all pairs of some tiles of receivers.

    Parameters
    ----------
    encoder, terms, nodes
        As for `messages_kernel`.
    matrix : (NARROW, WIDE)
        The message layer's weights, outputs first.
    arriving, key_after, threshold_after
        As for `message_gradient`.
    shares, tiles
        As for `block_gradient_kernel`.
    out
        See `EncoderGrads`.
    """
    PRECISION: tl.constexpr = SHAPE.precision
    NARROW: tl.constexpr = SHAPE.narrow
    WIDE: tl.constexpr = SHAPE.wide
    CHUNK: tl.constexpr = SHAPE.chunk
    INPUTS: tl.constexpr = SHAPE.inputs
    PADDED: tl.constexpr = SHAPE.inputs_padded
    ENCODED: tl.constexpr = SHAPE.encoded
    BJ: tl.constexpr = SHAPE.senders
    M: tl.constexpr = _TILE * BJ
    c, inputs = tl.arange(0, NARROW), tl.arange(0, PADDED)
    k = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    weights = c[:, None] * WIDE + k[None, :]
    a = tl.load(encoder.exponent + k)[None, None, :]
    zeros = tl.zeros((M, CHUNK), tl.float32)
    grad_matrix, grad_bias = tl.zeros((NARROW, CHUNK), tl.float32), tl.zeros((NARROW,), tl.float32)
    grad_inputs, grad_power = tl.zeros((PADDED, CHUNK), tl.float32), tl.zeros((CHUNK,), tl.float32)
    grad_linear = grad_power
    part = nodes.to(tl.int64) * WIDE
    through_encoder = (k < ENCODED)[None, None, :]
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        jet, start, n, first = tile_at(tile, jets.offsets, jets.jet, jets.first)
        block = tl.load(jets.pairs + jet)
        i = first + tl.arange(0, _TILE)
        grad_u = tl.zeros((BJ, _TILE, CHUNK), tl.float32)
        for sender in range(0, n, BJ):
            pairs = pairs_of(start, n, block, i, sender + tl.arange(0, BJ))
            grads = message_gradient(arriving, pairs, key_after, threshold_after, ARRIVES, DROP_AFTER, SHAPE)
            grad_bias += tl.sum(grads, axis=0)
            x = embedded(encoder, pairs.place, pairs.inside, k, SHAPE)
            power = psi(tl.abs(x))
            size = expm1(a * power) / a
            value = tl.where(x < 0, -size, size)
            if TERMS:
                of_nodes = node_terms(terms, nodes, pairs, k, WIDE)
                value = tl.where(through_encoder, value, leaky(of_nodes))
            value = tl.reshape(value, (M, CHUNK))
            grad_matrix = split_product(tl.trans(grads), value, grad_matrix, PRECISION)
            row = split_product(grads, tl.load(matrix + weights), zeros, PRECISION)
            row = tl.reshape(row, (BJ, _TILE, CHUNK))
            if TERMS:
                by_node = tl.where(of_nodes > 0, row, 0.01 * row)
                by_node = tl.where(through_encoder, 0.0, by_node)
                grad_u += by_node
                share = tl.load(shares + jet) + (first // _TILE).to(tl.int64) * n
                store_node_gradient(
                    by_node, out.senders + share * WIDE, out.terms + 2 * part + start * WIDE, pairs, k, WIDE
                )
            # as in the layers, the gradient is 0 where x is 0
            change = power * power * _of_exponent(a * power)
            row = tl.where(through_encoder & (x != 0), tl.where(x < 0, -row, row), 0.0)
            grad_power += tl.sum(tl.sum(row * change, axis=0), axis=0)
            row = tl.where(x < 0, -row, row) * (1.0 + a * size) / (1.0 + tl.abs(x))
            for r in tl.static_range(INPUTS):
                given = tl.load(encoder.products + pairs.place * INPUTS + r, mask=pairs.inside, other=0.0)
                found = tl.sum(tl.sum(row * given.to(tl.float32)[:, :, None], axis=0), axis=0)
                grad_inputs += tl.where((inputs == r)[:, None], found[None, :], 0.0)
            grad_linear += tl.sum(tl.sum(row, axis=0), axis=0)
        if TERMS:
            place = out.terms + (start + i)[:, None] * WIDE + k[None, :]
            tl.store(place, tl.sum(grad_u, axis=0), mask=(i < n)[:, None])
    program = tl.program_id(0).to(tl.int64)
    tl.store(out.matrices + program * NARROW * WIDE + weights, grad_matrix)
    if tl.program_id(1) == 0:
        tl.store(out.vectors + program * NARROW + c, grad_bias)
    own = out.encoder + program * (INPUTS + 2) * WIDE + k
    tl.store(own[None, :] + inputs[:, None] * WIDE, grad_inputs, mask=(inputs < INPUTS)[:, None])
    tl.store(own + INPUTS * WIDE, grad_linear)
    tl.store(own + (INPUTS + 1) * WIDE, grad_power)


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
