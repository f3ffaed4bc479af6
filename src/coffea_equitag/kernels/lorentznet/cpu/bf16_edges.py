"""A block's edges in inference where layers of pairs are multiplied in bf16, their sums in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....array_types import F4, U2
from ....compiled import inner
from ...common.cpu.dense import dense, dense_half, dense_narrow
from ...common.cpu.shapes import BF16_HALF, NARROW, WIDE
from .buffers import CHUNK, Chunk, EdgeInputs
from .edge_chunks import add_messages, fill_gates, first_layer, list_pairs, store_phi_x
from .weights import Bf16Dense, Bf16Weights, LorentzNetWeights

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
    edges = weights.edges
    i, j, left = 0, 1, n * (n - 1)
    while left > 0:
        count = min(left, CHUNK)
        left -= count
        i, j = list_pairs(i, j, n, count, chunk)
        first_layer(inputs, edges.scalar_weights[number], count, chunk)
        chunk.gate[:] = edges.phi_m_bias[number]
        _layer(chunk.hidden, bf16.phi_e, number, count, chunk.messages, weights.phi_m[number], chunk.gate)
        fill_gates(chunk)
        add_messages(chunk, count, chunk.hidden, sums)
        if moves:
            chunk.phi_x[:] = 0
            _layer(chunk.hidden, bf16.phi_x, number, count, chunk.messages, weights.phi_x_out[number], chunk.phi_x)
            store_phi_x(chunk, count, n, phi_x)


def _layer_of(tile: Any, tile_rows: int, block: int) -> Any:
    """The layer for matrices in blocks of so many columns."""

    def compute(x: U2, weights: Bf16Dense, number: int, rows: int, out: F4, dot_vector: F4, dots: F4) -> None:
        x_stride, stride = x.shape[1], out.shape[1]
        blocks, pairs, bias_at = weights.weight.shape[-3], weights.weight.shape[-2], number * weights.bias.shape[-1]
        for row in range(0, rows, tile_rows):
            for b in range(blocks):
                tile(
                    x, row * x_stride, x_stride, weights.weight, (number * blocks + b) * pairs * block, pairs,
                    weights.bias, bias_at + b * block, _RELU, out, row * stride + b * block, stride, dot_vector,
                    b * block, dots, row,
                )  # fmt: skip

    compute.__name__ = compute.__qualname__ = f"bf16_layer_of_{block}_columns"
    return inner(compute)


_wide, _half, _narrow = (
    _layer_of(tile, shape.rows, shape.block)
    for tile, shape in ((dense, WIDE), (dense_half, BF16_HALF), (dense_narrow, NARROW))
)


@inner
def _layer(x: U2, weights: Bf16Dense, number: int, rows: int, out: F4, dot_vector: F4, dots: F4) -> None:
    """ReLU of a layer, and its outputs' products with the dot vector added to `dots`. Whole tiles are computed."""
    if weights.weight.shape[-1] == _WIDE_BLOCK:
        _wide(x, weights, number, rows, out, dot_vector, dots)
    elif weights.weight.shape[-1] == _HALF_BLOCK:
        _half(x, weights, number, rows, out, dot_vector, dots)
    else:
        _narrow(x, weights, number, rows, out, dot_vector, dots)
