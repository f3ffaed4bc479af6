"""Rows of pairs that PELICAN's training computes in the forward pass and again in the backward pass.

Tiles of pairs have the senders j first, the receivers i second: a thread then has all senders of few receivers, and
holds few numbers of nodes.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import expm1, psi
from ...common.gpu.dropout import kept as of_channels
from ...common.gpu.dropout import mixed
from .kernel_arguments import Encoder, Entering, Pairs

__all__ = ["embedded", "encoded", "entering", "kept", "node_terms", "pairs_of"]


@triton.jit
def pairs_of(start: tl.tensor, n: tl.tensor, block: tl.tensor, i: tl.tensor, j: tl.tensor) -> Pairs:
    """Pairs of some nodes of a jet whose pairs begin at `block`."""
    inside = (j < n)[:, None] & (i < n)[None, :]
    place = block + i.to(tl.int64)[None, :] * n + j[:, None]
    return Pairs(start, n, i, j, place, inside)


@triton.jit
def kept(place: tl.tensor, c: tl.tensor, key: tl.tensor, threshold: tl.tensor) -> tl.tensor:
    """Whether dropout keeps some channels of some pairs: the hash of `common.dropout.kept_channels`."""
    return of_channels(mixed(place, key)[:, :, None], c[None, None, :], threshold)


@triton.jit
def entering(
    given: Entering,
    place: tl.tensor,
    inside: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    DROP: tl.constexpr,
    SHAPE: tl.constexpr,
) -> tl.tensor:
    """X = scale Y + shift of the messages that enter where dropout keeps them; 0 elsewhere, one pair per row."""
    DEPTH: tl.constexpr = SHAPE.depth
    NARROW: tl.constexpr = SHAPE.narrow
    c = tl.arange(0, NARROW)
    known = inside[:, :, None] & (c < DEPTH)[None, None, :]
    x = tl.load(given.messages + place[:, :, None] * DEPTH + c[None, None, :], mask=known, other=0.0)
    x = x * tl.load(given.norm + c)[None, None, :] + tl.load(given.norm + NARROW + c)[None, None, :]
    if DROP:
        known = known & kept(place, c, key, threshold)
    return tl.reshape(tl.where(known, x, 0.0), (place.shape[0] * place.shape[1], NARROW))


@triton.jit
def node_terms(terms: tl.tensor, nodes: tl.tensor, pairs: Pairs, k: tl.tensor, WIDE: tl.constexpr) -> tl.tensor:
    """Some channels of u_i + v_j + δ_ij d_i, terms (3, N, WIDE), for a tile of pairs."""
    start, n, i, j, _, _ = pairs
    part = nodes.to(tl.int64) * WIDE
    own = terms + (start + i)[:, None] * WIDE + k[None, :]
    other = terms + part + (start + j)[:, None] * WIDE + k[None, :]
    u = tl.load(own, mask=(i < n)[:, None], other=0.0)[None, :, :]
    v = tl.load(other, mask=(j < n)[:, None], other=0.0)[:, None, :]
    d = tl.load(own + 2 * part, mask=(i < n)[:, None], other=0.0)[None, :, :]
    return u + v + tl.where((j[:, None] == i[None, :])[:, :, None], d, 0.0)


@triton.jit
def embedded(encoder: Encoder, place: tl.tensor, inside: tl.tensor, k: tl.tensor, SHAPE: tl.constexpr) -> tl.tensor:
    """Some channels of the embedding of pair channels, which are rounded to float32 first."""
    WIDE: tl.constexpr = SHAPE.wide
    CHUNK: tl.constexpr = SHAPE.chunk
    INPUTS: tl.constexpr = SHAPE.inputs
    x = tl.zeros((place.shape[0], place.shape[1], CHUNK), tl.float32)
    x += tl.load(encoder.embedding_bias + k)[None, None, :]
    for r in tl.static_range(INPUTS):
        given = tl.load(encoder.products + place * INPUTS + r, mask=inside, other=0.0).to(tl.float32)
        x += given[:, :, None] * tl.load(encoder.embedding + r * WIDE + k)[None, None, :]
    return x


@triton.jit
def encoded(x: tl.tensor, a: tl.tensor) -> tl.tensor:
    """The encoder's sgn(x) [(1 + |x|)^a − 1] / a."""
    size = expm1(a * psi(tl.abs(x))) / a
    return tl.where(x < 0, -size, size)
