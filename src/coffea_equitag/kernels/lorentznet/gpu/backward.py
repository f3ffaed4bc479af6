"""The way back through the messages of a block of LorentzNet: computed anew, tile by tile, never stored."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import relu, sigmoid
from ...common.gpu.tf32_split import halves, product_of_halves
from ...common.gpu.tiles import tile_at
from .matrix_parts import add_layer, add_outer, store_parts

__all__ = ["PROGRAMS", "TILES", "edge_slopes_kernel"]

#: Programs at most. Each adds up gradients of the weights over tiles of its own, in order; these sums are then added up
#: in order, so that the number must not depend on the GPU. Two for each multiprocessor of an H200.
PROGRAMS = 264

#: Precision -> receivers and senders worked on at once, rows of sums over either (see there), and warps.
TILES = {"ieee": (2, 8, 32, 8), "tf32x3": (4, 16, 64, 4), "tf32": (4, 16, 64, 4), "bf16": (4, 16, 64, 4)}


# the same code for any number of tiles
@triton.jit(do_not_specialize=["tiles"])
def edge_slopes_kernel(
    first_layer: tl.tensor,
    seen: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    shares: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    tiles: tl.tensor,
    slopes: tl.tensor,
    edge: tl.tensor,
    edge_bias: tl.tensor,
    edge_back: tl.tensor,
    gate: tl.tensor,
    gate_bias: tl.tensor,
    step: tl.tensor,
    step_bias: tl.tensor,
    step_back: tl.tensor,
    totals_slopes: tl.tensor,
    totals_stride: tl.tensor,
    hidden: tl.tensor,
    steps_slopes: tl.tensor,
    own_slopes: tl.tensor,
    other_slopes: tl.tensor,
    scalars_slopes: tl.tensor,
    found: tl.tensor,
    MOVES: tl.constexpr,
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
    first_layer, slopes, edge, gate, step
        As of `edges_kernel`.
    seen : (Q, 2), float32
        ψ(‖x_i − x_j‖²) and ψ(x_i·x_j).
    shares : (J + 1,), int64
        Where each jet's rows of `other_slopes` begin: n for each of its tiles.
    tiles
        How many there are.
    edge_back, step_back : (A + B, A + B)
        The layers the other way, outputs first; φ_x's times its last layer.
    totals_slopes : (N, hidden) within rows of `totals_stride`
        Of Σ_j m_ij; hidden < A + B.
    steps_slopes : (Q,), float32
        Of φ_x, 0 for i = j, if the block moves the vectors.
    own_slopes : (N, A + B)
        Out: of each node's part of the first layer as receiver.
    other_slopes : (Σ n · tiles, A + B)
        Out: as sender, for the receivers of each tile by themselves.
    scalars_slopes : (Q, 2), float32
        Out, with SCALARS: of ψ(‖x_i − x_j‖²) and ψ(x_i·x_j).
    found : (programs, 2(A + B) + 3, A + B)
        Out: of the second layer of φ_e and, without its last layer, the first of φ_x, inputs first. Row `hidden` of
        each holds the biases', column `hidden` of the second the gate's. Then of a, of b, and of the gate's bias.
    """
    C: tl.constexpr = A + B
    M: tl.constexpr = BI * BJ
    # matrix units want 64 rows
    WIDE: tl.constexpr = 64 // B
    a, b = tl.arange(0, A), A + tl.arange(0, B)
    spare_a, spare_b = (a == hidden)[None, :], (b == hidden)[None, :]
    kind = tl.arange(0, SUMS)[:, None]
    shift = tl.load(gate_bias)
    zeros_a, zeros_b = tl.zeros((M, A), tl.float32), tl.zeros((M, B), tl.float32)
    edge_aa, edge_ab = tl.zeros((A, A), tl.float32), tl.zeros((A, B), tl.float32)
    # turned: matrix units want many rows
    edge_ba, edge_bb = tl.zeros((A, B), tl.float32), tl.zeros((B * WIDE, B), tl.float32)
    step_aa, step_ab = tl.zeros((A, A), tl.float32), tl.zeros((A, B), tl.float32)
    step_ba, step_bb = tl.zeros((A, B), tl.float32), tl.zeros((B * WIDE, B), tl.float32)
    sums_a, sums_b = tl.zeros((SUMS, A), tl.float32), tl.zeros((SUMS, B), tl.float32)
    gate_sum = tl.zeros((M,), tl.float32)
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        jet, start, n, first = tile_at(tile, offsets, tile_jet, tile_first)
        block = tl.load(pairs + jet)
        share = tl.load(shares + jet) + (first // RECEIVERS).to(tl.int64) * n
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            real_j = j < n
            for group in range(0, tl.minimum(RECEIVERS, n - first), BI):
                i = first + group + tl.arange(0, BI)
                real_i = i < n
                inside = real_i[:, None] & real_j[None, :]
                place = block + i.to(tl.int64)[:, None] * n + j[None, :]
                norm = tl.load(seen + 2 * place, mask=inside, other=0.0)
                dot = tl.load(seen + 2 * place + 1, mask=inside, other=0.0)
                r_a = _hidden(first_layer, slopes, start, i, j, n, norm, dot, a, C, BI, BJ, A)
                r_b = _hidden(first_layer, slopes, start, i, j, n, norm, dot, b, C, BI, BJ, B)
                e_a, e_b = add_layer(r_a, r_b, edge, zeros_a, zeros_b, A, B, PRECISION)
                e_a = relu(e_a + tl.load(edge_bias + a)[None, :])
                e_b = relu(e_b + tl.load(edge_bias + b)[None, :])
                gate_a, gate_b = tl.load(gate + a)[None, :], tl.load(gate + b)[None, :]
                weight = sigmoid(tl.sum(e_a * gate_a, axis=1) + tl.sum(e_b * gate_b, axis=1) + shift)
                message = inside & (i[:, None] != j[None, :])
                weight = tl.where(tl.reshape(message, (M,)), weight, 0.0)[:, None]
                above = totals_slopes + (start + i)[:, None] * totals_stride
                above_a = tl.load(above + a[None, :], mask=real_i[:, None] & (a < hidden)[None, :], other=0.0)
                above_b = tl.load(above + b[None, :], mask=real_i[:, None] & (b < hidden)[None, :], other=0.0)
                m_slopes_a = tl.reshape(tl.broadcast_to(above_a[:, None, :], (BI, BJ, A)), (M, A))
                m_slopes_b = tl.reshape(tl.broadcast_to(above_b[:, None, :], (BI, BJ, B)), (M, B))
                f_a, f_b = zeros_a, zeros_b
                if MOVES:
                    push = tl.load(steps_slopes + place, mask=message, other=0.0)
                    push = tl.reshape(push, (M,))[:, None]
                    m_a, m_b = e_a * weight, e_b * weight
                    f_a, f_b = add_layer(m_a, m_b, step, zeros_a, zeros_b, A, B, PRECISION)
                    f_a = tl.where(f_a + tl.load(step_bias + a)[None, :] > 0, push, 0.0)
                    f_b = tl.where(f_b + tl.load(step_bias + b)[None, :] > 0, push, 0.0)
                    m_slopes_a, m_slopes_b = add_layer(f_a, f_b, step_back, m_slopes_a, m_slopes_b, A, B, PRECISION)
                logit = tl.sum(m_slopes_a * e_a, axis=1) + tl.sum(m_slopes_b * e_b, axis=1)
                logit = logit[:, None] * (1.0 - weight)
                m_a, m_b = tl.where(spare_a, 1.0, e_a * weight), tl.where(spare_b, 1.0, e_b * weight)
                f_a, f_b = tl.where(spare_a, logit, f_a), tl.where(spare_b, logit, f_b)
                step_aa, step_ab, step_ba, step_bb = add_outer(
                    m_a, m_b, f_a, f_b, step_aa, step_ab, step_ba, step_bb, WIDE, PRECISION
                )
                logit *= weight
                e_a = tl.where(e_a > 0, m_slopes_a * weight + logit * gate_a, 0.0)
                e_b = tl.where(e_b > 0, m_slopes_b * weight + logit * gate_b, 0.0)
                gate_sum += tl.reshape(logit, (M,))
                s_a, s_b = tl.where(spare_a, 1.0, r_a), tl.where(spare_b, 1.0, r_b)
                edge_aa, edge_ab, edge_ba, edge_bb = add_outer(
                    s_a, s_b, e_a, e_b, edge_aa, edge_ab, edge_ba, edge_bb, WIDE, PRECISION
                )
                z_a, z_b = add_layer(e_a, e_b, edge_back, zeros_a, zeros_b, A, B, PRECISION)
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
                    norm_a, norm_b = tl.load(slopes + a)[None, :], tl.load(slopes + b)[None, :]
                    dot_a, dot_b = tl.load(slopes + C + a)[None, :], tl.load(slopes + C + b)[None, :]
                    of_norm = tl.sum(z_a * norm_a, axis=1) + tl.sum(z_b * norm_b, axis=1)
                    of_dot = tl.sum(z_a * dot_a, axis=1) + tl.sum(z_b * dot_b, axis=1)
                    tl.store(scalars_slopes + 2 * place, tl.reshape(of_norm, (BI, BJ)), mask=inside)
                    tl.store(scalars_slopes + 2 * place + 1, tl.reshape(of_dot, (BI, BJ)), mask=inside)
            out = other_slopes + (share + sender + kind) * C
            senders = (kind < BJ) & (sender + kind < n)
            tl.store(out + a[None, :], sums_a, mask=senders)
            tl.store(out + b[None, :], sums_b, mask=senders)
            sums_a, sums_b = tl.where(kind < BJ, 0.0, sums_a), tl.where(kind < BJ, 0.0, sums_b)
        receiver = first + kind - BJ
        receivers = (kind >= BJ) & (kind < BJ + RECEIVERS) & (receiver < n)
        out = own_slopes + (start + receiver) * C
        tl.store(out + a[None, :], sums_a, mask=receivers)
        tl.store(out + b[None, :], sums_b, mask=receivers)
        sums_a = tl.where(kind < BJ + RECEIVERS, 0.0, sums_a)
        sums_b = tl.where(kind < BJ + RECEIVERS, 0.0, sums_b)
    found += tl.program_id(0).to(tl.int64) * ((2 * C + 3) * C)
    store_parts(found, edge_aa, edge_ab, edge_ba, edge_bb, A, B, WIDE)
    store_parts(found + C * C, step_aa, step_ab, step_ba, step_bb, A, B, WIDE)
    last = tl.sum(gate_sum, axis=0)
    tl.store(found + (2 * C + 2) * C + a, tl.where(a == 0, last, 0.0))
    tl.store(found + (2 * C + 2) * C + b, tl.zeros((B,), tl.float32))
    scalar = kind - (BJ + RECEIVERS)
    out = found + (2 * C + scalar) * C
    tl.store(out + a[None, :], sums_a, mask=(scalar >= 0) & (scalar < 2))
    tl.store(out + b[None, :], sums_b, mask=(scalar >= 0) & (scalar < 2))


@triton.jit
def _hidden(
    first_layer: tl.tensor,
    slopes: tl.tensor,
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
    """Some channels of the first edge layer, after its ReLU."""
    own = first_layer + (start + i)[:, None] * (2 * C) + c[None, :]
    other = first_layer + (start + j)[:, None] * (2 * C) + C + c[None, :]
    own = tl.load(own, mask=(i < n)[:, None], other=0.0)[:, None, :]
    other = tl.load(other, mask=(j < n)[:, None], other=0.0)[None, :, :]
    of_norm, of_dot = tl.load(slopes + c)[None, None, :], tl.load(slopes + C + c)[None, None, :]
    z = own + other + norm[:, :, None] * of_norm + dot[:, :, None] * of_dot
    return tl.reshape(relu(z), (BI * BJ, WIDTH))
