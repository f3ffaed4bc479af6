"""Messages between all pairs of a jet's nodes in a block of LorentzNet, and what is summed of them."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import product, psi, relu, sigmoid

__all__ = ["TILES", "edges_kernel"]

#: Precision -> receivers and senders worked on at once, and warps. 64 rows are what Hopper's matrix units want, a warp
#: each for one receiver keeps the sums in few registers; without matrix units larger tiles leave the registers.
TILES = {"ieee": (2, 8, 4), "tf32x3": (4, 16, 4), "tf32": (4, 16, 4), "bf16": (4, 16, 4)}


@triton.jit
def edges_kernel(
    first_layer: tl.tensor,
    gram: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    slopes: tl.tensor,
    edge: tl.tensor,
    edge_bias: tl.tensor,
    gate: tl.tensor,
    gate_bias: tl.tensor,
    step: tl.tensor,
    step_bias: tl.tensor,
    step_out: tl.tensor,
    totals: tl.tensor,
    totals_stride: tl.tensor,
    steps: tl.tensor,
    pushed: tl.tensor,
    MOVES: tl.constexpr,
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
        Each node's part of the first edge layer as receiver and as sender, BatchNorm in it.
    gram : (Q,), float64
        x_i·x_j.
    slopes : (2, A + B)
        The first layer's columns for ψ(‖x_i − x_j‖²) and ψ(x_i·x_j).
    edge, step : (A + B, A + B)
        The second layer of φ_e, the first of φ_x, inputs first.
    gate, step_out : (A + B,)
        φ_m, and the last layer of φ_x.
    totals : (N, A + B) within rows of `totals_stride`
        Out: Σ_j m_ij.
    steps : (Q,), float32; pushed : (N,), float64
        Out, if the block moves the vectors: φ_x of each message, 0 for i = j, and its sum over j.
    """
    C: tl.constexpr = A + B
    M: tl.constexpr = BI * BJ
    jet = tl.load(tile_jet + tl.program_id(0))
    start = tl.load(offsets + jet)
    n = (tl.load(offsets + jet + 1) - start).to(tl.int32)
    block = tl.load(pairs + jet)
    a, b = tl.arange(0, A), A + tl.arange(0, B)
    shift = tl.load(gate_bias)
    edge_aa, edge_ab, edge_ba, edge_bb = _quarters(edge, A, B)
    if MOVES:
        step_aa, step_ab, step_ba, step_bb = _quarters(step, A, B)
    zeros_a, zeros_b = tl.zeros((M, A), tl.float32), tl.zeros((M, B), tl.float32)
    begin = tl.load(tile_first + tl.program_id(0))
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        real_i = i < n
        own = first_layer + (start + i)[:, None] * (2 * C)
        own_a = tl.load(own + a[None, :], mask=real_i[:, None], other=0.0)[:, None, :]
        own_b = tl.load(own + b[None, :], mask=real_i[:, None], other=0.0)[:, None, :]
        rows = gram + block + i.to(tl.int64) * n
        square_i = tl.load(rows + i, mask=real_i, other=0.0)
        total_a, total_b = tl.zeros((BI, A), tl.float32), tl.zeros((BI, B), tl.float32)
        force = tl.zeros((BI,), tl.float64)
        for sender in range(0, n, BJ):
            j = sender + tl.arange(0, BJ)
            real_j = j < n
            other = first_layer + (start + j)[:, None] * (2 * C) + C
            other_a = tl.load(other + a[None, :], mask=real_j[:, None], other=0.0)[None, :, :]
            other_b = tl.load(other + b[None, :], mask=real_j[:, None], other=0.0)[None, :, :]
            square_j = tl.load(gram + block + j.to(tl.int64) * (n + 1), mask=real_j, other=0.0)
            inside = real_i[:, None] & real_j[None, :]
            dot = tl.load(rows[:, None] + j[None, :], mask=inside, other=0.0)
            norm = psi((square_i[:, None] + square_j[None, :] - 2.0 * dot).to(tl.float32))[:, :, None]
            dot = psi(dot.to(tl.float32))[:, :, None]
            norm_a, norm_b = tl.load(slopes + a)[None, None, :], tl.load(slopes + b)[None, None, :]
            dot_a, dot_b = tl.load(slopes + C + a)[None, None, :], tl.load(slopes + C + b)[None, None, :]
            m_a = tl.reshape(relu(own_a + other_a + norm * norm_a + dot * dot_a), (M, A))
            m_b = tl.reshape(relu(own_b + other_b + norm * norm_b + dot * dot_b), (M, B))
            e_a = product(m_b, edge_ba, product(m_a, edge_aa, zeros_a, PRECISION), PRECISION)
            e_b = product(m_b, edge_bb, product(m_a, edge_ab, zeros_b, PRECISION), PRECISION)
            bias_a, bias_b = tl.load(edge_bias + a)[None, :], tl.load(edge_bias + b)[None, :]
            e_a, e_b = relu(e_a + bias_a), relu(e_b + bias_b)
            gate_a, gate_b = tl.load(gate + a)[None, :], tl.load(gate + b)[None, :]
            weight = sigmoid(tl.sum(e_a * gate_a, axis=1) + tl.sum(e_b * gate_b, axis=1) + shift)[:, None]
            message = tl.reshape(inside & (i[:, None] != j[None, :]), (M,))
            e_a = tl.where(message[:, None], e_a * weight, 0.0)
            e_b = tl.where(message[:, None], e_b * weight, 0.0)
            total_a += tl.sum(tl.reshape(e_a, (BI, BJ, A)), axis=1)
            total_b += tl.sum(tl.reshape(e_b, (BI, BJ, B)), axis=1)
            if MOVES:
                f_a = product(e_b, step_ba, product(e_a, step_aa, zeros_a, PRECISION), PRECISION)
                f_b = product(e_b, step_bb, product(e_a, step_ab, zeros_b, PRECISION), PRECISION)
                rise_a, rise_b = tl.load(step_bias + a)[None, :], tl.load(step_bias + b)[None, :]
                f_a, f_b = relu(f_a + rise_a), relu(f_b + rise_b)
                last_a, last_b = tl.load(step_out + a)[None, :], tl.load(step_out + b)[None, :]
                push = tl.sum(f_a * last_a, axis=1) + tl.sum(f_b * last_b, axis=1)
                push = tl.reshape(tl.where(message, push, 0.0), (BI, BJ))
                force += tl.sum(push.to(tl.float64), axis=1)
                tl.store(steps + block + i.to(tl.int64)[:, None] * n + j[None, :], push, mask=inside)
        out = totals + (start + i)[:, None] * totals_stride
        tl.store(out + a[None, :], total_a, mask=real_i[:, None])
        tl.store(out + b[None, :], total_b, mask=real_i[:, None])
        if MOVES:
            tl.store(pushed + start + i, force, mask=real_i)


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
