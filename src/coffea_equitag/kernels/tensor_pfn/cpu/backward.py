"""Backward pass of Vector and Tensor PFN's layers before the sum, in float32; features are computed again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, COMPLEX_VECTORS, REAL_VECTORS, ROWS, complex_tile, real_tile
from ...common.cpu.registers import lanes_of
from .bilinear import VECTOR_PLANES
from .bilinear_gradient import tensor_gradients, vector_gradients
from .forward import Shape
from .layer import CHUNK, COMPLEX, MARGIN, PLANES, Tracks, activate, linear, load_track, set_unit
from .weights import Matrices

__all__ = ["Gradients", "backward"]


_LANES = lanes_of(4)
_REAL, _COMPLEX = REAL_VECTORS * _LANES, COMPLEX_VECTORS * _LANES


class Gradients(NamedTuple):
    """Gradients that arrive, and those that leave."""

    sums: F4  # (P, J, width), of the sums over tracks
    scalars: F4  # (N, S)
    maps: F4  # (groups of jets, numbers), of the maps of all layers
    places: I8  # (layers, maps): where each begins
    groups: I8  # (groups + 1,): the first jet of each group


@njit
def backward(
    phi: Matrices,
    transposed: Matrices,
    first_transposed: Matrices,
    tracks: Tracks,
    shape: Shape,
    grads: Gradients,
    first: int,
    last: int,
) -> None:
    """Gradients from those of the sums, for groups `first` to `last` of jets.

    `transposed` are the maps of all layers but the first, `first_transposed` that of the first layer's scalars.
    """
    planes, padded, offsets = shape.planes, shape.padded, tracks.offsets
    width, layers = shape.thirds * padded, len(phi.places)
    inputs = np.zeros((planes, CHUNK, MARGIN), np.float32)
    xs = np.zeros((layers, planes, CHUNK, width + MARGIN), np.float32)
    ys = np.zeros((layers, planes, CHUNK, 2 * padded + MARGIN), np.float32)
    grad_x = np.zeros((planes, CHUNK, (width + _REAL - 1) // _REAL * _REAL + MARGIN), np.float32)
    grad_y = np.zeros((planes, CHUNK, 2 * padded + MARGIN), np.float32)
    grad_scalars = np.zeros((1, CHUNK, _REAL + MARGIN), np.float32)
    set_unit(inputs, tracks.scalars.shape[1], tracks.vectors.shape[2] ** 2)
    for layer in range(layers):
        set_unit(xs[layer], width, width)
    for group in range(first, last):
        jet, end = grads.groups[group], offsets[grads.groups[group + 1]]
        for start in range(offsets[jet], end, CHUNK):
            count = min(CHUNK, end - start)
            for row in range(count):
                while offsets[jet + 1] <= start + row:
                    jet += 1
                load_track(inputs, row, tracks, start + row, jet)
                for plane in range(planes):
                    for f in range(width):
                        grad_x[plane, row, f] = grads.sums[plane, jet, f]
            for layer in range(layers):
                linear(inputs if layer == 0 else xs[layer - 1], phi, layer, ys[layer], count)
                if layer < layers - 1:
                    activate(ys[layer], xs[layer], padded, shape.thirds, count, shape.logarithmic)
            for layer in range(layers - 1, -1, -1):
                _products_backward(ys[layer], grad_x, grad_y, padded, count, shape.logarithmic)
                if layer > 0:
                    linear(grad_y, transposed, layer - 1, grad_x, count)
                _conjugate(grad_y, count)
                x = inputs if layer == 0 else xs[layer - 1]
                _maps_backward(x, grad_y, phi, layer, grads, group, count)
            linear(grad_y, first_transposed, 0, grad_scalars, count)
            for row in range(count):
                for s in range(tracks.scalars.shape[1]):
                    grads.scalars[start + row, s] = grad_scalars[0, row, s]


@inner
def _products_backward(y: F4, grad_x: F4, grad_y: F4, padded: int, rows: int, logarithmic: bool) -> None:
    """From gradients of the activated products x to those of the features y."""
    y_stride, x_stride = y.shape[2], grad_x.shape[2]
    y_plane, x_plane = y.shape[1] * y_stride, grad_x.shape[1] * x_stride
    for row in range(rows):
        for f in range(0, padded, _LANES):
            if len(y) > VECTOR_PLANES:
                tensor_gradients(
                    y, row * y_stride + f, y_plane, padded, grad_x, row * x_stride + f, x_plane, padded,
                    grad_y, row * y_stride + f, y_plane, logarithmic,
                )  # fmt: skip
            else:
                vector_gradients(
                    y, row * y_stride + f, y_plane, padded, grad_x, row * x_stride + f, x_plane, padded,
                    grad_y, row * y_stride + f, y_plane, logarithmic,
                )  # fmt: skip


@inner
def _conjugate(y: F4, rows: int) -> None:
    """Change the sign of the imaginary part of every complex plane."""
    for matrix in range(len(PLANES)):
        if COMPLEX[matrix] and PLANES[matrix] < len(y):
            plane = PLANES[matrix] + 1
            for row in range(rows):
                for f in range(y.shape[2]):
                    y[plane, row, f] = -y[plane, row, f]


@inner
def _maps_backward(x: F4, grad_y: F4, phi: Matrices, layer: int, grads: Gradients, group: int, rows: int) -> None:
    """Add Σ x ḡ(y)ᵀ over rows to the gradients of a layer's maps, for the conjugate ḡ(y)."""
    x_stride, y_stride, out = x.shape[2], grad_y.shape[2], grads.maps
    x_plane, y_plane = x.shape[1] * x_stride, grad_y.shape[1] * y_stride
    columns = y_stride - MARGIN
    for matrix in range(phi.places.shape[1]):
        plane, depth = PLANES[matrix], phi.places[layer, matrix, 1]
        x_at, y_at, at = plane * x_plane, plane * y_plane, group * out.shape[1] + grads.places[layer, matrix]
        if COMPLEX[matrix]:
            for k in range(0, depth, COMPLEX_ROWS):
                for column in range(0, columns, _COMPLEX):
                    complex_tile(
                        x, x_at + k, 1, x_stride, x_plane, rows, grad_y, y_at + column, y_stride, y_plane,
                        out, at + 2 * k * columns + column, 2 * columns, columns, True,
                    )  # fmt: skip
        else:
            for k in range(0, depth, ROWS):
                for column in range(0, columns, _REAL):
                    real_tile(
                        x, x_at + k, 1, x_stride, rows, grad_y, y_at + column, y_stride,
                        out, at + k * columns + column, columns, True,
                    )  # fmt: skip
