"""Vector and Tensor PFN's layers before the sum, with gradients: forward keeps the sums alone, backward recomputes.

Gradients of weights are summed over groups of jets, whose number depends on that of the jets alone, and then over the
groups in their order: they do not depend on the number of threads.
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
from ...common.cpu.bilinear_tile import ROWS
from ..maps import affine_maps, features_of, layer_maps, phi_of
from .backward import backward, forward
from .bilinear import TENSOR_PLANES, VECTOR_PLANES
from .weights import packed, packed_maps, padded_features, transposed_maps

__all__ = ["outputs_and_vectors"]


#: Groups of jets whose gradients are kept apart at most, and jets of a group at least.
_GROUPS, _GROUP_JETS = 32, 16
#: Work of a constituent in the units of `over_jets` (pairs).
_CONSTITUENT_WORK = 400


@dataclass(frozen=True)
class _Given:
    """What has no gradient: F, whether scalars grow as logarithms, vectors, frames, boundaries, maps of each layer."""

    features: int
    logarithmic: bool
    vectors: AnyArray
    frames: AnyArray
    offsets: AnyArray
    maps: int

    @property
    def tensors(self) -> bool:
        return self.maps > 3

    @property
    def planes(self) -> int:
        return TENSOR_PLANES if self.tensors else VECTOR_PLANES

    @property
    def thirds(self) -> int:
        return 3 if self.tensors else 2

    @property
    def width(self) -> int:
        """Padded features out of a layer."""
        return self.thirds * padded_features(self.features)

    def layers(self, maps: tuple[Tensor, ...]) -> list[list[Tensor]]:
        return [list(maps[at : at + self.maps]) for at in range(0, len(maps), self.maps)]


def outputs_and_vectors(
    model: JetModel, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """As `inference.outputs_and_vectors`, with gradients: to the network's parameters and to `scalars`."""
    jets = in_double(model.get_submodule("f"), _summed_tracks(model, scalars, vectors, frames_J33, offsets))
    outputs: Tensor = in_double(model.get_submodule("mlp"), jets.invariants())
    return outputs, jets.vectors


def _summed_tracks(
    model: JetModel, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> TensorFeatures:
    """Latent features of a float32 `VectorPFN` or `TensorPFN`, summed over each jet's constituents, in float64."""
    hidden, last = phi_of(model)
    maps = [layer_maps(layer) for layer in hidden]
    given = _Given(
        features_of(hidden[0]),
        model.options["scalar_activation"] == "log_relu",
        np.ascontiguousarray(vectors.detach().numpy(), np.float64),
        np.ascontiguousarray(frames_J33.detach().numpy(), np.float64),
        np.ascontiguousarray(offsets.numpy()),
        len(maps[0]),
    )
    sums: Tensor = _SumOverTracks.apply(  # type: ignore[no-untyped-call]
        given, scalars, *[matrix for layer in maps for matrix in layer]
    )
    # a bias is there once for each constituent
    count = offsets.diff().to(sums)[:, None]
    parts = [sums[0], sums[1:4].movedim(0, 1)]
    if given.tensors:
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
    def forward(ctx: Any, given: _Given, scalars: Tensor, *maps: Tensor) -> Tensor:
        ctx.given = given
        ctx.save_for_backward(scalars, *maps)
        rows, jets = np.ascontiguousarray(scalars.detach().numpy()), len(given.offsets) - 1
        ctx.phi = phi = _packed(given, maps)
        sums = np.empty((given.planes, jets, given.width))

        def run(first: int, last: int) -> None:
            forward(phi, rows, given.vectors, given.frames, given.offsets, given.logarithmic, given.thirds, sums,
                    first, last)  # fmt: skip

        over_jets(run, _CONSTITUENT_WORK * given.offsets, torch.get_num_threads())
        padded = sums.reshape(given.planes, jets, given.thirds, given.width // given.thirds)[..., : given.features]
        shape = given.planes, jets, given.thirds * given.features
        return torch.from_numpy(np.ascontiguousarray(padded).reshape(shape))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given: _Given = ctx.given
        scalars, *maps = ctx.saved_tensors
        layers, jets = given.layers(tuple(maps)), len(given.offsets) - 1
        rows, phi = np.ascontiguousarray(scalars.numpy()), ctx.phi
        first = packed([transposed_maps(layers[0][:1], given.features, 0, scalars.shape[1])], np.float32)
        back = [transposed_maps(layer, given.features, given.thirds, given.width) for layer in layers[1:]]
        transposed = packed(back, np.float32) if back else first
        arriving = np.zeros((given.planes, jets, given.width), np.float32)
        by_thirds = arriving.reshape(given.planes, jets, given.thirds, given.width // given.thirds)
        inner = by_thirds[..., : given.features]
        inner[...] = gradients[0].numpy().reshape(inner.shape)
        places, size = _places(given, layers)
        group = max(_GROUP_JETS, -(-jets // _GROUPS))
        bounds = np.minimum(np.arange(0, jets + group, group), jets) if jets else np.zeros(1, np.int64)
        of_scalars = np.zeros_like(rows)
        of_weights = np.zeros((len(bounds) - 1, size), np.float32)

        def run(start: int, stop: int) -> None:
            backward(phi, transposed, first, rows, given.vectors, given.frames, given.offsets, given.logarithmic,
                     given.thirds, arriving, places, bounds, of_scalars, of_weights, start, stop)  # fmt: skip

        over_jets(run, _CONSTITUENT_WORK * given.offsets[bounds], torch.get_num_threads())
        total = np.zeros(size)
        for part in of_weights:
            total += part
        found = [
            torch.from_numpy(_of_map(total[places[layer, at] :], matrix, given, layer > 0)).to(matrix)
            for layer, matrices in enumerate(layers)
            for at, matrix in enumerate(matrices)
        ]
        return None, torch.from_numpy(of_scalars), *found


def _packed(given: _Given, maps: tuple[Tensor, ...]) -> Any:
    return packed(
        [
            packed_maps(layer, given.features, given.thirds * (index > 0), np.float32)
            for index, layer in enumerate(given.layers(maps))
        ],
        np.float32,
    )


def _rows(matrix: Tensor, given: _Given, products: bool) -> int:
    """A map's inputs as the kernel counts them."""
    inputs = matrix.shape[-1]
    return inputs + given.width - given.thirds * given.features if products else inputs


def _places(given: _Given, layers: list[list[Tensor]]) -> tuple[AnyArray, int]:
    """Where the gradient of each map begins, whole tiles of (K, 2F) or (K, 2, 2F), and where all end."""
    columns = 2 * padded_features(given.features)
    sizes = [
        -(-_rows(matrix, given, index > 0) // ROWS) * ROWS * columns * (matrix.ndim - 1)
        for index, layer in enumerate(layers)
        for matrix in layer
    ]
    ends = np.cumsum([0, *sizes])
    return ends[:-1].reshape(len(layers), -1), int(ends[-1])


def _of_map(values: AnyArray, matrix: Tensor, given: _Given, products: bool) -> AnyArray:
    """A map's gradient, (2F, K) or (2, 2F, K), from what the kernel has summed."""
    features, padded = given.features, padded_features(given.features)
    parts, rows = matrix.ndim - 1, _rows(matrix, given, products)
    found: AnyArray = values[: rows * parts * 2 * padded].reshape(rows, parts, 2, padded)[..., :features]
    found = found.reshape(rows, parts, 2 * features)
    if products:
        inner = found[: given.width].reshape(given.thirds, padded, parts, -1)[:, :features]
        found = np.concatenate([inner.reshape(-1, parts, 2 * features), found[given.width :]])
    found = found.transpose(1, 2, 0).copy()
    # the kernel multiplies by conjugates
    found[1:] *= -1
    return found.reshape(matrix.shape)
