"""The three vectors of each constituent, Σ_j w_ij (p_i + p_j)/m_ij, and their squares, in float64.

With s_ij = w_ij/m_ij of j ≠ i and s_ii the sum of these, v_i = Σ_j s_ij p_j and v_i² = Σ_jk s_ij s_ik p_j·p_k: of
products that are all positive, so that no digit is lost.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.tiles import RECEIVERS
from .pair_network import PairLogits
from .pair_tiles import Pairs, PairTiles, load_gram, own_pairs, pair_mass

__all__ = ["frame_sums", "logit_gradients", "logit_gradients_kernel", "shares", "shares_kernel", "sums_kernel"]

_VECTORS = 3
#: Nodes that are worked on at once.
_COLUMNS = 16


@triton.jit
def shares_kernel(
    gram: tl.tensor,
    tiles: PairTiles,
    softmax: PairLogits,
    out: tl.tensor,
    num_pairs: tl.tensor,
    VECTORS: tl.constexpr,
    REFERENCES: tl.constexpr,
    RECEIVERS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """S of one of the vectors for some constituents of one jet: (3, R), float64."""
    start, _, square, pairs, n, nodes, begin = own_pairs(tiles, REFERENCES)
    vector = tl.program_id(1)
    i = begin + tl.arange(0, RECEIVERS)
    row = (start + i) * VECTORS + vector
    largest = tl.load(softmax.largest + row, mask=i < n, other=0.0)[:, None]
    total = tl.load(softmax.total + row, mask=i < n, other=1.0)[:, None]
    place = pairs + i.to(tl.int64)[:, None] * nodes
    out += vector * num_pairs
    own = tl.zeros((RECEIVERS,), tl.float64)
    for first in range(0, nodes, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        real = (i < n)[:, None] & (j < nodes)[None, :]
        logits = tl.load(softmax.logits + (place + j[None, :]) * VECTORS + vector, mask=real, other=-float("inf"))
        # a node alone has no others
        weight = tl.exp(logits - largest) / tl.where(total == 0.0, 1.0, total)
        share = weight.to(tl.float64) / pair_mass(gram + square, i + REFERENCES, j, nodes)
        own += tl.sum(share, axis=1)
        tl.store(out + place + j[None, :], share, mask=real & ((i + REFERENCES)[:, None] != j[None, :]))
    tl.store(out + pairs + i.to(tl.int64) * nodes + i + REFERENCES, own, mask=i < n)


@triton.jit
def sums_kernel(
    p4: tl.tensor,
    gram: tl.tensor,
    share: tl.tensor,
    tiles: PairTiles,
    vectors: tl.tensor,
    squares: tl.tensor,
    products: tl.tensor,
    num: tl.tensor,
    num_pairs: tl.tensor,
    REFERENCES: tl.constexpr,
    KEEP: tl.constexpr,
    RECEIVERS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """One of the vectors (3, N, 4), and its square (3, N), of some constituents of one jet; N = `num` in all.

    With KEEP also Σ_k s_ik p_k·p_j: `products` (3, R).
    """
    start, node, square, pairs, n, nodes, begin = own_pairs(tiles, REFERENCES)
    vector = tl.program_id(1)
    i, component = begin + tl.arange(0, RECEIVERS), tl.arange(0, 4)
    place = vector * num_pairs + pairs + i.to(tl.int64)[:, None] * nodes
    total, found = tl.zeros((RECEIVERS,), tl.float64), tl.zeros((RECEIVERS, 4), tl.float64)
    for first in range(0, nodes, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        real = (i < n)[:, None] & (j < nodes)[None, :]
        along = tl.zeros((RECEIVERS, COLUMNS), tl.float64)
        for second in range(0, nodes, COLUMNS):
            k = second + tl.arange(0, COLUMNS)
            s = tl.load(share + place + k[None, :], mask=(i < n)[:, None] & (k < nodes)[None, :], other=0.0)
            along = tl.dot(s, load_gram(gram + square, k, j, nodes), along, out_dtype=tl.float64)
        s = tl.load(share + place + j[None, :], mask=real, other=0.0)
        total += tl.sum(s * along, axis=1)
        p_j = tl.load(p4 + (node + j)[:, None] * 4 + component[None, :], mask=(j < nodes)[:, None], other=0.0)
        found += tl.sum(s[:, :, None] * p_j[None, :, :], axis=1)
        if KEEP:
            tl.store(products + place + j[None, :], along, mask=real)
    row = vector * num + start + i
    tl.store(squares + row, total, mask=i < n)
    tl.store(vectors + row[:, None] * 4 + component[None, :], found, mask=(i < n)[:, None])


@triton.jit
def logit_gradients_kernel(
    p4: tl.tensor,
    gram: tl.tensor,
    share: tl.tensor,
    products: tl.tensor,
    tiles: PairTiles,
    grad_vectors: tl.tensor,
    grad_squares: tl.tensor,
    out: tl.tensor,
    num: tl.tensor,
    num_pairs: tl.tensor,
    VECTORS: tl.constexpr,
    REFERENCES: tl.constexpr,
    RECEIVERS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Gradients of one of the logits (R, 3) for some constituents of one jet, from those of its vector and square."""
    start, node, square, pairs, n, nodes, begin = own_pairs(tiles, REFERENCES)
    vector = tl.program_id(1)
    i = begin + tl.arange(0, RECEIVERS)
    row = vector * num + start + i
    twice = 2.0 * tl.load(grad_squares + row, mask=i < n, other=0.0)
    own = twice * tl.load(
        products + vector * num_pairs + pairs + i.to(tl.int64) * nodes + i + REFERENCES, mask=i < n, other=0.0
    )
    for c in tl.static_range(4):
        momentum = tl.load(p4 + (node + REFERENCES + i) * 4 + c, mask=i < n, other=0.0)
        own += tl.load(grad_vectors + row * 4 + c, mask=i < n, other=0.0) * momentum
    mean = tl.zeros((RECEIVERS,), tl.float64)
    # Σ_j w_ij of the weights' gradients first, which a softmax subtracts
    for step in tl.static_range(2):
        for first in range(0, nodes, COLUMNS):
            j = first + tl.arange(0, COLUMNS)
            real = (i < n)[:, None] & (j < nodes)[None, :] & ((i + REFERENCES)[:, None] != j[None, :])
            place = pairs + i.to(tl.int64)[:, None] * nodes + j[None, :]
            s = tl.load(share + vector * num_pairs + place, mask=real, other=0.0)
            grad = tl.load(products + vector * num_pairs + place, mask=real, other=0.0) * twice[:, None] + own[:, None]
            for c in tl.static_range(4):
                momentum = tl.load(p4 + (node + j) * 4 + c, mask=j < nodes, other=0.0)
                grad += tl.load(grad_vectors + row * 4 + c, mask=i < n, other=0.0)[:, None] * momentum[None, :]
            if step == 0:
                mean += tl.sum(tl.where(real, s * grad, 0.0), axis=1)
            else:
                found = s * (grad - mean[:, None] * pair_mass(gram + square, i + REFERENCES, j, nodes))
                inside = (i < n)[:, None] & (j < nodes)[None, :]
                found = tl.where((i + REFERENCES)[:, None] != j[None, :], found, 0.0)
                tl.store(out + place * VECTORS + vector, found.to(tl.float32), mask=inside)


def shares(gram_Q: Tensor, pairs: Pairs, softmax: PairLogits) -> Tensor:
    """S of all pairs, (3, R), float64."""
    out = gram_Q.new_empty(_VECTORS, pairs.num_pairs)
    _launch(shares_kernel, pairs, gram_Q, pairs.tiles, softmax, out, pairs.num_pairs, VECTORS=_VECTORS)
    return out


def frame_sums(
    p4_M4: Tensor, gram_Q: Tensor, share: Tensor, pairs: Pairs, *, keep: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors (3, N, 4), their squares (3, N), and if wanted Σ_k s_ik p_k·p_j (3, R)."""
    vectors, squares = share.new_empty(_VECTORS, pairs.num, 4), share.new_empty(_VECTORS, pairs.num)
    products = torch.empty_like(share) if keep else share
    _launch(
        sums_kernel, pairs, p4_M4, gram_Q, share, pairs.tiles, vectors, squares, products, pairs.num, pairs.num_pairs,
        KEEP=keep,
    )  # fmt: skip
    return vectors, squares, products


def logit_gradients(
    p4_M4: Tensor, gram_Q: Tensor, share: Tensor, products: Tensor, pairs: Pairs, grads: tuple[Tensor, Tensor]
) -> Tensor:
    """Gradients of the logits (R, 3), float32, from those of vectors (3, N, 4) and squares (3, N)."""
    out = share.new_empty(pairs.num_pairs, _VECTORS, dtype=torch.float32)
    _launch(
        logit_gradients_kernel, pairs, p4_M4, gram_Q, share, products, pairs.tiles,
        *(grad.contiguous() for grad in grads), out, pairs.num, pairs.num_pairs, VECTORS=_VECTORS,
    )  # fmt: skip
    return out


def _launch(kernel: Any, pairs: Pairs, *arguments: Any, **settings: Any) -> None:
    if len(pairs.tiles.jet):
        kernel[(len(pairs.tiles.jet), _VECTORS)](
            *arguments, REFERENCES=pairs.references, RECEIVERS=RECEIVERS, COLUMNS=_COLUMNS, **settings
        )
