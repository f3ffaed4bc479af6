"""A block's edges, backward: computed anew chunk by chunk, never stored. Equations: ``../README.md``.

Gradients of weights are summed in float32 over some thousand pairs, and these sums in float64 over a group of jets.
"""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from .buffers import CHUNK, Chunk, EdgeGradients, EdgeInputs, GradChunk, Jets, Saved, gram_of, new_chunk, new_grad_chunk
from .edge_chunks import (
    add_columns,
    add_weighted,
    choose,
    fill_gates,
    first_layer,
    first_layer_rows_backward,
    gate_rows_backward,
    grad_messages,
    linear_rows,
    list_pairs,
    second_layer,
    spread_bits,
    transpose_bits,
)
from .forward import jet_inputs
from .gate import gate_derivative
from .gram_step import gram_step_backward
from .weights import WORD, TrainingWeights

__all__ = ["backward"]

#: Pairs whose gradients are summed in float32.
_FLUSH = 8192
#: Rows of `EdgeGradients.vectors`.
_A, _B, _PHI_E_BIAS, _PHI_M, _PHI_X_BIAS = range(5)


@njit
def backward(
    weights: TrainingWeights, jets: Jets, saved: Saved, grad_sums: F4, out: EdgeGradients, first: int, last: int
) -> None:
    """Gradients of groups ``first:last`` from those of Σ_j m_ij (N, hidden), and of S G Sᵀ in ``out.gram``."""
    channels, hidden = len(weights.zeros), jets.u.shape[1]
    chunk, grads = new_chunk(channels, 0, None), new_grad_chunk(channels)
    for group in range(first, last):
        fresh = 0
        for jet in range(jets.groups[group], jets.groups[group + 1]):
            start, square = jets.offsets[jet], jets.squares[jet]
            n = jets.offsets[jet + 1] - start
            inputs = jet_inputs(weights, jets, jet)
            grad_phi_x = np.zeros(n * n, np.float32)
            if weights.updates_vectors:
                if len(jets.gram):
                    gram_step_backward(saved.phi_x[square : square + n * n], gram_of(jets, jet), weights.c_weight,
                                       out.gram[square : square + n * n], grad_phi_x)  # fmt: skip
                if len(out.phi_x):
                    grad_phi_x += out.phi_x[square : square + n * n]
            grad_u, grad_v, jet_grad_sums = (
                aligned_rows(n, channels), aligned_rows(n, channels), aligned_rows(n, channels),
            )  # fmt: skip
            for node in range(n):
                for c in range(hidden):
                    jet_grad_sums[node, c] = grad_sums[start + node, c]
            i, j, pair, pairs = 0, 1, 0, n * (n - 1)
            while pair < pairs:
                count = min(pairs - pair, CHUNK)
                i, j = list_pairs(i, j, n, count, chunk)
                _forward_again(weights, inputs, hidden, count, chunk, grads)
                bits_at = (square - start + pair) * (channels // WORD)
                if weights.updates_vectors:
                    for row in range(count):
                        grads.phi_x[row] = grad_phi_x[chunk.receiver[row] * n + chunk.sender[row]]
                grad_messages(saved, bits_at, channels // WORD if weights.updates_vectors else 0,
                              weights.phi_x_transposed, jet_grad_sums, hidden, count, chunk, grads)  # fmt: skip
                for row in range(count):
                    grads.logit[row] *= gate_derivative(chunk.gate[row])
                    out.phi_m_bias[group] += grads.logit[row]
                choose(0, count, grads.chosen)
                _second_layer_backward(weights, saved, bits_at, hidden, count, chunk, grads)
                _first_layer_backward(weights, hidden, count, chunk, grads, grad_u, grad_v)
                for row in range(count if len(out.edge_scalars) else 0):
                    at = square + chunk.receiver[row] * n + chunk.sender[row]
                    out.edge_scalars[at, 0] = grads.grad_edge_scalars[row, 0]
                    out.edge_scalars[at, 1] = grads.grad_edge_scalars[row, 1]
                pair += count
                fresh += count
                if fresh >= _FLUSH:
                    _flush(grads, out, group)
                    fresh = 0
            for node in range(n):
                for c in range(hidden):
                    out.u[start + node, c], out.v[start + node, c] = grad_u[node, c], grad_v[node, c]
        _flush(grads, out, group)


@inner
def _forward_again(
    weights: TrainingWeights, inputs: EdgeInputs, hidden: int, count: int, chunk: Chunk, grads: GradChunk
) -> None:
    """y_ij and φ_m as in the forward pass, and the pairs' edge scalars."""
    first_layer(inputs, weights.edges.scalar_weights, count, chunk)
    for row in range(count):
        i, j = chunk.receiver[row], chunk.sender[row]
        grads.edge_scalars[row, 0], grads.edge_scalars[row, 1] = inputs.nu[i, j], inputs.pi[i, j]
    second_layer(weights.edges, hidden, count, chunk)
    fill_gates(chunk)


@inner
def _second_layer_backward(
    weights: TrainingWeights, saved: Saved, bits_at: int, hidden: int, count: int, chunk: Chunk, grads: GradChunk
) -> None:
    """Through m = y φ_m(y) and φ_e's second layer: sums of its, φ_m's and φ_x's parameters; dL/d(first ReLU)."""
    words = chunk.messages.shape[1] // WORD
    add_weighted(grads.chosen, grads.logit, 0, 1, chunk.messages, hidden, grads.vectors, _PHI_M)
    gate_rows_backward(weights.edges.phi_m, count, chunk, grads)
    transpose_bits(chunk.message_bits, count, words, grads.planes, grads.columns)
    add_weighted(grads.chosen, grads.ones, 0, 1, grads.messages, hidden, grads.vectors, _PHI_E_BIAS)
    add_columns(grads.columns, grads.messages, chunk.hidden, hidden, grads.phi_e)
    if weights.updates_vectors:
        # φ_x's hidden layer: its gradient is dL/dφ_x where its bits are set, but for the last layer's factor
        spread_bits(saved.bits, bits_at, grads.phi_x, count, grads.hidden)
        add_columns(grads.columns, chunk.messages, grads.hidden, hidden, grads.phi_x_weight)
        add_weighted(grads.chosen, grads.ones, 0, 1, grads.hidden, hidden, grads.vectors, _PHI_X_BIAS)
    linear_rows(grads.messages, chunk.message_bits, weights.phi_e_transposed, weights.zeros, hidden, count,
                grads.hidden)  # fmt: skip


@inner
def _first_layer_backward(
    weights: TrainingWeights, hidden: int, count: int, chunk: Chunk, grads: GradChunk, grad_u: F4, grad_v: F4
) -> None:
    """Through φ_e's first ReLU: sums of a's and b's gradients, and those of V_j, U_i and the edge scalars."""
    first_layer_rows_backward(weights.edges.scalar_weights, count, chunk, grads, grad_v)
    add_weighted(grads.chosen, grads.edge_scalars, 0, 2, grads.hidden, hidden, grads.vectors, _A)
    add_weighted(grads.chosen, grads.edge_scalars, 1, 2, grads.hidden, hidden, grads.vectors, _B)
    begin = 0
    for row in range(1, count + 1):
        if row == count or chunk.receiver[row] != chunk.receiver[begin]:
            choose(begin, row, grads.chosen)
            add_weighted(grads.chosen, grads.ones, 0, 1, grads.hidden, hidden, grad_u, chunk.receiver[begin])
            begin = row


@inner
def _flush(grads: GradChunk, out: EdgeGradients, group: int) -> None:
    """Add the chunks' sums to the group's, and begin again at 0."""
    channels = len(grads.phi_e)
    for k in range(channels):
        for c in range(channels):
            out.phi_e[group, k, c] += grads.phi_e[k, c]
            out.phi_x_weight[group, k, c] += grads.phi_x_weight[k, c]
            grads.phi_e[k, c] = grads.phi_x_weight[k, c] = 0
    for k in range(len(grads.vectors)):
        for c in range(channels):
            out.vectors[group, k, c] += grads.vectors[k, c]
            grads.vectors[k, c] = 0
