"""LorentzNet's edges jet by jet, for training: a sweep forth, and one back that computes the edges anew.

Forth, only node-sized sums, φ_x of each pair and the signs before its ReLU are kept. Back, gradients of weights are
summed in single precision over some thousand pairs, and these sums in double precision over a group of jets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...compiled import njit
from .backward_rows import MASKS, MASKS_NARROW
from .edge_chunks import (
    add_messages,
    add_outer,
    add_weighted,
    back_through_edges,
    back_through_gates,
    keep_masks,
    list_pairs,
    make_rows,
    messages_slopes,
    spread_masks,
)
from .elementary import sigmoid
from .gram_step import move_back, move_forth
from .lorentznet import _edge_scalars, _layer
from .shapes import WIDE_BLOCK

__all__ = ["EdgeSlopes", "EdgeWeights", "Jets", "sweep_back", "sweep_forth"]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]
_U2 = np.ndarray[Any, np.dtype[np.uint16]]

#: Pairs worked on at once: whole tiles, and small enough for the caches.
_CHUNK = 60
#: Pairs whose gradients are summed in single precision.
_FLUSH = 2048
_RELU, _LINEAR = np.float32(0.0), np.float32(-np.inf)


class EdgeWeights(NamedTuple):
    """One block's parameters of edges in float32, C padded channels; matrices as in `LorentzNetWeights`."""

    scale: _F8  # (hidden,): U_i and V_j are multiplied with it
    shift: _F8  # (hidden,): subtracted from U_i before
    bias: _F8  # (hidden,): added to U_i after
    slopes: _F4  # (2, C): a and b, scaled
    edge: _F4
    edge_bias: _F4
    edge_back: _F4  # the same matrix the other way
    gate: _F4
    gate_bias: np.float32
    step: _F4
    step_bias: _F4
    step_out: _F4
    step_back: _F4  # φ_x's matrix the other way, times its last layer
    zeros: _F4  # (C,)


class Jets(NamedTuple):
    """A batch, and what of it the sweep back needs."""

    offsets: _I8
    squares: _I8  # n² before each jet
    groups: _I8  # the first jet of each group
    u: _F4  # (N, hidden)
    v: _F4
    gram: _F8  # (Q,)
    steps: _F4  # (Q,): φ_x, in the square layout
    masks: _U2  # signs before φ_x's ReLU, pair after pair


class EdgeSlopes(NamedTuple):
    """What the sweep back gives; a leading G is one entry a group."""

    u: _F4  # (N, hidden), of the scaled U
    v: _F4
    scalars: _F4  # (Q, 2)
    gram: _F8  # (Q,): comes with slopes of S G Sᵀ, leaves with those of G
    edge: _F8  # (G, C, C): input by output
    step: _F8  # (G, C, C): output by input, without the last layer's factor
    vectors: _F8  # (G, 5, C): of a, b, the second layer's bias, the gate, and φ_x's bias without that factor
    gate_bias: _F8  # (G,)


@njit
def sweep_forth(
    weights: EdgeWeights,
    jets: Jets,
    moves: bool,
    keeps: bool,
    c_weight: float,
    totals: _F4,
    moved: _F8,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    """Sums of messages (N, hidden) and moved Gram matrices (Q,) of groups ``first:last``; fills steps and masks."""
    channels, hidden, block = len(weights.zeros), jets.u.shape[1], weights.edge.shape[-1]
    words = channels // block * _words(block)
    receiver, sender = np.empty(_CHUNK, np.int64), np.empty(_CHUNK, np.int64)
    gate, step, scalars = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32), np.empty((_CHUNK, 2), np.float32)
    rows, messages = np.zeros((_CHUNK, channels), np.float32), np.zeros((_CHUNK, channels), np.float32)
    for jet in range(jets.groups[first], jets.groups[last]):
        start, square = jets.offsets[jet], jets.squares[jet]
        n = jets.offsets[jet + 1] - start
        gram = jets.gram[square : square + n * n].reshape(n, n)
        from_i, from_j = _normalised(weights, jets.u, jets.v, start, n, channels)
        psi_norm, psi_product = np.empty((n, n), np.float32), np.empty((n, n), np.float32)
        _edge_scalars(gram, psi_norm, psi_product)
        sums = np.zeros((n, channels), np.float32)
        steps = jets.steps[square : square + n * n]
        i, j, pair, pairs = 0, 1, 0, n * (n - 1)
        while pair < pairs:
            count = min(pairs - pair, _CHUNK)
            i, j = list_pairs(i, j, n, count, receiver, sender)
            make_rows(from_i, from_j, weights.slopes, psi_norm, psi_product, receiver, sender, count, block, scalars,
                      rows)  # fmt: skip
            gate[:] = weights.gate_bias
            _layer(rows, 0, weights.edge, 0, hidden, weights.edge_bias, 0, _RELU, messages, count, weights.gate, 0,
                   gate)  # fmt: skip
            for row in range(_CHUNK):
                gate[row] = sigmoid(gate[row])
            add_messages(messages, gate, receiver, count, block, sums)
            if moves:
                step[:] = 0
                _layer(messages, 0, weights.step, 0, hidden, weights.step_bias, 0, _RELU, rows, count,
                       weights.step_out, 0, step)  # fmt: skip
                for row in range(count):
                    steps[receiver[row] * n + sender[row]] = step[row]
                if keeps:
                    keep_masks(rows, count, block, jets.masks, (square - start + pair) * words)
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
    totals_slopes: _F4,
    out: EdgeSlopes,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    """Slopes of groups ``first:last`` from those of the sums of messages (N, hidden) and of the moved matrices."""
    channels, hidden, block = len(weights.zeros), jets.u.shape[1], weights.edge.shape[-1]
    words = channels // block * _words(block)
    receiver, sender = np.empty(_CHUNK, np.int64), np.empty(_CHUNK, np.int64)
    gate, unused = np.empty(_CHUNK, np.float32), np.zeros(_CHUNK, np.float32)
    step, logit, ones = np.zeros(_CHUNK, np.float32), np.empty(_CHUNK, np.float32), np.ones(_CHUNK, np.float32)
    scalars, scalars_slopes = np.empty((_CHUNK, 2), np.float32), np.zeros((_CHUNK, 2), np.float32)
    rows, messages = np.zeros((_CHUNK, channels), np.float32), np.zeros((_CHUNK, channels), np.float32)
    slopes, spread = np.zeros((_CHUNK, channels), np.float32), np.zeros((_CHUNK, channels), np.float32)
    edge, matrix = np.zeros((channels, channels), np.float32), np.zeros((channels, channels), np.float32)
    vectors = np.zeros((5, channels), np.float32)
    for group in range(first, last):
        fresh = 0
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, square = jets.offsets[jet], jets.squares[jet]
            n = jets.offsets[jet + 1] - start
            gram = jets.gram[square : square + n * n].reshape(n, n)
            from_i, from_j = _normalised(weights, jets.u, jets.v, start, n, channels)
            psi_norm, psi_product = np.empty((n, n), np.float32), np.empty((n, n), np.float32)
            _edge_scalars(gram, psi_norm, psi_product)
            step_slopes = np.empty(n * n, np.float32)
            if moves:
                move_back(jets.steps[square : square + n * n], gram, c_weight, out.gram[square : square + n * n],
                          step_slopes)  # fmt: skip
            u_slopes, v_slopes = np.zeros((n, channels), np.float32), np.zeros((n, channels), np.float32)
            sums_slopes = np.zeros((n, channels), np.float32)
            for node in range(n):
                for c in range(hidden):
                    sums_slopes[node, c] = totals_slopes[start + node, c]
            i, j, pair, pairs = 0, 1, 0, n * (n - 1)
            while pair < pairs:
                count = min(pairs - pair, _CHUNK)
                i, j = list_pairs(i, j, n, count, receiver, sender)
                make_rows(from_i, from_j, weights.slopes, psi_norm, psi_product, receiver, sender, count, block,
                          scalars, rows)  # fmt: skip
                gate[:] = weights.gate_bias
                _layer(rows, 0, weights.edge, 0, hidden, weights.edge_bias, 0, _RELU, messages, count, weights.gate,
                       0, gate)  # fmt: skip
                for row in range(_CHUNK):
                    gate[row] = sigmoid(gate[row])
                if moves:
                    for row in range(count):
                        step[row] = step_slopes[receiver[row] * n + sender[row]]
                    spread_masks(jets.masks, (square - start + pair) * words, step, count, block, spread)
                    _layer(spread, 0, weights.step_back, 0, hidden, weights.zeros, 0, _LINEAR, slopes, count,
                           weights.zeros, 0, unused)  # fmt: skip
                else:
                    slopes[:] = 0
                messages_slopes(slopes, sums_slopes, messages, receiver, count, block, logit)
                for row in range(count):
                    logit[row] *= gate[row] * (1 - gate[row])
                    out.gate_bias[group] += logit[row]
                add_weighted(logit, 0, 1, messages, 0, count, block, vectors, 3)
                back_through_gates(slopes, messages, gate, logit, weights.gate, count, block)
                if moves:
                    add_outer(spread, messages, count, block, matrix)
                    add_weighted(ones, 0, 1, spread, 0, count, block, vectors, 4)
                add_weighted(ones, 0, 1, slopes, 0, count, block, vectors, 2)
                add_outer(rows, slopes, count, block, edge)
                _layer(slopes, 0, weights.edge_back, 0, hidden, weights.zeros, 0, _LINEAR, spread, count,
                       weights.zeros, 0, unused)  # fmt: skip
                back_through_edges(spread, rows, weights.slopes, sender, count, block, v_slopes, scalars_slopes)
                add_weighted(scalars, 0, 2, spread, 0, count, block, vectors, 0)
                add_weighted(scalars, 1, 2, spread, 0, count, block, vectors, 1)
                begin = 0
                for row in range(1, count + 1):
                    if row == count or receiver[row] != receiver[begin]:
                        add_weighted(ones, 0, 1, spread, begin, row - begin, block, u_slopes, receiver[begin])
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


@njit
def _words(block: int) -> int:  # pragma: no cover
    return MASKS if block == WIDE_BLOCK else MASKS_NARROW


@njit
def _normalised(
    weights: EdgeWeights, u: _F4, v: _F4, start: int, n: int, channels: int
) -> tuple[_F4, _F4]:  # pragma: no cover
    from_i, from_j = np.zeros((n, channels), np.float32), np.zeros((n, channels), np.float32)
    for node in range(n):
        for c in range(u.shape[1]):
            from_i[node, c] = (u[start + node, c] - weights.shift[c]) * weights.scale[c] + weights.bias[c]
            from_j[node, c] = v[start + node, c] * weights.scale[c]
    return from_i, from_j


@njit
def _flush(edge: _F4, matrix: _F4, vectors: _F4, out: EdgeSlopes, group: int) -> None:  # pragma: no cover
    out.edge[group] += edge
    out.step[group] += matrix
    out.vectors[group] += vectors
    edge[:] = 0
    matrix[:] = 0
    vectors[:] = 0
