"""A block's edges, backward: computed again tile by tile, never stored. Equations: ``../README.md``."""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.arithmetic import relu
from ...common.gpu.tf32_split import halves, product_of_halves
from ...common.gpu.tiles import JetTiles, tile_at
from .edge_scalars import NOTHING
from .gate import gate, gate_log_derivative
from .matrix_parts import add_layer, add_outer, store_parts
from .weights import EdgeWeights, TransposedWeights

__all__ = ["PROGRAMS", "TILES", "EdgeGradients", "GradSums", "edges_backward_kernel"]

#: Programs at most. Each adds up gradients of the weights over tiles of its own, in order; these sums are then added up
#: in order, so that the number must not depend on the GPU. Two for each multiprocessor of an H200.
PROGRAMS = 264

#: Precision -> receivers and senders worked on at once, rows of sums over either (see there), and warps.
TILES = {"ieee": (2, 8, 32, 8), "tf32x3": (4, 16, 64, 4), "tf32": (4, 16, 64, 4), "bf16": (4, 16, 64, 4)}


class GradSums(NamedTuple):
    """Gradients of what the edges give."""

    messages: Tensor  # (N, hidden) within rows of a stride: of Σ_j m_ij
    phi_x: Tensor  # (Q,), float32: of φ_x, 0 for i = j, if the block updates the vectors


class EdgeGradients(NamedTuple):
    """Gradients of what the edges are made of, out of the normalised first layer."""

    u: Tensor  # (N, A + B): of each node's part of the first layer as receiver
    shared_v: Tensor  # (Σ n · tiles, A + B): as sender, for the receivers of each tile by themselves
    edge_scalars: Tensor  # (Q, 2), float32: of ν and π, with SCALARS
    parameters: Tensor  # (programs, 2(A + B) + 3, A + B): see `edges_backward_kernel`


# The same code for any number of tiles. Of its 21 arguments 10 are compile-time constants; numbers stand for
# themselves, since Triton would compile another kernel for other numbers in a tuple.
@triton.jit(do_not_specialize=["num_tiles"])
def edges_backward_kernel(
    first_layer: tl.tensor,
    edge_scalars: tl.tensor,
    tiles: JetTiles,
    num_tiles: tl.tensor,
    shares: tl.tensor,
    weights: EdgeWeights,
    transposed: TransposedWeights,
    above: GradSums,
    stride: tl.tensor,
    hidden: tl.tensor,
    grads: EdgeGradients,
    KIND: tl.constexpr,
    UPDATES_VECTORS: tl.constexpr,
    SCALARS: tl.constexpr,
    PRECISION: tl.constexpr,
    A: tl.constexpr,
    B: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
    SUMS: tl.constexpr,
) -> None:
    """All pairs of some tiles of RECEIVERS nodes.

    Parameters
    ----------
    first_layer, weights
        As of `edges_kernel`.
    edge_scalars : (Q, 2), float32
        ν and π; none for edges of KIND `NOTHING`.
    num_tiles : int
        How many there are.
    shares : (J + 1,), int64
        Where each jet's rows of ``grads.shared_v`` begin: n for each of its tiles.
    stride, hidden : int
        Of the rows of ``above.messages``, and how many numbers of them count; hidden < A + B.
    grads : EdgeGradients
        Out. Its `parameters` are the gradients of φ_e's second layer and, without φ_x's last layer, of φ_x's first,
        inputs first: row `hidden` of each holds the biases', column `hidden` of the latter that of φ_m's weight. Then
        rows of a, of b, and of φ_m's bias.
    """
    C: tl.constexpr = A + B
    M: tl.constexpr = BI * BJ
    # matrix units want 64 rows
    WIDE: tl.constexpr = 64 // B
    a, b = tl.arange(0, A), A + tl.arange(0, B)
    spare_a, spare_b = (a == hidden)[None, :], (b == hidden)[None, :]
    kind = tl.arange(0, SUMS)[:, None]
    phi_m_bias = tl.load(weights.phi_m_bias)
    by_norm, by_dot = weights.scalar_weights, weights.scalar_weights + C
    zeros_a, zeros_b = tl.zeros((M, A), tl.float32), tl.zeros((M, B), tl.float32)
    e_aa, e_ab = tl.zeros((A, A), tl.float32), tl.zeros((A, B), tl.float32)
    # `ba` is transposed: matrix units want many rows
    e_ba, e_bb = tl.zeros((A, B), tl.float32), tl.zeros((B * WIDE, B), tl.float32)
    x_aa, x_ab = tl.zeros((A, A), tl.float32), tl.zeros((A, B), tl.float32)
    x_ba, x_bb = tl.zeros((A, B), tl.float32), tl.zeros((B * WIDE, B), tl.float32)
    sums_a, sums_b = tl.zeros((SUMS, A), tl.float32), tl.zeros((SUMS, B), tl.float32)
    phi_m_bias_sum = tl.zeros((M,), tl.float32)
    for tile in range(tl.program_id(0), num_tiles, tl.num_programs(0)):
        jet, start, n, first = tile_at(tile, tiles.offsets, tiles.jet, tiles.first)
        block = tl.load(tiles.pairs + jet)
        share = tl.load(shares + jet) + (first // RECEIVERS).to(tl.int64) * n
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            real_j = j < n
            for group in range(0, tl.minimum(RECEIVERS, n - first), BI):
                i = first + group + tl.arange(0, BI)
                real_i = i < n
                inside = real_i[:, None] & real_j[None, :]
                place = block + i.to(tl.int64)[:, None] * n + j[None, :]
                norm, dot = tl.zeros((BI, BJ), tl.float32), tl.zeros((BI, BJ), tl.float32)
                if KIND != NOTHING:
                    norm = tl.load(edge_scalars + 2 * place, mask=inside, other=0.0)
                    dot = tl.load(edge_scalars + 2 * place + 1, mask=inside, other=0.0)
                r_a = _first_layer(first_layer, weights.scalar_weights, start, i, j, n, norm, dot, a, C, BI, BJ, A)
                r_b = _first_layer(first_layer, weights.scalar_weights, start, i, j, n, norm, dot, b, C, BI, BJ, B)
                y_a, y_b = add_layer(r_a, r_b, weights.phi_e, zeros_a, zeros_b, A, B, PRECISION)
                y_a = relu(y_a + tl.load(weights.phi_e_bias + a)[None, :])
                y_b = relu(y_b + tl.load(weights.phi_e_bias + b)[None, :])
                phi_m_a, phi_m_b = tl.load(weights.phi_m + a)[None, :], tl.load(weights.phi_m + b)[None, :]
                phi_m = gate(tl.sum(y_a * phi_m_a, axis=1) + tl.sum(y_b * phi_m_b, axis=1) + phi_m_bias)
                message = inside & (i[:, None] != j[None, :])
                phi_m = tl.where(tl.reshape(message, (M,)), phi_m, 0.0)[:, None]
                grad_sums = above.messages + (start + i)[:, None] * stride
                above_a = tl.load(grad_sums + a[None, :], mask=real_i[:, None] & (a < hidden)[None, :], other=0.0)
                above_b = tl.load(grad_sums + b[None, :], mask=real_i[:, None] & (b < hidden)[None, :], other=0.0)
                grad_m_a = tl.reshape(tl.broadcast_to(above_a[:, None, :], (BI, BJ, A)), (M, A))
                grad_m_b = tl.reshape(tl.broadcast_to(above_b[:, None, :], (BI, BJ, B)), (M, B))
                f_a, f_b = zeros_a, zeros_b
                if UPDATES_VECTORS:
                    grad_phi_x = tl.load(above.phi_x + place, mask=message, other=0.0)
                    grad_phi_x = tl.reshape(grad_phi_x, (M,))[:, None]
                    m_a, m_b = y_a * phi_m, y_b * phi_m
                    f_a, f_b = add_layer(m_a, m_b, weights.phi_x, zeros_a, zeros_b, A, B, PRECISION)
                    f_a = tl.where(f_a + tl.load(weights.phi_x_bias + a)[None, :] > 0, grad_phi_x, 0.0)
                    f_b = tl.where(f_b + tl.load(weights.phi_x_bias + b)[None, :] > 0, grad_phi_x, 0.0)
                    grad_m_a, grad_m_b = add_layer(f_a, f_b, transposed.phi_x, grad_m_a, grad_m_b, A, B, PRECISION)
                # dL/d(logit) / φ_m: in column `hidden` of the next product it meets m = y φ_m
                logit = tl.sum(grad_m_a * y_a, axis=1) + tl.sum(grad_m_b * y_b, axis=1)
                logit = logit[:, None] * gate_log_derivative(phi_m)
                m_a, m_b = tl.where(spare_a, 1.0, y_a * phi_m), tl.where(spare_b, 1.0, y_b * phi_m)
                f_a, f_b = tl.where(spare_a, logit, f_a), tl.where(spare_b, logit, f_b)
                x_aa, x_ab, x_ba, x_bb = add_outer(m_a, m_b, f_a, f_b, x_aa, x_ab, x_ba, x_bb, WIDE, PRECISION)
                logit *= phi_m
                # from here on dL/d(φ_e's second sum)
                y_a = tl.where(y_a > 0, grad_m_a * phi_m + logit * phi_m_a, 0.0)
                y_b = tl.where(y_b > 0, grad_m_b * phi_m + logit * phi_m_b, 0.0)
                phi_m_bias_sum += tl.reshape(logit, (M,))
                s_a, s_b = tl.where(spare_a, 1.0, r_a), tl.where(spare_b, 1.0, r_b)
                e_aa, e_ab, e_ba, e_bb = add_outer(s_a, s_b, y_a, y_b, e_aa, e_ab, e_ba, e_bb, WIDE, PRECISION)
                z_a, z_b = add_layer(y_a, y_b, transposed.phi_e, zeros_a, zeros_b, A, B, PRECISION)
                z_a, z_b = tl.where(r_a > 0, z_a, 0.0), tl.where(r_b > 0, z_b, 0.0)
                pair = tl.arange(0, M)[None, :]
                # rows of sums: BJ senders, then the receivers of the tile, then a and b
                chosen = (kind == pair % BJ) | (kind == BJ + group + pair // BJ)
                chosen = tl.where(chosen, 1.0, tl.zeros((SUMS, M), tl.float32))
                of_norm, of_dot = tl.reshape(norm, (M,))[None, :], tl.reshape(dot, (M,))[None, :]
                chosen = tl.where(kind == BJ + RECEIVERS, of_norm, chosen)
                chosen = tl.where(kind == BJ + RECEIVERS + 1, of_dot, chosen)
                chosen, less = halves(chosen, PRECISION)
                sums_a = product_of_halves(chosen, less, *halves(z_a, PRECISION), sums_a, PRECISION)
                sums_b = product_of_halves(chosen, less, *halves(z_b, PRECISION), sums_b, PRECISION)
                if SCALARS:
                    norm_a, norm_b = tl.load(by_norm + a)[None, :], tl.load(by_norm + b)[None, :]
                    dot_a, dot_b = tl.load(by_dot + a)[None, :], tl.load(by_dot + b)[None, :]
                    of_norm = tl.sum(z_a * norm_a, axis=1) + tl.sum(z_b * norm_b, axis=1)
                    of_dot = tl.sum(z_a * dot_a, axis=1) + tl.sum(z_b * dot_b, axis=1)
                    tl.store(grads.edge_scalars + 2 * place, tl.reshape(of_norm, (BI, BJ)), mask=inside)
                    tl.store(grads.edge_scalars + 2 * place + 1, tl.reshape(of_dot, (BI, BJ)), mask=inside)
            out = grads.shared_v + (share + sender + kind) * C
            senders = (kind < BJ) & (sender + kind < n)
            tl.store(out + a[None, :], sums_a, mask=senders)
            tl.store(out + b[None, :], sums_b, mask=senders)
            sums_a, sums_b = tl.where(kind < BJ, 0.0, sums_a), tl.where(kind < BJ, 0.0, sums_b)
        receiver = first + kind - BJ
        receivers = (kind >= BJ) & (kind < BJ + RECEIVERS) & (receiver < n)
        out = grads.u + (start + receiver) * C
        tl.store(out + a[None, :], sums_a, mask=receivers)
        tl.store(out + b[None, :], sums_b, mask=receivers)
        sums_a = tl.where(kind < BJ + RECEIVERS, 0.0, sums_a)
        sums_b = tl.where(kind < BJ + RECEIVERS, 0.0, sums_b)
    found = grads.parameters + tl.program_id(0).to(tl.int64) * ((2 * C + 3) * C)
    store_parts(found, e_aa, e_ab, e_ba, e_bb, A, B, WIDE)
    store_parts(found + C * C, x_aa, x_ab, x_ba, x_bb, A, B, WIDE)
    last = tl.sum(phi_m_bias_sum, axis=0)
    tl.store(found + (2 * C + 2) * C + a, tl.where(a == 0, last, 0.0))
    tl.store(found + (2 * C + 2) * C + b, tl.zeros((B,), tl.float32))
    scalar = kind - (BJ + RECEIVERS)
    out = found + (2 * C + scalar) * C
    tl.store(out + a[None, :], sums_a, mask=(scalar >= 0) & (scalar < 2))
    tl.store(out + b[None, :], sums_b, mask=(scalar >= 0) & (scalar < 2))


@triton.jit
def _first_layer(
    first_layer: tl.tensor,
    scalar_weights: tl.tensor,
    start: tl.tensor,
    i: tl.tensor,
    j: tl.tensor,
    n: tl.tensor,
    norm: tl.tensor,
    dot: tl.tensor,
    c: tl.tensor,
    C: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
    WIDTH: tl.constexpr,
) -> tl.tensor:
    """Some channels of ReLU(U_i + V_j + a ν_ij + b π_ij)."""
    own = first_layer + (start + i)[:, None] * (2 * C) + c[None, :]
    other = first_layer + (start + j)[:, None] * (2 * C) + C + c[None, :]
    own = tl.load(own, mask=(i < n)[:, None], other=0.0)[:, None, :]
    other = tl.load(other, mask=(j < n)[:, None], other=0.0)[None, :, :]
    of_norm, of_dot = tl.load(scalar_weights + c)[None, None, :], tl.load(scalar_weights + C + c)[None, None, :]
    z = own + other + norm[:, :, None] * of_norm + dot[:, :, None] * of_dot
    return tl.reshape(relu(z), (BI * BJ, WIDTH))
