"""A layer of Vector or Tensor PFN on rows of features, one row per track (float32) or per jet (float64).

Features lie as [plane][row][feature], planes as in `bilinear`; after them comes the feature of the biases.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from ....array_types import F4, F8, I8, AnyArray
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, COMPLEX_VECTORS, REAL_VECTORS, ROWS, complex_tile, real_tile
from ...common.cpu.elementary import psi
from ...common.cpu.registers import lanes_of
from .bilinear import VECTOR_PLANES, multiply_tensors, multiply_vectors
from .weights import Matrices

__all__ = [
    "CHUNK",
    "COMPLEX",
    "MARGIN",
    "PLANES",
    "Tracks",
    "activate",
    "linear",
    "load_track",
    "make_tracks",
    "set_unit",
]


#: Rows worked on at once: whole tiles.
CHUNK = 5 * ROWS
#: Numbers after the features of a row: the feature of the biases, and padding against rows on the same cache sets.
MARGIN = 16
#: The plane that each of a layer's matrices acts on, and whether it acts on that and the next as on a complex number.
PLANES, COMPLEX = np.array([0, 1, 3, 4, 5, 7, 9, 11]), np.array([0, 1, 0, 0, 1, 1, 1, 1], np.bool_)
_LANES4, _LANES8 = lanes_of(4), lanes_of(8)


class Tracks(NamedTuple):
    """N tracks of J jets."""

    scalars: F4  # (N, S)
    vectors: F8  # (N, 3, V): component along the detector's axes, then vector
    frames: F8  # (J, 3, 3): rows x̂, ŷ, ẑ = ĵ
    offsets: I8  # (J + 1,)


def make_tracks(scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor) -> Tracks:
    """Arrays of ``VectorPFN.network``'s arguments."""
    return Tracks(
        np.ascontiguousarray(scalars.detach().numpy(), np.float32),
        np.ascontiguousarray(vectors.detach().numpy(), np.float64),
        np.ascontiguousarray(frames_J33.detach().numpy(), np.float64),
        np.ascontiguousarray(offsets.numpy()),
    )


@inner
def set_unit(x: AnyArray, scalar: int, tensor: int) -> None:
    """The feature of the biases, scalar 1 and unit matrix, in all rows."""
    for row in range(x.shape[1]):
        x[0, row, scalar] = 1
        if len(x) > VECTOR_PLANES:
            x[4, row, tensor], x[9, row, tensor] = 1, 2


@inner
def load_track(x: F4, row: int, tracks: Tracks, track: int, jet: int) -> None:
    """A track's row: its scalars, its vectors turned into the jet's frame, their outer products."""
    count = tracks.vectors.shape[2]
    for s in range(tracks.scalars.shape[1]):
        x[0, row, s] = tracks.scalars[track, s]
    for axis in range(3):
        for v in range(count):
            total = tracks.frames[jet, axis, 0] * tracks.vectors[track, 0, v]
            for k in range(1, 3):
                total += tracks.frames[jet, axis, k] * tracks.vectors[track, k, v]
            x[1 + axis, row, v] = total
    if len(x) > VECTOR_PLANES:
        for a in range(count):
            for b in range(count):
                at = a * count + b
                ax, ay, az = x[1, row, a], x[2, row, a], x[3, row, a]
                bx, by, bz = x[1, row, b], x[2, row, b], x[3, row, b]
                x[4, row, at], x[5, row, at], x[6, row, at] = az * bz, az * bx, az * by
                x[7, row, at], x[8, row, at] = ax * bz, ay * bz
                x[9, row, at], x[10, row, at] = ax * bx + ay * by, ay * bx - ax * by
                x[11, row, at], x[12, row, at] = ax * bx - ay * by, ax * by + ay * bx


@inner
def linear(x: AnyArray, weights: Matrices, layer: int, y: AnyArray, rows: int) -> None:
    """All maps of a layer on rows of features, x to y; whole tiles are computed."""
    x_stride, y_stride, lanes = x.shape[2], y.shape[2], _LANES4 if y.itemsize == 4 else _LANES8
    x_plane, y_plane = x.shape[1] * x_stride, y.shape[1] * y_stride
    columns = (y_stride - MARGIN) // lanes * lanes
    for matrix in range(weights.places.shape[1]):
        plane = PLANES[matrix]
        at, depth = weights.places[layer, matrix]
        x_at, y_at = plane * x_plane, plane * y_plane
        if COMPLEX[matrix]:
            block = COMPLEX_VECTORS * lanes
            for column in range(0, columns, block):
                for row in range(0, rows, COMPLEX_ROWS):
                    complex_tile(
                        x, x_at + row * x_stride, x_stride, 1, x_plane, depth,
                        weights.values, at + 2 * column * depth, 2 * block, block,
                        y, y_at + row * y_stride + column, y_stride, y_plane, False,
                    )  # fmt: skip
        else:
            block = REAL_VECTORS * lanes
            for column in range(0, columns, block):
                for row in range(0, rows, ROWS):
                    real_tile(
                        x, x_at + row * x_stride, x_stride, 1, depth,
                        weights.values, at + column * depth, block,
                        y, y_at + row * y_stride + column, y_stride, False,
                    )  # fmt: skip


@inner
def activate(y: AnyArray, x: AnyArray, padded: int, thirds: int, rows: int, logarithmic: bool) -> None:
    """Activated products of the halves a and b of y, into x."""
    x_stride, y_stride = x.shape[2], y.shape[2]
    x_plane, y_plane = x.shape[1] * x_stride, y.shape[1] * y_stride
    lanes = _LANES4 if y.itemsize == 4 else _LANES8
    for row in range(rows):
        for f in range(0, padded, lanes):
            if len(y) > VECTOR_PLANES:
                multiply_tensors(y, row * y_stride + f, y_plane, padded, x, row * x_stride + f, x_plane, padded)
            else:
                multiply_vectors(y, row * y_stride + f, y_plane, padded, x, row * x_stride + f, x_plane, padded)
        _scalar_relu(x, row, thirds * padded, logarithmic)


@inner
def _scalar_relu(x: AnyArray, row: int, width: int, logarithmic: bool) -> None:
    """ReLU, or if `logarithmic` 1 + log s beyond 1."""
    if not logarithmic:
        for f in range(width):
            value = x[0, row, f]
            x[0, row, f] = 0 if value < 0 else value
    elif x.itemsize == 4:
        for f in range(width):
            value = x[0, row, f]
            value = np.float32(0.0) if value < 0 else value
            above = np.float32(1.0) if value < 1 else value
            value = np.float32(1.0) if value > 1 else value
            x[0, row, f] = value + psi(np.float64(above) - 1.0)
    else:
        for f in range(width):
            value = x[0, row, f]
            if value > 1:
                x[0, row, f] = 1 + np.log(value)
            elif value < 0:
                x[0, row, f] = 0
