"""Backward through BatchNorm's statistics of the pairs, to nodes and edge scalars."""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from .edge_statistics import Norm, PairSums

__all__ = [
    "NodeGradients",
    "NormGradients",
    "ScalarTerms",
    "gradient_sums_kernel",
    "nodes_backward_kernel",
]


class NodeGradients(NamedTuple):
    """Gradients of the normalised edges, ẑ_ij, summed over one index."""

    u: Tensor  # (N, CHANNELS), float32: Σ_j dL/dẑ_ij
    shared_v: Tensor  # (Σ n · tiles, CHANNELS), float32: Σ_i of each tile by itself
    v: Tensor  # (N, hidden), float32: out of `gradient_sums_kernel`, Σ_i dL/dẑ_ij


class ScalarTerms(NamedTuple):
    """What the statistics add to the gradients of ν_ij and π_ij, float64."""

    nodes: Tensor  # (N, 4): the first two of i, the last two of j
    pairs: Tensor  # (3,): a symmetric matrix times (ν_ij, π_ij)


class NormGradients(NamedTuple):
    """Gradients behind the BatchNorm."""

    first_layer: Tensor  # (N, 2 hidden), float32: of U and V
    norm: Tensor  # (2, hidden), float32: of its weight and bias
    scalar_weights: Tensor  # (hidden, 2), float32: of a and b
    terms: ScalarTerms


@triton.jit(do_not_specialize=["num_pairs"])
def gradient_sums_kernel(
    first_layer: tl.tensor,
    offsets: tl.tensor,
    shares: tl.tensor,
    sums: PairSums,
    num_pairs: tl.tensor,
    grads: NodeGradients,
    out: tl.tensor,
    hidden: tl.tensor,
    CHANNELS: tl.constexpr,
    RECEIVERS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Add up what the tiles of one jet give its senders; sums over its pairs of dL/dẑ, and of dL/dẑ (z − mean) in part.

    Parameters
    ----------
    first_layer : (N, 2 hidden), float32
        U and V.
    shares : (J + 1,), int64
        Where each jet's rows of ``grads.shared_v`` begin.
    out : (J, 2, hidden), float64
        Out: Σ dL/dẑ, and Σ dL/dẑ (U_i − Ū + V_j − V̄).
    """
    jet = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    known = c < hidden
    first, last = tl.load(offsets + jet), tl.load(offsets + jet + 1)
    share, n = tl.load(shares + jet), last - first
    tiles = (n + RECEIVERS - 1) // RECEIVERS
    count = num_pairs.to(tl.float64)
    mean_u = (tl.load(sums.nodes + c, mask=known, other=0.0) / count)[None, :]
    mean_v = (tl.load(sums.nodes + hidden + c, mask=known, other=0.0) / count)[None, :]
    total, spread = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    for start in range(0, n, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n)[:, None] & known[None, :]
        place = first_layer + (first + i)[:, None] * (2 * hidden) + c[None, :]
        u = tl.load(place, mask=inside, other=0.0).to(tl.float64)
        v = tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64)
        own = tl.load(grads.u + (first + i)[:, None] * CHANNELS + c[None, :], mask=inside, other=0.0).to(tl.float64)
        other = tl.zeros((ROWS, WIDTH), tl.float64)
        for tile in range(tiles):
            row = (share + tile * n + i)[:, None]
            other += tl.load(grads.shared_v + row * CHANNELS + c[None, :], mask=inside, other=0.0).to(tl.float64)
        tl.store(grads.v + (first + i)[:, None] * hidden + c[None, :], other.to(tl.float32), mask=inside)
        total += tl.sum(own, axis=0)
        spread += tl.sum(tl.where(inside, own * (u - mean_u) + other * (v - mean_v), 0.0), axis=0)
    tl.store(out + jet * 2 * hidden + c, total, mask=known)
    tl.store(out + jet * 2 * hidden + hidden + c, spread, mask=known)


@triton.jit(do_not_specialize=["num_pairs"])
def nodes_backward_kernel(
    first_layer: tl.tensor,
    offsets: tl.tensor,
    sums: PairSums,
    num_pairs: tl.tensor,
    statistics: tl.tensor,
    scalar_weights: tl.tensor,
    stride: tl.tensor,
    norm: Norm,
    grads: NodeGradients,
    grad_sums: tl.tensor,
    vectors: tl.tensor,
    hidden: tl.tensor,
    out: NormGradients,
    OF_BATCH: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """From the gradients of ẑ to those of U and V of one jet; the first program: to those of the parameters.

    A pair's dL/dz is scale dL/dẑ − shift + spread (z − mean). There are 17 arguments, four of them compile-time
    constants; numbers stand for themselves, since Triton would compile another kernel for other numbers in a tuple.
    Arguments as of `normalise_kernel` and `gradient_sums_kernel`, and

    Parameters
    ----------
    grad_sums : (2, hidden), float64
        Of `gradient_sums_kernel`, over the batch.
    vectors : (2, CHANNELS), float64
        Σ dL/dẑ ν and Σ dL/dẑ π.
    """
    jet = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, WIDTH)
    known = c < hidden
    first, last = tl.load(offsets + jet), tl.load(offsets + jet + 1)
    a = tl.load(scalar_weights + c.to(tl.int64) * stride, mask=known, other=0.0).to(tl.float64)
    b = tl.load(scalar_weights + c.to(tl.int64) * stride + 1, mask=known, other=0.0).to(tl.float64)
    mean = tl.load(statistics + c, mask=known, other=0.0)
    inverse = 1.0 / tl.sqrt(tl.load(statistics + hidden + c, mask=known, other=1.0) + tl.load(norm.eps))
    scale = tl.load(norm.weight + c, mask=known, other=0.0).to(tl.float64) * inverse
    count, scalars = num_pairs.to(tl.float64), sums.scalars
    mean_norm, mean_dot = tl.load(scalars) / count, tl.load(scalars + 1) / count
    sum_u = tl.load(sums.nodes + c, mask=known, other=0.0)
    sum_v = tl.load(sums.nodes + hidden + c, mask=known, other=0.0)
    total = tl.load(grad_sums + c, mask=known, other=0.0)
    of_a = tl.load(vectors + c, mask=known, other=0.0)
    of_b = tl.load(vectors + CHANNELS + c, mask=known, other=0.0)
    centred = tl.load(grad_sums + hidden + c, mask=known, other=0.0)
    centred += a * (of_a - mean_norm * total) + b * (of_b - mean_dot * total)
    centred -= (mean - (sum_u + sum_v) / count - a * mean_norm - b * mean_dot) * total
    shift, spread = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    if OF_BATCH:
        shift, spread = scale * total / count, -scale * centred * inverse * inverse / count
    if jet == 0:
        tl.store(out.norm + c, (centred * inverse).to(tl.float32), mask=known)
        tl.store(out.norm + hidden + c, total.to(tl.float32), mask=known)
        with_norm = tl.load(sums.nodes + 3 * hidden + c, mask=known, other=0.0) - mean * tl.load(scalars)
        with_norm += a * tl.load(scalars + 2) + b * tl.load(scalars + 3)
        with_dot = tl.load(sums.nodes + 4 * hidden + c, mask=known, other=0.0) - mean * tl.load(scalars + 1)
        with_dot += a * tl.load(scalars + 3) + b * tl.load(scalars + 4)
        of_a = scale * of_a - shift * tl.load(scalars) + spread * with_norm
        of_b = scale * of_b - shift * tl.load(scalars + 1) + spread * with_dot
        tl.store(out.scalar_weights + 2 * c, of_a.to(tl.float32), mask=known)
        tl.store(out.scalar_weights + 2 * c + 1, of_b.to(tl.float32), mask=known)
        tl.store(out.terms.pairs, tl.sum(spread * a * a, axis=0))
        tl.store(out.terms.pairs + 1, tl.sum(spread * a * b, axis=0))
        tl.store(out.terms.pairs + 2, tl.sum(spread * b * b, axis=0))
    sum_u, sum_v = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    if OF_BATCH:
        for start in range(first, last, ROWS):
            i = start + tl.arange(0, ROWS)
            inside = (i < last)[:, None] & known[None, :]
            place = first_layer + i[:, None] * (2 * hidden) + c[None, :]
            sum_u += tl.sum(tl.load(place, mask=inside, other=0.0).to(tl.float64), axis=0)
            sum_v += tl.sum(tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64), axis=0)
    others = (last - first - 1).to(tl.float64)
    for start in range(first, last, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < last)[:, None] & known[None, :]
        own = tl.load(grads.u + i[:, None] * CHANNELS + c[None, :], mask=inside, other=0.0).to(tl.float64)
        other = tl.load(grads.v + i[:, None] * hidden + c[None, :], mask=inside, other=0.0).to(tl.float64)
        own, other = own * scale[None, :], other * scale[None, :]
        if OF_BATCH:
            place = first_layer + i[:, None] * (2 * hidden) + c[None, :]
            u = tl.load(place, mask=inside, other=0.0).to(tl.float64)
            v = tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64)
            nu = tl.load(sums.rows + 5 * i, mask=i < last, other=0.0)[:, None]
            pi = tl.load(sums.rows + 5 * i + 1, mask=i < last, other=0.0)[:, None]
            both = a[None, :] * nu + b[None, :] * pi - others * mean[None, :]
            own += spread[None, :] * (others * u + sum_v[None, :] - v + both) - others * shift[None, :]
            other += spread[None, :] * (others * v + sum_u[None, :] - u + both) - others * shift[None, :]
            receiver = tl.where(inside, spread[None, :] * (u - mean[None, :]) - shift[None, :], 0.0)
            sender = tl.where(inside, spread[None, :] * v, 0.0)
            place = out.terms.nodes + 4 * i
            tl.store(place, tl.sum(receiver * a[None, :], axis=1), mask=i < last)
            tl.store(place + 1, tl.sum(receiver * b[None, :], axis=1), mask=i < last)
            tl.store(place + 2, tl.sum(sender * a[None, :], axis=1), mask=i < last)
            tl.store(place + 3, tl.sum(sender * b[None, :], axis=1), mask=i < last)
        place = out.first_layer + i[:, None] * (2 * hidden) + c[None, :]
        tl.store(place, own.to(tl.float32), mask=inside)
        tl.store(place + hidden, other.to(tl.float32), mask=inside)
