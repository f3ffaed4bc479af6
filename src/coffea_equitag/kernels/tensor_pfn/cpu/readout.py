"""The readout of Vector and Tensor PFN: invariants of the last layer, and the perceptron on them."""

from __future__ import annotations

import numpy as np

from ....array_types import F8
from ....compiled import njit
from ...common.cpu.bilinear_tile import REAL_VECTORS, ROWS, real_tile
from ...common.cpu.registers import lanes_of
from .bilinear import VECTOR_PLANES
from .layer import CHUNK
from .weights import Matrices

__all__ = ["classify"]


_LANES = lanes_of(8)


@njit
def classify(x: F8, width: int, mlp: Matrices, outputs: F8, first: int, rows: int) -> None:
    """s, |v|² and ‖T‖² of some rows through the perceptron, into `outputs` from row `first` on."""
    deepest = 0
    for step in range(len(mlp.places)):
        deepest = max(deepest, mlp.places[step, 0, 1])
    block = REAL_VECTORS * _LANES
    capacity = (deepest + outputs.shape[1] + 2 * block) // block * block
    inputs, out = np.zeros((CHUNK, capacity)), np.zeros((CHUNK, capacity))
    for row in range(rows):
        for f in range(width):
            inputs[row, f] = x[0, row, f]
            inputs[row, width + f] = x[1, row, f] ** 2 + x[2, row, f] ** 2 + x[3, row, f] ** 2
            if len(x) > VECTOR_PLANES:
                square = x[4, row, f] ** 2
                for plane in range(5, 9):
                    square += x[plane, row, f] ** 2
                for plane in range(9, 13):
                    square += 0.5 * x[plane, row, f] ** 2
                inputs[row, 2 * width + f] = square
    for step in range(len(mlp.places)):
        at, depth = mlp.places[step, 0]
        last = step == len(mlp.places) - 1
        columns = outputs.shape[1] if last else mlp.places[step + 1, 0, 1] - 1
        for row in range(rows):
            inputs[row, depth - 1] = 1
        for column in range(0, columns, block):
            for row in range(0, rows, ROWS):
                real_tile(
                    inputs, row * capacity, capacity, 1, depth, mlp.values, at + column * depth, block,
                    out, row * capacity + column, capacity, False,
                )  # fmt: skip
        for row in range(rows):
            for f in range(columns):
                if last:
                    outputs[first + row, f] = out[row, f]
                else:
                    inputs[row, f] = 0.0 if out[row, f] < 0 else out[row, f]
