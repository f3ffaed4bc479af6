"""BatchNorm of LorentzNet's edges without a pass over their channels.

The rows are z_ij = U_i + V_j + a·ν_ij + b·π_ij, i ≠ j, so that their mean and variance follow from sums over nodes and
from row sums of the edge scalars ν and π; in float64, in a fixed order.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.tiles import JetTiles, own_tile
from .edge_scalars import pair_scalars

__all__ = [
    "Norm",
    "Normalised",
    "PairSums",
    "jet_sums_kernel",
    "normalise_kernel",
    "scalar_sums_kernel",
]


class PairSums(NamedTuple):
    """Sums over the batch's pairs, float64; zeros, and no rows, for running statistics."""

    rows: Tensor  # (N, 5): Σ_j of ν, π, ν², νπ and π²
    scalars: Tensor  # (5,): their sums over i
    nodes: Tensor  # (5, hidden): Σ U_i, Σ V_j, Σ (U_i + V_j)², Σ (U_i + V_j) ν_ij, Σ (U_i + V_j) π_ij


class Norm(NamedTuple):
    """A BatchNorm: (hidden,) each, and eps (1,) in float64."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: Tensor


class Normalised(NamedTuple):
    """What the edges see."""

    first_layer: Tensor  # (N, 2 CHANNELS), float32: scale (U − mean) + bias, and scale V
    scalar_weights: Tensor  # (2, CHANNELS), float32: scale a and scale b
    statistics: Tensor  # (2, hidden), float64: mean and variance


@triton.jit
def scalar_sums_kernel(
    source: tl.tensor,
    tiles: JetTiles,
    rows: tl.tensor,
    KIND: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Σ_j of ν, π, ν², νπ and π² for some nodes of one jet: (N, 5), float64."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, ROWS)
    first, second = tl.zeros((ROWS,), tl.float64), tl.zeros((ROWS,), tl.float64)
    square, mixed, other = tl.zeros((ROWS,), tl.float64), tl.zeros((ROWS,), tl.float64), tl.zeros((ROWS,), tl.float64)
    for column in range(0, n, COLUMNS):
        norm, dot, _, _ = pair_scalars(source, block, start, i, column + tl.arange(0, COLUMNS), n, KIND)
        first += tl.sum(norm, axis=1)
        second += tl.sum(dot, axis=1)
        square += tl.sum(norm * norm, axis=1)
        mixed += tl.sum(norm * dot, axis=1)
        other += tl.sum(dot * dot, axis=1)
    out = rows + (start + i) * 5
    tl.store(out, first, mask=i < n)
    tl.store(out + 1, second, mask=i < n)
    tl.store(out + 2, square, mask=i < n)
    tl.store(out + 3, mixed, mask=i < n)
    tl.store(out + 4, other, mask=i < n)


@triton.jit
def jet_sums_kernel(
    first_layer: tl.tensor,
    rows: tl.tensor,
    offsets: tl.tensor,
    out: tl.tensor,
    hidden: tl.tensor,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Over the pairs of one jet: Σ U_i, Σ V_j, Σ (U_i + V_j)², Σ (U_i + V_j) ν_ij and Σ (U_i + V_j) π_ij.

    Parameters
    ----------
    first_layer : (N, 2 hidden), float32
        U and V side by side.
    rows : (N, 5), float64
        Of `scalar_sums_kernel`.
    out : (J, 5, hidden), float64
        Out: the sums.
    """
    jet = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    first, last = tl.load(offsets + jet), tl.load(offsets + jet + 1)
    others = (last - first - 1).to(tl.float64)
    sum_u, sum_v = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    squares, same = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    with_norm, with_dot = tl.zeros((WIDTH,), tl.float64), tl.zeros((WIDTH,), tl.float64)
    for start in range(first, last, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < last)[:, None] & (c < hidden)[None, :]
        place = first_layer + i[:, None] * (2 * hidden) + c[None, :]
        u = tl.load(place, mask=inside, other=0.0).to(tl.float64)
        v = tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64)
        norm = tl.load(rows + 5 * i, mask=i < last, other=0.0)[:, None]
        dot = tl.load(rows + 5 * i + 1, mask=i < last, other=0.0)[:, None]
        sum_u += tl.sum(u, axis=0)
        sum_v += tl.sum(v, axis=0)
        squares += tl.sum(u * u + v * v, axis=0)
        same += tl.sum(u * v, axis=0)
        with_norm += tl.sum((u + v) * norm, axis=0)
        with_dot += tl.sum((u + v) * dot, axis=0)
    place = out + jet * 5 * hidden + c
    tl.store(place, others * sum_u, mask=c < hidden)
    tl.store(place + hidden, others * sum_v, mask=c < hidden)
    tl.store(place + 2 * hidden, others * squares + 2.0 * (sum_u * sum_v - same), mask=c < hidden)
    tl.store(place + 3 * hidden, with_norm, mask=c < hidden)
    tl.store(place + 4 * hidden, with_dot, mask=c < hidden)


@triton.jit(do_not_specialize=["nodes", "num_pairs"])
def normalise_kernel(
    first_layer: tl.tensor,
    nodes: tl.tensor,
    hidden: tl.tensor,
    sums: PairSums,
    num_pairs: tl.tensor,
    scalar_weights: tl.tensor,
    stride: tl.tensor,
    norm: Norm,
    out: Normalised,
    OF_BATCH: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """The normalised first layer of some nodes, filled up with zeros to CHANNELS; and the statistics.

    Parameters
    ----------
    first_layer : (N, 2 hidden), float32
        U and V.
    sums : PairSums
        Unused without OF_BATCH.
    scalar_weights : (hidden, 2) within rows of `stride`
        a and b.
    norm : Norm
        The BatchNorm; its running statistics are used without OF_BATCH.
    """
    i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    known = c < hidden
    a = tl.load(scalar_weights + c.to(tl.int64) * stride, mask=known, other=0.0).to(tl.float64)
    b = tl.load(scalar_weights + c.to(tl.int64) * stride + 1, mask=known, other=0.0).to(tl.float64)
    if OF_BATCH:
        count, scalars = num_pairs.to(tl.float64), sums.scalars
        with_norm = tl.load(sums.nodes + 3 * hidden + c, mask=known, other=0.0)
        with_dot = tl.load(sums.nodes + 4 * hidden + c, mask=known, other=0.0)
        mean = tl.load(sums.nodes + c, mask=known, other=0.0) + tl.load(sums.nodes + hidden + c, mask=known, other=0.0)
        mean = (mean + a * tl.load(scalars) + b * tl.load(scalars + 1)) / count
        square = tl.load(sums.nodes + 2 * hidden + c, mask=known, other=0.0) + 2.0 * (a * with_norm + b * with_dot)
        square += a * a * tl.load(scalars + 2) + 2.0 * a * b * tl.load(scalars + 3) + b * b * tl.load(scalars + 4)
        var = square / count - mean * mean
        var = tl.where(var < 0, 0.0, var)
    else:
        mean = tl.load(norm.running_mean + c, mask=known, other=0.0).to(tl.float64)
        var = tl.load(norm.running_var + c, mask=known, other=1.0).to(tl.float64)
    scale = tl.load(norm.weight + c, mask=known, other=0.0).to(tl.float64) / tl.sqrt(var + tl.load(norm.eps))
    bias = tl.load(norm.bias + c, mask=known, other=0.0).to(tl.float64)
    inside = (i < nodes)[:, None] & known[None, :]
    place = first_layer + i[:, None] * (2 * hidden) + c[None, :]
    u = tl.load(place, mask=inside, other=0.0).to(tl.float64)
    v = tl.load(place + hidden, mask=inside, other=0.0).to(tl.float64)
    place = out.first_layer + i[:, None] * (2 * CHANNELS) + c[None, :]
    filled = (i < nodes)[:, None] & (c < CHANNELS)[None, :]
    tl.store(place, ((u - mean[None, :]) * scale[None, :] + bias[None, :]).to(tl.float32), mask=filled)
    tl.store(place + CHANNELS, (v * scale[None, :]).to(tl.float32), mask=filled)
    if tl.program_id(0) == 0:
        tl.store(out.scalar_weights + c, (scale * a).to(tl.float32), mask=c < CHANNELS)
        tl.store(out.scalar_weights + CHANNELS + c, (scale * b).to(tl.float32), mask=c < CHANNELS)
        tl.store(out.statistics + c, mean, mask=known)
        tl.store(out.statistics + hidden + c, var, mask=known)
