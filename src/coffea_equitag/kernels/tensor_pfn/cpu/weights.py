"""Parameters of Vector and Tensor PFN for their CPU kernel: successive linear maps multiplied into one.

Every bias is the weight of one more feature, of scalar 1, vector 0 and tensor 1·I; the affine map before the sum over
tracks is applied after it, where its bias is weighted with their number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from ....array_types import I8, AnyArray
from ....layers.tensor_layer import TensorLayer
from ...common.cpu.aligned import aligned
from ...common.cpu.bilinear_tile import COMPLEX_VECTORS, REAL_VECTORS, ROWS
from ...common.cpu.folding import folded
from ...common.cpu.registers import lanes_of
from ..maps import affine_maps, features_of, layer_maps, phi_of

__all__ = [
    "Matrices",
    "TensorPFNWeights",
    "map_gradient",
    "map_places",
    "packed",
    "packed_maps",
    "padded_features",
    "transposed_maps",
    "weights_of",
]


class Matrices(NamedTuple):
    """Matrices one after another in the layout of the tiles: real (blocks, K, B), complex (blocks, K, 2, B)."""

    values: AnyArray
    places: I8  # (layers, matrices, 2): where one begins, and its K


class TensorPFNWeights(NamedTuple):
    """Layers before the sum in float32, layers and perceptron after it in float64.

    Matrices of a layer, affine and axial map in one, in the order of the planes they act on: scalars; x + iy and z of
    vectors; of tensors zz, zx + i zy, xz + i yz, xx + yy + i (yx − xy), xx − yy + i (xy + yx).
    """

    phi: Matrices
    f: Matrices
    mlp: Matrices  # one matrix a layer, the bias last


def padded_features(features: int) -> int:
    """F padded so that 2F are whole blocks of every tile."""
    half = lanes_of(4) * REAL_VECTORS // 2
    return -(-features // half) * half


def weights_of(model: nn.Module) -> TensorPFNWeights:
    """Fold a network's parameters; cached until one of them changes."""
    return folded(model, _fold)


def _fold(model: nn.Module) -> TensorPFNWeights:
    hidden, latent = phi_of(model)
    after = [layer for layer in model.get_submodule("f").children() if isinstance(layer, TensorLayer)]
    perceptron = [layer for layer in model.get_submodule("mlp").children() if isinstance(layer, nn.Linear)]
    features = features_of(hidden[0])
    thirds = len(affine_maps(latent))
    phi = [packed_maps(layer_maps(layer), features, thirds * (index > 0), np.float32)
           for index, layer in enumerate(hidden)]  # fmt: skip
    f = [packed_maps(layer_maps(layer, None if index else latent), features, thirds, np.float64)
         for index, layer in enumerate(after)]  # fmt: skip
    mlp = []
    for index, layer in enumerate(perceptron):
        weight, bias = (value.detach().double().numpy() for value in (layer.weight, layer.bias))
        weight = weight if index else _spread(weight, features, thirds * thirds)
        mlp.append([_real(np.hstack([weight, bias[:, None]]), np.float64)])
    return TensorPFNWeights(packed(phi, np.float32), packed(f, np.float64), packed(mlp, np.float64))


def packed_maps(maps: list[Tensor], features: int, thirds: int, dtype: type[np.floating[Any]]) -> list[AnyArray]:
    """A layer's maps in the layout of the tiles; their inputs are `thirds` times F products, then the others."""
    out = []
    for tensor in maps:
        parts = tensor.detach().numpy().reshape(-1, *tensor.shape[-2:])
        wide = [_spread(_halves(part, features), features, thirds) for part in parts]
        out.append(_real(wide[0], dtype) if tensor.ndim == 2 else _complex(wide[0], wide[1], dtype))
    return out


def transposed_maps(maps: list[Tensor], features: int, thirds: int, inputs: int) -> list[AnyArray]:
    """Maps from gradients of outputs to those of `inputs` features, float32; columns are whole blocks of all tiles."""
    out = []
    block = lanes_of(4) * REAL_VECTORS
    for tensor in maps:
        parts = tensor.detach().numpy().reshape(-1, *tensor.shape[-2:])
        wide = [_spread(_halves(part, features), features, thirds)[:, :inputs].T for part in parts]
        wide = [np.pad(part, ((0, -inputs % block), (0, 0))) for part in wide]
        out.append(_real(wide[0], np.float32) if tensor.ndim == 2 else _complex(wide[0], -wide[1], np.float32))
    return out


def packed(layers: list[list[AnyArray]], dtype: type[np.floating[Any]]) -> Matrices:
    """Put all matrices of some layers into one array."""
    sizes = np.array([[matrix.size for matrix in matrices] for matrices in layers])
    starts = np.concatenate([[0], np.cumsum(sizes.ravel())[:-1]]).reshape(sizes.shape)
    depths = np.array([[matrix.shape[1] for matrix in matrices] for matrices in layers])
    values = np.concatenate([matrix.ravel() for matrices in layers for matrix in matrices])
    return Matrices(aligned(values, dtype), np.stack([starts, depths], axis=2))


def map_places(layers: list[list[Tensor]], features: int, thirds: int) -> tuple[I8, int]:
    """Where the gradient of each map begins, whole tiles of (K, 2F) or (K, 2, 2F), and where all end."""
    columns = 2 * padded_features(features)
    sizes = [
        -(-_inputs(matrix, features, thirds * (index > 0)) // ROWS) * ROWS * columns * (matrix.ndim - 1)
        for index, layer in enumerate(layers)
        for matrix in layer
    ]
    ends = np.cumsum([0, *sizes])
    return ends[:-1].reshape(len(layers), -1), int(ends[-1])


def map_gradient(values: AnyArray, matrix: Tensor, features: int, thirds: int) -> AnyArray:
    """The gradient of a map (2F, K) or (2, 2F, K), from the numbers that the kernel has summed."""
    padded, parts = padded_features(features), matrix.ndim - 1
    rows, width = _inputs(matrix, features, thirds), thirds * padded
    found: AnyArray = values[: rows * parts * 2 * padded].reshape(rows, parts, 2, padded)[..., :features]
    found = found.reshape(rows, parts, 2 * features)
    products = found[:width].reshape(thirds, padded, parts, 2 * features)[:, :features]
    found = np.concatenate([products.reshape(-1, parts, 2 * features), found[width:]])
    found = found.transpose(1, 2, 0).copy()
    # the kernel multiplies by conjugates
    found[1:] *= -1
    return found.reshape(matrix.shape)


def _inputs(matrix: Tensor, features: int, thirds: int) -> int:
    """A map's inputs, those of `thirds` times F products padded."""
    return int(matrix.shape[-1]) + thirds * (padded_features(features) - features)


def _halves(matrix: AnyArray, features: int) -> AnyArray:
    """Rows of 2F outputs as two padded halves."""
    padded = padded_features(features)
    halves = matrix.reshape(2, features, -1)
    return np.pad(halves, ((0, 0), (0, padded - features), (0, 0))).reshape(2 * padded, -1)


def _spread(matrix: AnyArray, features: int, thirds: int) -> AnyArray:
    """Columns of products with F features each padded; the others stay."""
    padded = padded_features(features)
    products, rest = matrix[:, : thirds * features], matrix[:, thirds * features :]
    wide = np.pad(products.reshape(len(matrix), thirds, features), ((0, 0), (0, 0), (0, padded - features)))
    return np.hstack([wide.reshape(len(matrix), thirds * padded), rest])


def _real(matrix: AnyArray, dtype: type[np.floating[Any]]) -> AnyArray:
    return _blocks(matrix, lanes_of(np.dtype(dtype).itemsize) * REAL_VECTORS)


def _complex(real: AnyArray, imaginary: AnyArray, dtype: type[np.floating[Any]]) -> AnyArray:
    block = lanes_of(np.dtype(dtype).itemsize) * COMPLEX_VECTORS
    return np.stack([_blocks(real, block), _blocks(imaginary, block)], axis=2)


def _blocks(matrix: AnyArray, block: int) -> AnyArray:
    """A matrix (out, K) as (blocks, K, block)."""
    out, depth = matrix.shape
    count = -(-out // block)
    rows = np.pad(matrix.T, ((0, 0), (0, count * block - out)))
    return rows.reshape(depth, count, block).transpose(1, 0, 2)
