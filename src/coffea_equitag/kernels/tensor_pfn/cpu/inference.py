"""Evaluation of Vector and Tensor PFN, fused: tracks pass through all layers in chunks, only their sums are stored.

Layers before the sum are in float32, those after it in float64, as in the layers. Every number is summed in an order of
its own jet alone, so that scores are the same to the last bit in every batch and with any number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....compiled import over_jets
from ....jet_model import JetModel
from .bilinear import TENSOR_PLANES, VECTOR_PLANES
from .forward import Shape, score
from .layer import CHUNK, make_tracks
from .weights import padded_features, weights_of

__all__ = ["outputs_and_vectors"]


#: Work of a jet beyond its tracks', in tracks: the layers after the sum, in double precision.
_JET_WORK = 8
#: Work of a track in the units of `over_jets` (pairs).
_TRACK_WORK = 200


def outputs_and_vectors(
    model: JetModel, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs of the perceptron of a float32 `VectorPFN` or `TensorPFN` for each jet, and the last layer's vectors.

    Parameters
    ----------
    model : VectorPFN
        With hidden layers before and after the sum.
    scalars : Tensor of float32, shape (N, S)
        Scalars of the tracks.
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
    weights, tracks = weights_of(model), make_tracks(scalars, vectors, frames_J33, offsets)
    features, jets = int(model.options["features"]), len(tracks.offsets) - 1
    planes, thirds = (TENSOR_PLANES, 3) if weights.f.places.shape[1] > 3 else (VECTOR_PLANES, 2)
    shape = Shape(planes, padded_features(features), thirds, model.options["scalar_activation"] == "log_relu")
    outputs = np.empty((jets, [*model.get_submodule("mlp").parameters()][-1].shape[0]))
    last_vectors = np.empty((jets, 3, thirds * shape.padded))

    # the layers after the sum run on as many jets at once
    starts = np.append(np.arange(0, jets, CHUNK), jets)

    def run(first: int, last: int) -> None:
        score(weights, tracks, shape, last_vectors, outputs, starts[first], starts[last])

    work = _TRACK_WORK * (tracks.offsets + _JET_WORK * np.arange(jets + 1))
    over_jets(run, work[starts], torch.get_num_threads())
    unpadded = last_vectors.reshape(jets, 3, thirds, shape.padded)[..., :features]
    return torch.from_numpy(outputs), torch.from_numpy(unpadded.reshape(jets, 3, thirds * features).copy())
