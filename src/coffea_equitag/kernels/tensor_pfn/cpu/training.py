"""Vector and Tensor PFN with gradients: forward stores the sums over tracks alone, backward computes the rest again.

Gradients of weights are summed over groups of jets, whose number depends on that of the jets alone, and then over the
groups in their order: they do not depend on the number of threads. Layers after the sum, one row per jet, are torch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....array_types import AnyArray
from ....compiled import over_jets
from ....jet_model import JetModel
from ....layers.double import in_double
from ....layers.tensor_features import TensorFeatures
from ..maps import affine_maps, features_of, layer_maps, phi_of
from .backward import Gradients, backward
from .bilinear import TENSOR_PLANES, VECTOR_PLANES
from .forward import Shape, forward
from .layer import Tracks, make_tracks
from .weights import map_gradient, map_places, packed, packed_maps, padded_features, transposed_maps

__all__ = ["outputs_and_vectors"]


#: Groups of jets whose gradients are summed separately at most, and jets per group at least.
_GROUPS, _GROUP_JETS = 32, 16
#: Work of a track in the units of `over_jets` (pairs).
_TRACK_WORK = 400


@dataclass(frozen=True)
class _Constants:
    """What has no gradient."""

    features: int  # F
    maps: int  # maps of a layer
    shape: Shape
    tracks: Tracks

    @property
    def thirds(self) -> int:
        return self.shape.thirds

    @property
    def width(self) -> int:
        """Padded features out of a layer."""
        return self.shape.thirds * self.shape.padded

    def layers(self, maps: tuple[Tensor, ...]) -> list[list[Tensor]]:
        """Maps of each layer."""
        return [list(maps[at : at + self.maps]) for at in range(0, len(maps), self.maps)]

    def unpadded(self, values: AnyArray) -> AnyArray:
        """Numbers (..., thirds · padded F) as a view (..., thirds, F)."""
        return values.reshape(*values.shape[:-1], self.thirds, self.shape.padded)[..., : self.features]


def outputs_and_vectors(
    model: JetModel, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """As `inference.outputs_and_vectors`, with gradients: of the network's parameters and of `scalars`."""
    jets = in_double(model.get_submodule("f"), _latent_features(model, scalars, vectors, frames_J33, offsets))
    outputs: Tensor = in_double(model.get_submodule("mlp"), jets.invariants())
    return outputs, jets.vectors


def _latent_features(
    model: JetModel, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> TensorFeatures:
    """Latent features of a float32 `VectorPFN` or `TensorPFN`, summed over each jet's tracks, in float64."""
    hidden, last = phi_of(model)
    maps = [layer_maps(layer) for layer in hidden]
    features, has_tensors = features_of(hidden[0]), len(maps[0]) > 3
    planes, thirds = (TENSOR_PLANES, 3) if has_tensors else (VECTOR_PLANES, 2)
    shape = Shape(planes, padded_features(features), thirds, model.options["scalar_activation"] == "log_relu")
    constants = _Constants(features, len(maps[0]), shape, make_tracks(scalars, vectors, frames_J33, offsets))
    sums: Tensor = _SumOverTracks.apply(  # type: ignore[no-untyped-call]
        constants, scalars, *[matrix for layer in maps for matrix in layer]
    )
    # a bias is there once per track
    count = offsets.diff().to(sums)[:, None]
    parts = [sums[0], sums[1:4].movedim(0, 1)]
    if has_tensors:
        zz, zx, zy, xz, yz, even, odd, plus, cross = sums[4:]
        xx, yy, yx, xy = (even + plus) / 2, (even - plus) / 2, (cross + odd) / 2, (cross - odd) / 2
        rows = [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]]
        parts.append(torch.stack([torch.stack(row, dim=1) for row in rows], dim=1))
    units = [count, count[:, None] * 0, count[:, None, None] * torch.eye(3, dtype=sums.dtype)[:, :, None]]
    mixed = [
        part @ matrix[:, :-1].T + unit * matrix[:, -1]
        for part, unit, matrix in zip(parts, units, affine_maps(last), strict=False)
    ]
    return TensorFeatures(*mixed)


class _SumOverTracks(torch.autograd.Function):
    """Hidden layers, and their sums over each jet: planes (P, J, 3F) in float64."""

    @staticmethod
    def forward(ctx: Any, constants: _Constants, scalars: Tensor, *maps: Tensor) -> Tensor:
        ctx.constants = constants
        ctx.save_for_backward(scalars, *maps)
        tracks, shape, thirds = constants.tracks, constants.shape, constants.thirds
        ctx.phi = phi = packed(
            [
                packed_maps(layer, constants.features, thirds * (index > 0), np.float32)
                for index, layer in enumerate(constants.layers(maps))
            ],
            np.float32,
        )
        sums = np.empty((shape.planes, len(tracks.offsets) - 1, constants.width))

        def run(first: int, last: int) -> None:
            forward(phi, tracks, shape, sums, first, last)

        over_jets(run, _TRACK_WORK * tracks.offsets, torch.get_num_threads())
        unpadded = np.ascontiguousarray(constants.unpadded(sums))
        return torch.from_numpy(unpadded.reshape(*sums.shape[:2], thirds * constants.features))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:
        constants: _Constants = ctx.constants
        scalars, *maps = ctx.saved_tensors
        tracks, shape, features = constants.tracks, constants.shape, constants.features
        layers, jets = constants.layers(tuple(maps)), len(tracks.offsets) - 1
        first_transposed = packed([transposed_maps(layers[0][:1], features, 0, scalars.shape[1])], np.float32)
        others = [transposed_maps(layer, features, shape.thirds, constants.width) for layer in layers[1:]]
        transposed = packed(others, np.float32) if others else first_transposed
        grad_sums = np.zeros((shape.planes, jets, constants.width), np.float32)
        unpadded = constants.unpadded(grad_sums)
        unpadded[...] = arriving[0].numpy().reshape(unpadded.shape)
        places, size = map_places(layers, features, shape.thirds)
        groups = _groups(jets)
        grad_maps = np.zeros((len(groups) - 1, size), np.float32)
        grads = Gradients(grad_sums, np.zeros_like(tracks.scalars), grad_maps, places, groups)

        def run(first: int, last: int) -> None:
            backward(ctx.phi, transposed, first_transposed, tracks, shape, grads, first, last)

        over_jets(run, _TRACK_WORK * tracks.offsets[groups], torch.get_num_threads())
        total = np.zeros(size)
        for of_group in grad_maps:
            total += of_group
        found = [
            torch.from_numpy(map_gradient(total[place:], matrix, features, shape.thirds * (layer > 0))).to(matrix)
            for layer, (matrices, of_layer) in enumerate(zip(layers, places, strict=True))
            for matrix, place in zip(matrices, of_layer, strict=True)
        ]
        return None, torch.from_numpy(grads.scalars), *found


def _groups(jets: int) -> AnyArray:
    """The first jet of each group, and the number of jets."""
    if jets == 0:
        return np.zeros(1, np.int64)
    size = max(_GROUP_JETS, -(-jets // _GROUPS))
    return np.minimum(np.arange(0, jets + size, size), jets)
