"""Rows of pairs that PELICAN's training makes on the way forth and again on the way back.

Tiles of pairs have the senders j first, the receivers i second: a thread then has all senders of few receivers, and
holds few numbers of nodes.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import expm1, psi

__all__ = ["embedded", "encoded", "entering", "kept", "node_terms"]


@triton.jit
def kept(place: tl.tensor, c: tl.tensor, key: tl.tensor, threshold: tl.tensor) -> tl.tensor:
    """Whether dropout keeps some channels of some pairs: the hash of `cpu.pair_dropout.kept_channels`."""
    x = key.to(tl.uint64) + place.to(tl.uint64) * 0x9E3779B97F4A7C15
    x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93
    x = x ^ (x >> 32)
    y = x.to(tl.uint32)[:, :, None] + (c.to(tl.uint32) * 0x9E3779B9)[None, None, :]
    y = (y ^ (y >> 16)) * 0x7FEB352D
    y = (y ^ (y >> 15)) * 0x846CA68B
    return (y ^ (y >> 16)) >= threshold.to(tl.uint32)


@triton.jit
def entering(
    messages: tl.tensor,
    norm: tl.tensor,
    place: tl.tensor,
    inside: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    DROP: tl.constexpr,
    DEPTH: tl.constexpr,
    NARROW: tl.constexpr,
) -> tl.tensor:
    """X = scale Y + shift of messages Y, (Q, DEPTH), where dropout keeps it; 0 elsewhere, one pair a row.

    `norm` (2, NARROW) holds scale and shift.
    """
    c = tl.arange(0, NARROW)
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    x = tl.load(messages + place[:, :, None] * DEPTH + c[None, None, :], mask=known, other=0.0)
    x = x * tl.load(norm + c)[None, None, :] + tl.load(norm + NARROW + c)[None, None, :]
    if DROP:
        known = known & kept(place, c, key, threshold)
    return tl.reshape(tl.where(known, x, 0.0), (place.shape[0] * place.shape[1], NARROW))


@triton.jit
def node_terms(
    terms: tl.tensor,
    nodes: tl.tensor,
    start: tl.tensor,
    i: tl.tensor,
    j: tl.tensor,
    n: tl.tensor,
    k: tl.tensor,
    WIDE: tl.constexpr,
) -> tl.tensor:
    """Some channels of u_i + v_j + δ_ij d_i, terms (3, N, WIDE), for some pairs."""
    part = nodes.to(tl.int64) * WIDE
    own = terms + (start + i)[:, None] * WIDE + k[None, :]
    other = terms + part + (start + j)[:, None] * WIDE + k[None, :]
    u = tl.load(own, mask=(i < n)[:, None], other=0.0)[None, :, :]
    v = tl.load(other, mask=(j < n)[:, None], other=0.0)[:, None, :]
    d = tl.load(own + 2 * part, mask=(i < n)[:, None], other=0.0)[None, :, :]
    return u + v + tl.where((j[:, None] == i[None, :])[:, :, None], d, 0.0)


@triton.jit
def embedded(
    products: tl.tensor,
    embedding: tl.tensor,
    embedding_bias: tl.tensor,
    place: tl.tensor,
    inside: tl.tensor,
    k: tl.tensor,
    INPUTS: tl.constexpr,
    WIDE: tl.constexpr,
    CHUNK: tl.constexpr,
) -> tl.tensor:
    """Some channels of the embedding of pair channels, (Q, INPUTS) in float64, by weights (INPUTS, WIDE)."""
    x = tl.zeros((place.shape[0], place.shape[1], CHUNK), tl.float32) + tl.load(embedding_bias + k)[None, None, :]
    for r in tl.static_range(INPUTS):
        seen = tl.load(products + place * INPUTS + r, mask=inside, other=0.0).to(tl.float32)
        x += seen[:, :, None] * tl.load(embedding + r * WIDE + k)[None, None, :]
    return x


@triton.jit
def encoded(x: tl.tensor, a: tl.tensor) -> tl.tensor:
    """The encoder's sgn(x) [(1 + |x|)^a − 1] / a."""
    size = expm1(a * psi(tl.abs(x))) / a
    return tl.where(x < 0, -size, size)
