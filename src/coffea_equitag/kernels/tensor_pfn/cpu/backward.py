"""Forward and backward pass of Vector and Tensor PFN's layers before the sum, in float32."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, COMPLEX_VECTORS, REAL_VECTORS, ROWS, complex_tile, real_tile
from ...common.cpu.registers import lanes_of
from .bilinear import VECTOR_PLANES
from .bilinear_gradient import tensor_gradients, vector_gradients
from .forward import CHUNK, COMPLEX, MARGIN, PLANES, activate, enter, linear, set_unit, sum_tracks
from .weights import Matrices

__all__ = ["backward", "forward"]


_LANES = lanes_of(4)
_REAL, _COMPLEX = REAL_VECTORS * _LANES, COMPLEX_VECTORS * _LANES


@njit
def forward(
    phi: Matrices,
    scalars: F4,
    vectors: F8,
    frames: F8,
    offsets: I8,
    logarithmic: bool,
    thirds: int,
    out: F8,
    first: int,
    last: int,
) -> None:
    """Sums over the constituents of jets `first` to `last`, planes (P, J, width)."""
    planes, width = len(out), out.shape[2]
    padded = width // thirds
    entering = np.zeros((planes, CHUNK, MARGIN), np.float32)
    x = np.zeros((planes, CHUNK, width + MARGIN), np.float32)
    y = np.zeros((planes, CHUNK, 2 * padded + MARGIN), np.float32)
    sums, owners = np.zeros((planes, CHUNK, width + MARGIN)), np.empty(CHUNK, np.int64)
    set_unit(entering, scalars.shape[1], vectors.shape[2] ** 2)
    set_unit(x, width, width)
    for jet in range(first, last, CHUNK):
        jets = min(CHUNK, last - jet)
        sum_tracks(
            phi, scalars, vectors, frames, offsets, logarithmic, padded, thirds, jet, jets, entering, x, y, owners, sums
        )
        for plane in range(planes):
            for row in range(jets):
                for f in range(width):
                    out[plane, jet + row, f] = sums[plane, row, f]


@njit
def backward(
    phi: Matrices,
    transposed: Matrices,
    first_transposed: Matrices,
    scalars: F4,
    vectors: F8,
    frames: F8,
    offsets: I8,
    logarithmic: bool,
    thirds: int,
    arriving: F4,
    places: I8,
    bounds: I8,
    of_scalars: F4,
    of_weights: F4,
    start: int,
    stop: int,
) -> None:
    """Gradients from those of the sums (P, J, width), for groups `start` to `stop` of jets."""
    planes, width, layers = len(arriving), arriving.shape[2], len(phi.places)
    padded = width // thirds
    entering = np.zeros((planes, CHUNK, MARGIN), np.float32)
    xs = np.zeros((layers, planes, CHUNK, width + MARGIN), np.float32)
    ys = np.zeros((layers, planes, CHUNK, 2 * padded + MARGIN), np.float32)
    x_gradient = np.zeros((planes, CHUNK, (width + _REAL - 1) // _REAL * _REAL + MARGIN), np.float32)
    y_gradient = np.zeros((planes, CHUNK, 2 * padded + MARGIN), np.float32)
    scalar_gradient = np.zeros((1, CHUNK, _REAL + MARGIN), np.float32)
    set_unit(entering, scalars.shape[1], vectors.shape[2] ** 2)
    for layer in range(layers):
        set_unit(xs[layer], width, width)
    for group in range(start, stop):
        owner, end = bounds[group], offsets[bounds[group + 1]]
        for at in range(offsets[owner], end, CHUNK):
            count = min(CHUNK, end - at)
            for row in range(count):
                while offsets[owner + 1] <= at + row:
                    owner += 1
                enter(entering, row, scalars, vectors, frames, at + row, owner)
                for plane in range(planes):
                    for f in range(width):
                        x_gradient[plane, row, f] = arriving[plane, owner, f]
            for layer in range(layers):
                linear(entering if layer == 0 else xs[layer - 1], phi, layer, ys[layer], count)
                if layer < layers - 1:
                    activate(ys[layer], xs[layer], padded, thirds, count, logarithmic)
            for layer in range(layers - 1, -1, -1):
                _deactivate(ys[layer], x_gradient, y_gradient, padded, count, logarithmic)
                if layer > 0:
                    linear(y_gradient, transposed, layer - 1, x_gradient, count)
                _conjugate(y_gradient, count)
                x = entering if layer == 0 else xs[layer - 1]
                _outer(x, y_gradient, phi, layer, places, of_weights, group, count)
            linear(y_gradient, first_transposed, 0, scalar_gradient, count)
            for row in range(count):
                for s in range(scalars.shape[1]):
                    of_scalars[at + row, s] = scalar_gradient[0, row, s]


@inner
def _deactivate(y: F4, x_gradient: F4, out: F4, padded: int, rows: int, logarithmic: bool) -> None:
    """From gradients of the activated products to those of the features."""
    y_stride, g_stride = y.shape[2], x_gradient.shape[2]
    y_plane, g_plane = y.shape[1] * y_stride, x_gradient.shape[1] * g_stride
    for row in range(rows):
        for f in range(0, padded, _LANES):
            if len(y) > VECTOR_PLANES:
                tensor_gradients(
                    y, row * y_stride + f, y_plane, padded, x_gradient, row * g_stride + f, g_plane, padded,
                    out, row * y_stride + f, y_plane, logarithmic,
                )  # fmt: skip
            else:
                vector_gradients(
                    y, row * y_stride + f, y_plane, padded, x_gradient, row * g_stride + f, g_plane, padded,
                    out, row * y_stride + f, y_plane, logarithmic,
                )  # fmt: skip


@inner
def _conjugate(y: F4, rows: int) -> None:
    for matrix in range(len(PLANES)):
        if COMPLEX[matrix] and PLANES[matrix] < len(y):
            plane = PLANES[matrix] + 1
            for row in range(rows):
                for f in range(y.shape[2]):
                    y[plane, row, f] = -y[plane, row, f]


@inner
def _outer(x: F4, y: F4, phi: Matrices, layer: int, places: I8, out: F4, group: int, rows: int) -> None:
    """Add Σ x yᵀ over rows to the gradients of a layer's maps."""
    x_stride, y_stride = x.shape[2], y.shape[2]
    x_plane, y_plane = x.shape[1] * x_stride, y.shape[1] * y_stride
    columns = y_stride - MARGIN
    for matrix in range(phi.places.shape[1]):
        plane, depth = PLANES[matrix], phi.places[layer, matrix, 1]
        x_at, y_at, at = plane * x_plane, plane * y_plane, group * out.shape[1] + places[layer, matrix]
        if COMPLEX[matrix]:
            for k in range(0, depth, COMPLEX_ROWS):
                for column in range(0, columns, _COMPLEX):
                    complex_tile(
                        x, x_at + k, 1, x_stride, x_plane, rows, y, y_at + column, y_stride, y_plane,
                        out, at + 2 * k * columns + column, 2 * columns, columns, True,
                    )  # fmt: skip
        else:
            for k in range(0, depth, ROWS):
                for column in range(0, columns, _REAL):
                    real_tile(
                        x, x_at + k, 1, x_stride, rows, y, y_at + column, y_stride,
                        out, at + k * columns + column, columns, True,
                    )  # fmt: skip
