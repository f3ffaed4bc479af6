"""Evaluation of Vector and Tensor PFN, fused: constituents go through all layers in chunks, only their sums are kept.

Layers before the sum are in float32, those after it in float64, as in the reference. Every number is summed in an order
of its own jet alone, so that scores are the same to the last bit in every batch and with any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...compiled import njit, over_jets
from ...models.base import JetModel
from .bilinear import TENSOR_PLANES, VECTOR_PLANES, multiply_tensors, multiply_vectors
from .bilinear_registers import lanes_of
from .bilinear_tile import COMPLEX_VECTORS, REAL_VECTORS, ROWS, complex_tile, real_tile
from .elementary import psi
from .tensor_pfn_weights import Matrices, TensorPFNWeights, padded_features, weights_of

__all__ = ["tensor_pfn_outputs"]

_Floats = np.ndarray[Any, Any]
_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]

#: Constituents, and jets, worked on at once: whole tiles.
_CHUNK = 5 * ROWS
#: Numbers after the features of a row: the features of biases, and what keeps rows from falling on the same cache sets.
_MARGIN = 16
_LANES4, _LANES8 = lanes_of(4), lanes_of(8)
#: Work of a jet beyond its constituents', in constituents: the layers after the sum, in double precision.
_JET_WORK = 8
#: Work of a constituent in the units of `over_jets` (pairs).
_CONSTITUENT_WORK = 200
#: The planes a layer's matrices act on, and whether that is two of them, as one complex number.
_PLANES, _COMPLEX = np.array([0, 1, 3, 4, 5, 7, 9, 11]), np.array([0, 1, 0, 0, 1, 1, 1, 1], np.bool_)


def tensor_pfn_outputs(
    model: JetModel, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """What the perceptron of a float32 `VectorPFN` or `TensorPFN` makes of each jet, and the last layer's vectors.

    Parameters
    ----------
    model : VectorPFN
        With hidden layers before and after the sum.
    scalars : Tensor of float32, shape (N, S)
        Scalars of the constituents.
    vectors : Tensor of float64, shape (N, 3, V)
        Component along the detector's axes, then vector.
    frames_J33 : Tensor of float64, shape (J, 3, 3)
        Rows x̂, ŷ, ẑ = ĵ.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.

    Returns
    -------
    outputs : Tensor of float64, shape (J, K)
    vectors : Tensor of float64, shape (J, 3, 3F), or 2F without tensors
        In the jets' frames.
    """
    weights, options = weights_of(model), model.options
    features = int(options["features"])
    planes, thirds = (TENSOR_PLANES, 3) if weights.f.places.shape[1] > 3 else (VECTOR_PLANES, 2)
    rows = np.ascontiguousarray(scalars.detach().numpy(), np.float32)
    directed = np.ascontiguousarray(vectors.detach().numpy(), np.float64)
    frames = np.ascontiguousarray(frames_J33.detach().numpy(), np.float64)
    bounds = np.ascontiguousarray(offsets.numpy())
    jets = len(bounds) - 1
    mlp = model.get_submodule("mlp")
    outputs = np.empty((jets, [*mlp.parameters()][-1].shape[0]))
    padded = padded_features(features)
    found = np.empty((jets, 3, thirds * padded))
    logarithmic = options["scalar_activation"] == "log_relu"

    def run(first: int, last: int) -> None:
        _score(weights, rows, directed, frames, bounds, logarithmic, planes, padded, found, outputs, first, last)

    over_jets(run, _CONSTITUENT_WORK * (bounds + _JET_WORK * np.arange(jets + 1)), torch.get_num_threads())
    found = found.reshape(jets, 3, thirds, padded)[..., :features]
    kept = np.ascontiguousarray(found).reshape(jets, 3, thirds * features)
    return torch.from_numpy(outputs), torch.from_numpy(kept)


@njit
def _score(
    weights: TensorPFNWeights,
    scalars: _F4,
    vectors: _F8,
    frames: _F8,
    offsets: _I8,
    logarithmic: bool,
    planes: int,
    padded: int,
    found: _F8,
    outputs: _F8,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    width = found.shape[2]
    thirds = width // padded
    # features into a layer and out of its linear maps, for constituents and for jets
    entering = np.zeros((planes, _CHUNK, _MARGIN), np.float32)
    x4 = np.zeros((planes, _CHUNK, width + _MARGIN), np.float32)
    y4 = np.zeros((planes, _CHUNK, 2 * padded + _MARGIN), np.float32)
    sums = np.zeros((planes, _CHUNK, width + _MARGIN))
    x8, y8 = np.zeros((planes, _CHUNK, width + _MARGIN)), np.zeros((planes, _CHUNK, 2 * padded + _MARGIN))
    _set_unit(entering, scalars.shape[1], vectors.shape[2] ** 2)
    _set_unit(x4, width, width)
    _set_unit(x8, width, width)
    _set_unit(sums, width + 1, width + 1)
    owners = np.empty(_CHUNK, np.int64)
    for jet in range(first, last, _CHUNK):
        jets = min(_CHUNK, last - jet)
        for plane in range(planes):
            for row in range(jets):
                for f in range(width):
                    sums[plane, row, f] = 0
        owner = jet
        for start in range(offsets[jet], offsets[jet + jets], _CHUNK):
            count = min(_CHUNK, offsets[jet + jets] - start)
            for row in range(count):
                while offsets[owner + 1] <= start + row:
                    owner += 1
                owners[row] = owner - jet
                _enter(entering, row, scalars, vectors, frames, start + row, owner)
            for layer in range(len(weights.phi.places)):
                _linear(entering if layer == 0 else x4, weights.phi, layer, y4, count)
                _activate(y4, x4, padded, thirds, count, logarithmic)
            for plane in range(planes):
                for row in range(count):
                    total, values = sums[plane, owners[row]], x4[plane, row]
                    for f in range(width):
                        total[f] += values[f]
        for row in range(jets):
            count = offsets[jet + row + 1] - offsets[jet + row]
            sums[0, row, width] = count
            if planes > VECTOR_PLANES:
                sums[4, row, width], sums[9, row, width] = count, 2 * count
        for layer in range(len(weights.f.places)):
            _linear(sums if layer == 0 else x8, weights.f, layer, y8, jets)
            _activate(y8, x8, padded, thirds, jets, logarithmic)
        for row in range(jets):
            for axis in range(3):
                for f in range(width):
                    found[jet + row, axis, f] = x8[1 + axis, row, f]
        _classify(x8, width, weights.mlp, outputs, jet, jets)


@njit
def _set_unit(x: _Floats, scalar: int, tensor: int) -> None:  # pragma: no cover
    """The feature of the biases, scalar 1 and unit matrix, in all rows."""
    for row in range(x.shape[1]):
        x[0, row, scalar] = 1
        if len(x) > VECTOR_PLANES:
            x[4, row, tensor], x[9, row, tensor] = 1, 2


@njit
def _enter(
    x: _F4, row: int, scalars: _F4, vectors: _F8, frames: _F8, constituent: int, jet: int
) -> None:  # pragma: no cover
    """A constituent's row: its vectors turned into the jet's frame, their outer products."""
    count = vectors.shape[2]
    for s in range(scalars.shape[1]):
        x[0, row, s] = scalars[constituent, s]
    for axis in range(3):
        for v in range(count):
            total = frames[jet, axis, 0] * vectors[constituent, 0, v]
            for k in range(1, 3):
                total += frames[jet, axis, k] * vectors[constituent, k, v]
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


@njit
def _linear(x: _Floats, weights: Matrices, layer: int, y: _Floats, rows: int) -> None:  # pragma: no cover
    """All matrices of a layer on rows of features; whole tiles are computed."""
    x_stride, y_stride, lanes = x.shape[2], y.shape[2], _LANES4 if y.itemsize == 4 else _LANES8
    x_plane, y_plane = x.shape[1] * x_stride, y.shape[1] * y_stride
    columns = (y_stride - _MARGIN) // lanes * lanes
    for matrix in range(weights.places.shape[1]):
        plane = _PLANES[matrix]
        at, depth = weights.places[layer, matrix]
        x_at, y_at = plane * x_plane, plane * y_plane
        if _COMPLEX[matrix]:
            block = COMPLEX_VECTORS * lanes
            for column in range(0, columns, block):
                for row in range(0, rows, ROWS):
                    complex_tile(
                        x, x_at + row * x_stride, x_stride, x_plane, depth,
                        weights.values, at + 2 * column * depth, 2 * block, block,
                        y, y_at + row * y_stride + column, y_stride, y_plane, False,
                    )  # fmt: skip
        else:
            block = REAL_VECTORS * lanes
            for column in range(0, columns, block):
                for row in range(0, rows, ROWS):
                    real_tile(
                        x, x_at + row * x_stride, x_stride, depth,
                        weights.values, at + column * depth, block,
                        y, y_at + row * y_stride + column, y_stride,
                    )  # fmt: skip


@njit
def _activate(
    y: _Floats, x: _Floats, padded: int, thirds: int, rows: int, logarithmic: bool
) -> None:  # pragma: no cover
    """Products of the halves of y, cut to size, into x."""
    x_stride, y_stride = x.shape[2], y.shape[2]
    x_plane, y_plane = x.shape[1] * x_stride, y.shape[1] * y_stride
    lanes = _LANES4 if y.itemsize == 4 else _LANES8
    for row in range(rows):
        for f in range(0, padded, lanes):
            if len(y) > VECTOR_PLANES:
                multiply_tensors(y, row * y_stride + f, y_plane, padded, x, row * x_stride + f, x_plane, padded)
            else:
                multiply_vectors(y, row * y_stride + f, y_plane, padded, x, row * x_stride + f, x_plane, padded)
        _cut_scalars(x, row, thirds * padded, logarithmic)


@njit
def _cut_scalars(x: _Floats, row: int, width: int, logarithmic: bool) -> None:  # pragma: no cover
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


@njit
def _classify(x: _F8, width: int, mlp: Matrices, outputs: _F8, first: int, rows: int) -> None:  # pragma: no cover
    """The scalars, |v|² and ‖T‖² through the perceptron."""
    deepest = 0
    for step in range(len(mlp.places)):
        deepest = max(deepest, mlp.places[step, 0, 1])
    block = REAL_VECTORS * _LANES8
    capacity = (deepest + outputs.shape[1] + 2 * block) // block * block
    seen, out = np.zeros((_CHUNK, capacity)), np.zeros((_CHUNK, capacity))
    for row in range(rows):
        for f in range(width):
            seen[row, f] = x[0, row, f]
            seen[row, width + f] = x[1, row, f] ** 2 + x[2, row, f] ** 2 + x[3, row, f] ** 2
            if len(x) > VECTOR_PLANES:
                square = x[4, row, f] ** 2
                for plane in range(5, 9):
                    square += x[plane, row, f] ** 2
                for plane in range(9, 13):
                    square += 0.5 * x[plane, row, f] ** 2
                seen[row, 2 * width + f] = square
    for step in range(len(mlp.places)):
        at, depth = mlp.places[step, 0]
        last = step == len(mlp.places) - 1
        columns = outputs.shape[1] if last else mlp.places[step + 1, 0, 1] - 1
        for row in range(rows):
            seen[row, depth - 1] = 1
        for column in range(0, columns, block):
            for row in range(0, rows, ROWS):
                real_tile(
                    seen, row * capacity, capacity, depth, mlp.values, at + column * depth, block,
                    out, row * capacity + column, capacity,
                )  # fmt: skip
        for row in range(rows):
            for f in range(columns):
                if last:
                    outputs[first + row, f] = out[row, f]
                else:
                    seen[row, f] = 0.0 if out[row, f] < 0 else out[row, f]
