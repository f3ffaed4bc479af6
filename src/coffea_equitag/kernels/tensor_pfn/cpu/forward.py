"""Vector and Tensor PFN, track after track and jet after jet: sums over tracks alone, or the whole network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from .bilinear import VECTOR_PLANES
from .layer import CHUNK, MARGIN, Tracks, activate, linear, load_track, set_unit
from .readout import classify
from .weights import Matrices, TensorPFNWeights

__all__ = ["Shape", "forward", "score"]


class Shape(NamedTuple):
    """Sizes of a network's features, and its activation."""

    planes: int  # components of a feature: `TENSOR_PLANES`, or `VECTOR_PLANES`
    padded: int  # F padded
    thirds: int  # 3 products of each representation, 2 without tensors
    logarithmic: bool  # scalars beyond 1 grow as 1 + log s


class _Rows(NamedTuple):
    """Space for a chunk of tracks, and for a chunk of jets."""

    inputs: F4
    x: F4  # features into a layer
    y: F4  # and out of its maps
    owners: I8  # the jet of each row, within the chunk
    sums: F8


@inner
def _make_rows(tracks: Tracks, shape: Shape) -> _Rows:
    width = shape.thirds * shape.padded
    inputs = np.zeros((shape.planes, CHUNK, MARGIN), np.float32)
    x = np.zeros((shape.planes, CHUNK, width + MARGIN), np.float32)
    y = np.zeros((shape.planes, CHUNK, 2 * shape.padded + MARGIN), np.float32)
    set_unit(inputs, tracks.scalars.shape[1], tracks.vectors.shape[2] ** 2)
    set_unit(x, width, width)
    return _Rows(inputs, x, y, np.empty(CHUNK, np.int64), np.zeros((shape.planes, CHUNK, width + MARGIN)))


@inner
def _sum_tracks(phi: Matrices, tracks: Tracks, shape: Shape, jet: int, jets: int, rows: _Rows) -> None:
    """What the hidden layers before the sum make of tracks, summed over each of some jets into `rows.sums`."""
    width, offsets = shape.thirds * shape.padded, tracks.offsets
    inputs, x, y, owners, sums = rows.inputs, rows.x, rows.y, rows.owners, rows.sums
    for plane in range(shape.planes):
        for row in range(jets):
            for f in range(width):
                sums[plane, row, f] = 0
    owner = jet
    for start in range(offsets[jet], offsets[jet + jets], CHUNK):
        count = min(CHUNK, offsets[jet + jets] - start)
        for row in range(count):
            while offsets[owner + 1] <= start + row:
                owner += 1
            owners[row] = owner - jet
            load_track(inputs, row, tracks, start + row, owner)
        for layer in range(len(phi.places)):
            linear(inputs if layer == 0 else x, phi, layer, y, count)
            activate(y, x, shape.padded, shape.thirds, count, shape.logarithmic)
        for plane in range(shape.planes):
            for row in range(count):
                total, values = sums[plane, owners[row]], x[plane, row]
                for f in range(width):
                    total[f] += values[f]


@njit
def forward(phi: Matrices, tracks: Tracks, shape: Shape, out: F8, first: int, last: int) -> None:
    """Sums over the tracks of jets `first` to `last`, planes (P, J, width)."""
    rows = _make_rows(tracks, shape)
    for jet in range(first, last, CHUNK):
        jets = min(CHUNK, last - jet)
        _sum_tracks(phi, tracks, shape, jet, jets, rows)
        for plane in range(shape.planes):
            for row in range(jets):
                for f in range(out.shape[2]):
                    out[plane, jet + row, f] = rows.sums[plane, row, f]


@njit
def score(
    weights: TensorPFNWeights, tracks: Tracks, shape: Shape, vectors: F8, outputs: F8, first: int, last: int
) -> None:
    """Outputs (J, K) of jets `first` to `last`, and the last layer's vectors (J, 3, width)."""
    width = shape.thirds * shape.padded
    rows = _make_rows(tracks, shape)
    sums = rows.sums
    x, y = np.zeros_like(sums), np.zeros((shape.planes, CHUNK, 2 * shape.padded + MARGIN))
    set_unit(x, width, width)
    set_unit(sums, width + 1, width + 1)
    for jet in range(first, last, CHUNK):
        jets = min(CHUNK, last - jet)
        _sum_tracks(weights.phi, tracks, shape, jet, jets, rows)
        for row in range(jets):
            # the bias of the affine map before the sum is there once per track
            count = tracks.offsets[jet + row + 1] - tracks.offsets[jet + row]
            sums[0, row, width] = count
            if shape.planes > VECTOR_PLANES:
                sums[4, row, width], sums[9, row, width] = count, 2 * count
        for layer in range(len(weights.f.places)):
            linear(sums if layer == 0 else x, weights.f, layer, y, jets)
            activate(y, x, shape.padded, shape.thirds, jets, shape.logarithmic)
        for row in range(jets):
            for axis in range(3):
                for f in range(width):
                    vectors[jet + row, axis, f] = x[1 + axis, row, f]
        classify(x, width, weights.mlp, outputs, jet, jets)
