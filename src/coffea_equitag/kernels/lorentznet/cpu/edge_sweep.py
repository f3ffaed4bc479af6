"""LorentzNet's edges jet by jet, for training: a sweep forth, and one back that computes the edges anew.

Forth, only node-sized sums, φ_x of each pair and the bits of its ReLU are kept. Back, gradients of weights are summed
in single precision over some thousand pairs, and these sums in double precision over a group of jets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8, U2, U8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from ...common.cpu.elementary import sigmoid
from .edge_chunks import (
    CHUNK,
    add_columns,
    add_messages,
    add_weighted,
    back_through_edges,
    back_through_gates,
    hidden_rows,
    linear_rows,
    list_pairs,
    make_rows,
    message_slopes,
    pair_scalars,
    spread_rows,
    turn_bits,
)
from .edge_scalars import edge_scalars
from .gram_step import move_back, move_forth

__all__ = ["EdgeSlopes", "EdgeWeights", "Jets", "sweep_back", "sweep_forth"]


#: Pairs whose gradients are summed in single precision.
_FLUSH = 8192


class EdgeWeights(NamedTuple):
    """One block's parameters of edges in float32; C channels in whole vectors. Matrices are (in, out), (C, C)."""

    scale: F8  # (hidden,): U_i and V_j are multiplied with it
    shift: F8  # (hidden,): subtracted from U_i before
    bias: F8  # (hidden,): added to U_i after
    slopes: F4  # (2, C): a and b, scaled
    edge: F4
    edge_bias: F4
    edge_back: F4  # the same matrix the other way
    gate: F4
    gate_bias: np.float32
    step: F4
    step_bias: F4
    step_out: F4
    step_back: F4  # φ_x's matrix the other way, times its last layer
    zeros: F4  # (C,)


class Jets(NamedTuple):
    """A batch, and what of it the sweep back needs."""

    offsets: I8
    squares: I8  # n² before each jet
    groups: I8  # the first jet of each group
    u: F4  # (N, hidden)
    v: F4
    gram: F8  # (Q,)
    steps: F4  # (Q,): φ_x, in the square layout
    bits: U2  # of φ_x's hidden layer, C / 16 words a pair and four more


class EdgeSlopes(NamedTuple):
    """What the sweep back gives; a leading G is one entry a group."""

    u: F4  # (N, hidden), of the scaled U
    v: F4
    scalars: F4  # (Q, 2)
    gram: F8  # (Q,): comes with slopes of S G Sᵀ, leaves with those of G
    edge: F8  # (G, C, C): output by input
    step: F8  # (G, C, C): input by output, without the last layer's factor
    vectors: F8  # (G, 5, C): of a, b, the second layer's bias, the gate, and φ_x's bias without that factor
    gate_bias: F8  # (G,)


@njit
def sweep_forth(
    weights: EdgeWeights,
    jets: Jets,
    moves: bool,
    c_weight: float,
    totals: F4,
    moved: F8,
    first: int,
    last: int,
) -> None:
    """Sums of messages (N, hidden) and moved Gram matrices (Q,) of groups ``first:last``; fills steps and bits."""
    channels, hidden = len(weights.zeros), jets.u.shape[1]
    words = channels // 16
    receiver, sender = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    gate, step = np.zeros(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    rows, messages = aligned_rows(CHUNK, channels), aligned_rows(CHUNK, channels)
    bits, more_bits = np.zeros(CHUNK * words + 4, np.uint16), np.zeros(CHUNK * words + 4, np.uint16)
    for jet in range(jets.groups[first], jets.groups[last]):
        start, square = jets.offsets[jet], jets.squares[jet]
        n = jets.offsets[jet + 1] - start
        gram = jets.gram[square : square + n * n].reshape(n, n)
        from_i, from_j = aligned_rows(n, channels), aligned_rows(n, channels)
        _normalise(weights, jets.u, jets.v, start, n, from_i, from_j)
        psi_norm, psi_product = np.empty((n, n), np.float32), np.empty((n, n), np.float32)
        edge_scalars(gram, psi_norm, psi_product)
        sums = aligned_rows(n, channels)
        steps = jets.steps[square : square + n * n]
        i, j, pair, pairs = 0, 1, 0, n * (n - 1)
        while pair < pairs:
            count = min(pairs - pair, CHUNK)
            i, j = list_pairs(i, j, n, count, receiver, sender)
            make_rows(from_i, from_j, weights.slopes, psi_norm, psi_product, receiver, sender, count, rows, bits)
            _fill(gate, weights.gate_bias)
            hidden_rows(rows, bits, weights.edge, weights.edge_bias, count, hidden, messages, more_bits, 0,
                        weights.gate, gate)  # fmt: skip
            _sigmoids(gate)
            add_messages(messages, gate, receiver, count, sums)
            if moves:
                _fill(step, np.float32(0))
                hidden_rows(messages, more_bits, weights.step, weights.step_bias, count, hidden, rows, jets.bits,
                            (square - start + pair) * words, weights.step_out, step)  # fmt: skip
                for row in range(count):
                    steps[receiver[row] * n + sender[row]] = step[row]
            pair += count
        for node in range(n):
            for c in range(hidden):
                totals[start + node, c] = sums[node, c]
        if moves:
            move_forth(steps, gram, c_weight, moved[square : square + n * n])


@njit
def sweep_back(
    weights: EdgeWeights,
    jets: Jets,
    moves: bool,
    c_weight: float,
    totals_slopes: F4,
    out: EdgeSlopes,
    first: int,
    last: int,
) -> None:
    """Slopes of groups ``first:last`` from those of the sums of messages (N, hidden) and of the moved matrices."""
    channels, hidden = len(weights.zeros), jets.u.shape[1]
    words = channels // 16
    receiver, sender = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    gate, ones = np.zeros(CHUNK, np.float32), np.ones(CHUNK, np.float32)
    step, logit = np.zeros(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    scalars, scalars_slopes = np.empty((CHUNK, 2), np.float32), np.zeros((CHUNK, 2), np.float32)
    rows, messages = aligned_rows(CHUNK, channels), aligned_rows(CHUNK, channels)
    slopes, spread = aligned_rows(CHUNK, channels), aligned_rows(CHUNK, channels)
    edge, matrix = aligned_rows(channels, channels), aligned_rows(channels, channels)
    vectors = aligned_rows(5, channels)
    bits, more_bits = np.zeros(CHUNK * words + 4, np.uint16), np.zeros(CHUNK * words + 4, np.uint16)
    planes, columns, chosen = np.zeros(64, np.uint16), np.zeros(channels, np.uint64), np.zeros(1, np.uint64)
    for group in range(first, last):
        fresh = 0
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, square = jets.offsets[jet], jets.squares[jet]
            n = jets.offsets[jet + 1] - start
            gram = jets.gram[square : square + n * n].reshape(n, n)
            from_i, from_j = aligned_rows(n, channels), aligned_rows(n, channels)
            _normalise(weights, jets.u, jets.v, start, n, from_i, from_j)
            psi_norm, psi_product = np.empty((n, n), np.float32), np.empty((n, n), np.float32)
            edge_scalars(gram, psi_norm, psi_product)
            step_slopes = np.empty(n * n, np.float32)
            if moves:
                move_back(jets.steps[square : square + n * n], gram, c_weight, out.gram[square : square + n * n],
                          step_slopes)  # fmt: skip
            u_slopes, v_slopes = aligned_rows(n, channels), aligned_rows(n, channels)
            sums_slopes = aligned_rows(n, channels)
            for node in range(n):
                for c in range(hidden):
                    sums_slopes[node, c] = totals_slopes[start + node, c]
            i, j, pair, pairs = 0, 1, 0, n * (n - 1)
            while pair < pairs:
                count = min(pairs - pair, CHUNK)
                i, j = list_pairs(i, j, n, count, receiver, sender)
                make_rows(from_i, from_j, weights.slopes, psi_norm, psi_product, receiver, sender, count, rows, bits)
                pair_scalars(psi_norm, psi_product, receiver, sender, count, scalars)
                _fill(gate, weights.gate_bias)
                hidden_rows(rows, bits, weights.edge, weights.edge_bias, count, hidden, messages, more_bits, 0,
                            weights.gate, gate)  # fmt: skip
                _sigmoids(gate)
                if moves:
                    for row in range(count):
                        step[row] = step_slopes[receiver[row] * n + sender[row]]
                message_slopes(
                    jets.bits, (square - start + pair) * words, words if moves else 0, step, weights.step_back,
                    sums_slopes, receiver, count, hidden, slopes, messages, logit,
                )  # fmt: skip
                for row in range(count):
                    logit[row] *= gate[row] * (1 - gate[row])
                    out.gate_bias[group] += logit[row]
                _choose(0, count, chosen)
                add_weighted(chosen, logit, 0, 1, messages, hidden, vectors, 3)
                back_through_gates(slopes, messages, more_bits, gate, logit, weights.gate, count)
                turn_bits(more_bits, count, words, planes, columns)
                add_weighted(chosen, ones, 0, 1, slopes, hidden, vectors, 2)
                add_columns(columns, slopes, rows, hidden, edge)
                if moves:
                    spread_rows(jets.bits, (square - start + pair) * words, step, count, spread)
                    add_columns(columns, messages, spread, hidden, matrix)
                    add_weighted(chosen, ones, 0, 1, spread, hidden, vectors, 4)
                linear_rows(slopes, more_bits, weights.edge_back, weights.zeros, count, hidden, spread)
                back_through_edges(spread, bits, weights.slopes, sender, count, v_slopes, scalars_slopes)
                add_weighted(chosen, scalars, 0, 2, spread, hidden, vectors, 0)
                add_weighted(chosen, scalars, 1, 2, spread, hidden, vectors, 1)
                begin = 0
                for row in range(1, count + 1):
                    if row == count or receiver[row] != receiver[begin]:
                        _choose(begin, row, chosen)
                        add_weighted(chosen, ones, 0, 1, spread, hidden, u_slopes, receiver[begin])
                        begin = row
                for row in range(count):
                    at = square + receiver[row] * n + sender[row]
                    out.scalars[at, 0], out.scalars[at, 1] = scalars_slopes[row, 0], scalars_slopes[row, 1]
                pair += count
                fresh += count
                if fresh >= _FLUSH:
                    _flush(edge, matrix, vectors, out, group)
                    fresh = 0
            for node in range(n):
                for c in range(hidden):
                    out.u[start + node, c], out.v[start + node, c] = u_slopes[node, c], v_slopes[node, c]
        _flush(edge, matrix, vectors, out, group)


@inner
def _fill(values: F4, number: np.float32) -> None:
    for row in range(len(values)):
        values[row] = number


@inner
def _sigmoids(values: F4) -> None:
    for row in range(len(values)):
        values[row] = sigmoid(values[row])


@inner
def _choose(begin: int, end: int, chosen: U8) -> None:
    """Set the bits ``begin:end`` and no others."""
    one = np.uint64(0xFFFFFFFFFFFFFFFF)
    chosen[0] = (one >> np.uint64(64 - (end - begin))) << np.uint64(begin)


@inner
def _normalise(weights: EdgeWeights, u: F4, v: F4, start: int, n: int, from_i: F4, from_j: F4) -> None:
    for node in range(n):
        for c in range(u.shape[1]):
            from_i[node, c] = (u[start + node, c] - weights.shift[c]) * weights.scale[c] + weights.bias[c]
            from_j[node, c] = v[start + node, c] * weights.scale[c]


@inner
def _flush(edge: F4, matrix: F4, vectors: F4, out: EdgeSlopes, group: int) -> None:
    channels = edge.shape[1]
    for k in range(channels):
        for c in range(channels):
            out.edge[group, k, c] += edge[k, c]
            out.step[group, k, c] += matrix[k, c]
            edge[k, c] = matrix[k, c] = 0
    for k in range(len(vectors)):
        for c in range(channels):
            out.vectors[group, k, c] += vectors[k, c]
            vectors[k, c] = 0
