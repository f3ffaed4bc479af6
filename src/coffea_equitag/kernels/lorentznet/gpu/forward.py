"""A block's edges, forward: messages between all pairs of a jet, their sums and φ_x. Equations: ``../README.md``."""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.arithmetic import product, psi, relu
from ...common.gpu.tiles import JetTiles, own_tile
from .edge_scalars import INTERVAL, NOTHING, pair_scalars
from .gate import gate
from .weights import EdgeWeights

__all__ = ["TILES", "EdgeSums", "edges_kernel"]

#: Precision -> receivers and senders worked on at once, and warps. 64 rows are what Hopper's matrix units want, a warp
#: each for one receiver keeps the sums in few registers; without matrix units larger tiles leave the registers.
TILES = {"ieee": (2, 8, 4), "tf32x3": (4, 16, 4), "tf32": (4, 16, 4), "bf16": (4, 16, 4)}


class EdgeSums(NamedTuple):
    """What the edges give; φ_x's part only if the block updates the vectors."""

    messages: Tensor  # (N, A + B) within rows of a stride: Σ_j m_ij
    phi_x: Tensor  # (Q,), float32: φ_x(m_ij), 0 for i = j
    phi_x_sums: Tensor  # (N,), float64: its sums over j


@triton.jit
def edges_kernel(
    first_layer: tl.tensor,
    source: tl.tensor,
    tiles: JetTiles,
    weights: EdgeWeights,
    out: EdgeSums,
    stride: tl.tensor,
    KIND: tl.constexpr,
    UPDATES_VECTORS: tl.constexpr,
    PRECISION: tl.constexpr,
    A: tl.constexpr,
    B: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """All messages to some receivers of one jet; channels in two parts of A and B, powers of two.

    Parameters
    ----------
    first_layer : (N, 2(A + B)), float32
        U_i and V_i, each node's part of the first edge layer as receiver and as sender, BatchNorm in it.
    source : (Q,) or (N, 3), float64
        x_i·x_j, or the vectors' coordinates, as the edge scalars are of.
    stride : int
        Of the rows of ``out.messages``.
    """
    C: tl.constexpr = A + B
    M: tl.constexpr = BI * BJ
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    a, b = tl.arange(0, A), A + tl.arange(0, B)
    phi_m_bias = tl.load(weights.phi_m_bias)
    e_aa, e_ab, e_ba, e_bb = _quarters(weights.phi_e, A, B)
    if UPDATES_VECTORS:
        x_aa, x_ab, x_ba, x_bb = _quarters(weights.phi_x, A, B)
    zeros_a, zeros_b = tl.zeros((M, A), tl.float32), tl.zeros((M, B), tl.float32)
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        real_i = i < n
        own = first_layer + (start + i)[:, None] * (2 * C)
        own_a = tl.load(own + a[None, :], mask=real_i[:, None], other=0.0)[:, None, :]
        own_b = tl.load(own + b[None, :], mask=real_i[:, None], other=0.0)[:, None, :]
        rows = source + block + i.to(tl.int64) * n
        if KIND == INTERVAL:
            square_i = tl.load(rows + i, mask=real_i, other=0.0)
        sum_a, sum_b = tl.zeros((BI, A), tl.float32), tl.zeros((BI, B), tl.float32)
        phi_x_sum = tl.zeros((BI,), tl.float64)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            real_j = j < n
            other = first_layer + (start + j)[:, None] * (2 * C) + C
            other_a = tl.load(other + a[None, :], mask=real_j[:, None], other=0.0)[None, :, :]
            other_b = tl.load(other + b[None, :], mask=real_j[:, None], other=0.0)[None, :, :]
            inside = real_i[:, None] & real_j[None, :]
            by_nu, by_pi = weights.scalar_weights, weights.scalar_weights + C
            z_a, z_b = own_a + other_a, own_b + other_b
            if KIND == INTERVAL:
                square_j = tl.load(source + block + j.to(tl.int64) * (n + 1), mask=real_j, other=0.0)
                dot = tl.load(rows[:, None] + j[None, :], mask=inside, other=0.0)
                nu = psi((square_i[:, None] + square_j[None, :] - 2.0 * dot).to(tl.float32))[:, :, None]
                pi = psi(dot.to(tl.float32))[:, :, None]
                nu_a, nu_b = tl.load(by_nu + a)[None, None, :], tl.load(by_nu + b)[None, None, :]
                pi_a, pi_b = tl.load(by_pi + a)[None, None, :], tl.load(by_pi + b)[None, None, :]
                z_a, z_b = z_a + nu * nu_a + pi * pi_a, z_b + nu * nu_b + pi * pi_b
            elif KIND != NOTHING:
                nu, _, _, _ = pair_scalars(source, block, start, i, j, n, KIND)
                nu = nu.to(tl.float32)[:, :, None]
                z_a += nu * tl.load(by_nu + a)[None, None, :]
                z_b += nu * tl.load(by_nu + b)[None, None, :]
            r_a, r_b = tl.reshape(relu(z_a), (M, A)), tl.reshape(relu(z_b), (M, B))
            y_a = product(r_b, e_ba, product(r_a, e_aa, zeros_a, PRECISION), PRECISION)
            y_b = product(r_b, e_bb, product(r_a, e_ab, zeros_b, PRECISION), PRECISION)
            bias_a, bias_b = tl.load(weights.phi_e_bias + a)[None, :], tl.load(weights.phi_e_bias + b)[None, :]
            y_a, y_b = relu(y_a + bias_a), relu(y_b + bias_b)
            m_a, m_b = tl.load(weights.phi_m + a)[None, :], tl.load(weights.phi_m + b)[None, :]
            phi_m = gate(tl.sum(y_a * m_a, axis=1) + tl.sum(y_b * m_b, axis=1) + phi_m_bias)[:, None]
            message = tl.reshape(inside & (i[:, None] != j[None, :]), (M,))
            m_a = tl.where(message[:, None], y_a * phi_m, 0.0)
            m_b = tl.where(message[:, None], y_b * phi_m, 0.0)
            sum_a += tl.sum(tl.reshape(m_a, (BI, BJ, A)), axis=1)
            sum_b += tl.sum(tl.reshape(m_b, (BI, BJ, B)), axis=1)
            if UPDATES_VECTORS:
                f_a = product(m_b, x_ba, product(m_a, x_aa, zeros_a, PRECISION), PRECISION)
                f_b = product(m_b, x_bb, product(m_a, x_ab, zeros_b, PRECISION), PRECISION)
                bias_a, bias_b = tl.load(weights.phi_x_bias + a)[None, :], tl.load(weights.phi_x_bias + b)[None, :]
                f_a, f_b = relu(f_a + bias_a), relu(f_b + bias_b)
                out_a, out_b = tl.load(weights.phi_x_out + a)[None, :], tl.load(weights.phi_x_out + b)[None, :]
                phi_x = tl.sum(f_a * out_a, axis=1) + tl.sum(f_b * out_b, axis=1)
                phi_x = tl.reshape(tl.where(message, phi_x, 0.0), (BI, BJ))
                phi_x_sum += tl.sum(phi_x.to(tl.float64), axis=1)
                tl.store(out.phi_x + block + i.to(tl.int64)[:, None] * n + j[None, :], phi_x, mask=inside)
        sums = out.messages + (start + i)[:, None] * stride
        tl.store(sums + a[None, :], sum_a, mask=real_i[:, None])
        tl.store(sums + b[None, :], sum_b, mask=real_i[:, None])
        if UPDATES_VECTORS:
            tl.store(out.phi_x_sums + start + i, phi_x_sum, mask=real_i)


@triton.jit
def _quarters(matrix: tl.tensor, A: tl.constexpr, B: tl.constexpr) -> tuple[tl.tensor, ...]:
    """A matrix of (A + B) × (A + B) in four parts."""
    a, b = tl.arange(0, A), A + tl.arange(0, B)
    rows_a, rows_b = matrix + a[:, None] * (A + B), matrix + b[:, None] * (A + B)
    return (
        tl.load(rows_a + a[None, :]),
        tl.load(rows_a + b[None, :]),
        tl.load(rows_b + a[None, :]),
        tl.load(rows_b + b[None, :]),
    )
