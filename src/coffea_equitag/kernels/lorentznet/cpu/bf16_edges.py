"""A block's edges in inference where layers of pairs are multiplied in bf16, their sums in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....array_types import F4, I4, U2
from ....compiled import inner
from ...common.cpu.dense import dense, dense_half, dense_narrow
from ...common.cpu.shapes import BF16_HALF, NARROW, WIDE
from .buffers import CHUNK, Chunk, EdgeInputs
from .edge_chunks import add_messages, fill_gates, first_layer, list_pairs, store_phi_x
from .weights import Bf16Weights, LorentzNetWeights

__all__ = ["score_edges_bf16"]

_WIDE_BLOCK, _HALF_BLOCK = WIDE.block, BF16_HALF.block
_RELU = np.float32(0.0)


@inner
def score_edges_bf16(
    weights: LorentzNetWeights,
    bf16: Bf16Weights,
    number: int,
    inputs: EdgeInputs,
    n: int,
    chunk: Chunk,
    sums: F4,
    phi_x: F4,
    moves: bool,
) -> None:
    """Σ_j m_ij of one jet's nodes added to `sums`; φ_x in `phi_x` (n²,), if the vectors move.

    φ_e's second layer and φ_x's first are in bf16, whatever ReLU has made 0.
    """
    # once: what is taken from a tuple or an array of arrays is counted, by an atomic addition each time
    phi_e, phi_e_bias, phi_x_weight, phi_x_bias = bf16.phi_e.weight, bf16.phi_e.bias, bf16.phi_x.weight, bf16.phi_x.bias
    phi_m, phi_x_out, phi_m_bias = weights.phi_m[number], weights.phi_x_out[number], weights.edges.phi_m_bias[number]
    scalar_weights, hidden, messages = weights.edges.scalar_weights[number], chunk.hidden, chunk.messages
    logits, chunk_phi_x = chunk.gate, chunk.phi_x
    i, j, left = 0, 1, n * (n - 1)
    while left > 0:
        count = min(left, CHUNK)
        left -= count
        i, j = list_pairs(i, j, n, count, chunk)
        first_layer(inputs, scalar_weights, count, chunk)
        for row in range(len(logits)):
            logits[row] = phi_m_bias
        _layer(hidden, phi_e, phi_e_bias, number, count, messages, phi_m, logits)
        fill_gates(chunk)
        add_messages(chunk, count, hidden, sums)
        if moves:
            for row in range(len(chunk_phi_x)):
                chunk_phi_x[row] = 0
            _layer(hidden, phi_x_weight, phi_x_bias, number, count, messages, phi_x_out, chunk_phi_x)
            store_phi_x(chunk, count, n, phi_x)


def _layer_of(tile: Any, tile_rows: int, block: int) -> Any:
    """The layer for matrices in blocks of so many columns."""

    def compute(x: U2, weight: I4, bias: F4, number: int, rows: int, out: F4, dot_vector: F4, dots: F4) -> None:
        x_stride, stride = x.shape[1], out.shape[1]
        blocks, pairs, bias_at = weight.shape[-3], weight.shape[-2], number * bias.shape[-1]
        for row in range(0, rows, tile_rows):
            for b in range(blocks):
                tile(
                    x, row * x_stride, x_stride, weight, (number * blocks + b) * pairs * block, pairs,
                    bias, bias_at + b * block, _RELU, out, row * stride + b * block, stride, dot_vector,
                    b * block, dots, row,
                )  # fmt: skip

    compute.__name__ = compute.__qualname__ = f"bf16_layer_of_{block}_columns"
    return inner(compute)


_wide, _half, _narrow = (
    _layer_of(tile, shape.rows, shape.block)
    for tile, shape in ((dense, WIDE), (dense_half, BF16_HALF), (dense_narrow, NARROW))
)


@inner
def _layer(x: U2, weight: I4, bias: F4, number: int, rows: int, out: F4, dot_vector: F4, dots: F4) -> None:
    """ReLU of a layer, and its outputs' products with the dot vector added to `dots`. Whole tiles are computed."""
    if weight.shape[-1] == _WIDE_BLOCK:
        _wide(x, weight, bias, number, rows, out, dot_vector, dots)
    elif weight.shape[-1] == _HALF_BLOCK:
        _half(x, weight, bias, number, rows, out, dot_vector, dots)
    else:
        _narrow(x, weight, bias, number, rows, out, dot_vector, dots)
