"""A block's edges, forward: from U, V and G to sums of messages and φ_x. Equations: ``../README.md``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from ....array_types import F4, F8
from ....compiled import inner, inner_by_type, njit
from ...common.cpu.aligned import aligned_rows
from ...common.cpu.dense import dense, dense_narrow
from ...common.cpu.shapes import BF16_HALF, NARROW_BLOCK, NARROW_ROWS, WIDE_BLOCK, WIDE_ROWS
from ...common.cpu.sparse import ones
from .bf16_edges import score_edges_bf16
from .buffers import CHUNK, Chunk, EdgeInputs, Jets, Saved, coordinates_of_jet, gram_of, new_chunk
from .edge_chunks import add_messages, fill_gates, first_layer, list_pairs, phi_x_layer, second_layer, store_phi_x
from .edge_scalars import edge_scalars
from .gram_step import gram_step
from .weights import WORD, Bf16Weights, Dense, EdgeWeights, LorentzNetWeights, TrainingWeights

__all__ = ["FIRST", "LINEAR", "MARGIN", "RELU", "forward", "jet_inputs", "layer", "score_edges"]

#: Share of a chunk's numbers that are not 0 above which tiles are faster, and channels from which on it matters.
_DENSE, _MANY = 0.6, 48
#: Where most rows and matrices begin: a plain 0 would be a type of its own, and compiled apart.
FIRST: Any = np.int64(0)
RELU, LINEAR = np.float32(0.0), np.float32(-np.inf)
#: Rows that tiles may write beyond a matrix's own.
MARGIN = max(WIDE_ROWS, NARROW_ROWS, BF16_HALF.rows)


@njit
def forward(weights: TrainingWeights, jets: Jets, saved: Saved, sums: F4, stepped: F8, first: int, last: int) -> None:
    """For training, groups ``first:last``: Σ_j m_ij in `sums` (N, hidden); fills `saved`, and `stepped` with S G Sᵀ."""
    channels, hidden = len(weights.zeros), jets.u.shape[1]
    words, chunk = channels // WORD, new_chunk(channels, 0, None)
    for jet in range(jets.groups[first], jets.groups[last]):
        start, square = jets.offsets[jet], jets.squares[jet]
        n = jets.offsets[jet + 1] - start
        inputs, jet_sums = jet_inputs(weights, jets, jet), aligned_rows(n, channels)
        phi_x = saved.phi_x[square : square + n * n]
        i, j, pair, pairs = 0, 1, 0, n * (n - 1)
        while pair < pairs:
            count = min(pairs - pair, CHUNK)
            i, j = list_pairs(i, j, n, count, chunk)
            first_layer(inputs, weights.edges.scalar_weights, count, chunk)
            second_layer(weights.edges, hidden, count, chunk)
            fill_gates(chunk)
            add_messages(chunk, count, chunk.messages, jet_sums)
            if weights.updates_vectors:
                phi_x_layer(weights.edges, hidden, count, chunk, saved.bits, (square - start + pair) * words)
                store_phi_x(chunk, count, n, phi_x)
            pair += count
        for node in range(n):
            for c in range(hidden):
                sums[start + node, c] = jet_sums[node, c]
        if len(stepped):
            gram_step(phi_x, gram_of(jets, jet), weights.c_weight, stepped[square : square + n * n])


@inner
def jet_inputs(weights: TrainingWeights, jets: Jets, jet: int) -> EdgeInputs:
    """What a jet's edges are made of, U and V normalised."""
    start, channels = jets.offsets[jet], len(weights.zeros)
    n = jets.offsets[jet + 1] - start
    inputs = EdgeInputs(
        aligned_rows(n, channels),
        aligned_rows(n, channels),
        np.zeros((n, n), np.float32),
        np.zeros((n, n), np.float32),
    )
    for node in range(n):
        for c in range(jets.u.shape[1]):
            inputs.u[node, c] = (jets.u[start + node, c] - weights.mean[c]) * weights.scale[c] + weights.bias[c]
            inputs.v[node, c] = jets.v[start + node, c] * weights.scale[c]
    edge_scalars(jets.kind, gram_of(jets, jet), coordinates_of_jet(jets, jet), inputs.nu, inputs.pi)
    return inputs


@inner_by_type
def score_edges(weights: LorentzNetWeights, bf16: Bf16Weights | None, *_: Any) -> Any:
    """For inference: Σ_j m_ij of one jet's nodes added to `sums`; φ_x in `phi_x` (n²,), if the vectors move."""
    return _score_edges if bf16 == types.none else score_edges_bf16


def _score_edges(
    weights: LorentzNetWeights,
    bf16: None,
    number: int,
    inputs: EdgeInputs,
    n: int,
    chunk: Chunk,
    sums: F4,
    phi_x: F4,
    moves: bool,
) -> None:
    """In float32.

    A chunk most of whose numbers ReLU has made 0 is multiplied number by number, others tile by tile.
    """
    hidden, words, edges = weights.phi_e.weight.shape[-2], chunk.hidden.shape[1] // WORD, _edges_of(weights, number)
    i, j, left = 0, 1, n * (n - 1)
    while left > 0:
        count = min(left, CHUNK)
        left -= count
        i, j = list_pairs(i, j, n, count, chunk)
        first_layer(inputs, edges.scalar_weights, count, chunk)
        sparse = hidden >= _MANY and ones(chunk.hidden_bits, count * words) < _DENSE * count * hidden
        if sparse:
            second_layer(edges, hidden, count, chunk)
        else:
            chunk.gate[:] = edges.phi_m_bias
            layer(chunk.hidden, FIRST, weights.phi_e, number, RELU, chunk.messages, count, weights.phi_m[number],
                  chunk.gate)  # fmt: skip
        fill_gates(chunk)
        add_messages(chunk, count, chunk.messages, sums)
        if moves:
            if sparse:
                phi_x_layer(edges, hidden, count, chunk, chunk.hidden_bits, 0)
            else:
                chunk.phi_x[:] = 0
                layer(chunk.messages, FIRST, weights.phi_x, number, RELU, chunk.hidden, count,
                      weights.phi_x_out[number], chunk.phi_x)  # fmt: skip
            store_phi_x(chunk, count, n, phi_x)


@inner
def _edges_of(weights: LorentzNetWeights, number: int) -> EdgeWeights:
    edges = weights.edges
    return EdgeWeights(
        edges.scalar_weights[number],
        edges.phi_e[number],
        edges.phi_e_bias[number],
        edges.phi_m[number],
        edges.phi_m_bias[number],
        edges.phi_x[number],
        edges.phi_x_bias[number],
        edges.phi_x_out[number],
    )


@inner
def layer(
    x: F4,
    x_column: int,
    weights: Dense,
    number: int,
    floor: np.float32,
    out: F4,
    n: int,
    dot_vector: F4,
    dots: F4,
) -> None:
    """Layer `number` of a kind for n rows, and its outputs' products with the dot vector added to `dots`.

    Whole tiles are computed: up to MARGIN rows more are written.
    """
    x_stride, out_stride = x.shape[1], out.shape[1]
    blocks, depth, bias_at = weights.weight.shape[-3], weights.weight.shape[-2], number * weights.bias.shape[-1]
    if weights.weight.shape[-1] == WIDE_BLOCK:
        for row in range(0, n, WIDE_ROWS):
            for block in range(blocks):
                column = block * WIDE_BLOCK
                dense(
                    x, row * x_stride + x_column, x_stride, weights.weight,
                    (number * blocks + block) * depth * WIDE_BLOCK, depth, weights.bias, bias_at + column, floor, out,
                    row * out_stride + column, out_stride, dot_vector, column, dots, row,
                )  # fmt: skip
    else:
        for row in range(0, n, NARROW_ROWS):
            for block in range(blocks):
                column = block * NARROW_BLOCK
                dense_narrow(
                    x, row * x_stride + x_column, x_stride, weights.weight,
                    (number * blocks + block) * depth * NARROW_BLOCK, depth, weights.bias, bias_at + column, floor, out,
                    row * out_stride + column, out_stride, dot_vector, column, dots, row,
                )  # fmt: skip
