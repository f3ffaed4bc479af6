"""Evaluation of Vector and Tensor PFN, fused: constituents go through all layers in chunks, only their sums are kept.

Layers before the sum are in float32, those after it in float64, as in the reference. Every number is summed in an order
of its own jet alone, so that scores are the same to the last bit in every batch and with any number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, F8, I8
from ....compiled import njit, over_jets
from ....jet_model import JetModel
from ...common.cpu.bilinear_tile import REAL_VECTORS, ROWS, real_tile
from ...common.cpu.registers import lanes_of
from .bilinear import TENSOR_PLANES, VECTOR_PLANES
from .forward import CHUNK, MARGIN, activate, linear, set_unit, sum_tracks
from .weights import Matrices, TensorPFNWeights, padded_features, weights_of

__all__ = ["outputs_and_vectors"]


_LANES = lanes_of(8)
#: Work of a jet beyond its constituents', in constituents: the layers after the sum, in double precision.
_JET_WORK = 8
#: Work of a constituent in the units of `over_jets` (pairs).
_CONSTITUENT_WORK = 200


def outputs_and_vectors(
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
    scalars: F4,
    vectors: F8,
    frames: F8,
    offsets: I8,
    logarithmic: bool,
    planes: int,
    padded: int,
    found: F8,
    outputs: F8,
    first: int,
    last: int,
) -> None:
    width = found.shape[2]
    thirds = width // padded
    # features into a layer and out of its linear maps, for constituents and for jets
    entering = np.zeros((planes, CHUNK, MARGIN), np.float32)
    x4 = np.zeros((planes, CHUNK, width + MARGIN), np.float32)
    y4 = np.zeros((planes, CHUNK, 2 * padded + MARGIN), np.float32)
    sums = np.zeros((planes, CHUNK, width + MARGIN))
    x8, y8 = np.zeros((planes, CHUNK, width + MARGIN)), np.zeros((planes, CHUNK, 2 * padded + MARGIN))
    set_unit(entering, scalars.shape[1], vectors.shape[2] ** 2)
    set_unit(x4, width, width)
    set_unit(x8, width, width)
    set_unit(sums, width + 1, width + 1)
    owners = np.empty(CHUNK, np.int64)
    for jet in range(first, last, CHUNK):
        jets = min(CHUNK, last - jet)
        sum_tracks(
            weights.phi, scalars, vectors, frames, offsets, logarithmic, padded, thirds, jet, jets,
            entering, x4, y4, owners, sums,
        )  # fmt: skip
        for row in range(jets):
            count = offsets[jet + row + 1] - offsets[jet + row]
            sums[0, row, width] = count
            if planes > VECTOR_PLANES:
                sums[4, row, width], sums[9, row, width] = count, 2 * count
        for layer in range(len(weights.f.places)):
            linear(sums if layer == 0 else x8, weights.f, layer, y8, jets)
            activate(y8, x8, padded, thirds, jets, logarithmic)
        for row in range(jets):
            for axis in range(3):
                for f in range(width):
                    found[jet + row, axis, f] = x8[1 + axis, row, f]
        _classify(x8, width, weights.mlp, outputs, jet, jets)


@njit
def _classify(x: F8, width: int, mlp: Matrices, outputs: F8, first: int, rows: int) -> None:
    """The scalars, |v|² and ‖T‖² through the perceptron."""
    deepest = 0
    for step in range(len(mlp.places)):
        deepest = max(deepest, mlp.places[step, 0, 1])
    block = REAL_VECTORS * _LANES
    capacity = (deepest + outputs.shape[1] + 2 * block) // block * block
    seen, out = np.zeros((CHUNK, capacity)), np.zeros((CHUNK, capacity))
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
                    seen, row * capacity, capacity, 1, depth, mlp.values, at + column * depth, block,
                    out, row * capacity + column, capacity, False,
                )  # fmt: skip
        for row in range(rows):
            for f in range(columns):
                if last:
                    outputs[first + row, f] = out[row, f]
                else:
                    seen[row, f] = 0.0 if out[row, f] < 0 else out[row, f]
