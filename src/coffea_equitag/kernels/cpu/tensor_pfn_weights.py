"""Parameters of Vector and Tensor PFN as their CPU kernel wants them: linear maps that follow each other made one.

Every bias is the weight of one more feature, of scalar 1, vector 0 and tensor 1·I; the affine map before the sum over
tracks is done after it, where its bias is weighted with their number.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from torch import nn

from .bilinear_registers import lanes_of
from .bilinear_tile import COMPLEX_VECTORS, REAL_VECTORS

__all__ = ["Matrices", "TensorPFNWeights", "padded_features", "weights_of"]

_Floats = np.ndarray[Any, Any]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]

#: Network -> (its parameters' bits, what they were folded to).
_folded: WeakKeyDictionary[nn.Module, tuple[list[_Floats], TensorPFNWeights]] = WeakKeyDictionary()


class Matrices(NamedTuple):
    """Matrices one after another, as tiles want them: real ones (blocks, K, B), complex ones (blocks, K, 2, B)."""

    values: _Floats
    places: _I8  # (layers, matrices, 2): where one begins, and its K


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
    """Fold a network's parameters; kept until one of them changes."""
    values = [np.ascontiguousarray(tensor.detach().numpy()).view(np.int32) for tensor in model.parameters()]
    known = _folded.get(model)
    # compared by value: changes through .data leave no trace in torch's version counters
    if known is not None and all(map(np.array_equal, known[0], values)):
        return known[1]
    found = _fold({name: tensor.detach().double().numpy() for name, tensor in model.state_dict().items()})
    _folded[model] = [value.copy() for value in values], found
    return found


def _fold(state: dict[str, _F8]) -> TensorPFNWeights:
    phi_layers, f_layers = _count(state, "phi"), _count(state, "f")
    features = len(state["phi.0.affine.scalars.weight"]) // 2
    padded = padded_features(features)
    last = f"phi.{phi_layers}."
    phi, f = [], []
    for layer in range(phi_layers):
        inputs = _affine(state, f"phi.{layer}.affine.")
        phi.append(_layer(state, f"phi.{layer}.", inputs, features, padded, layer > 0, np.float32))
    for layer in range(f_layers):
        inputs = _affine(state, f"f.{layer}.affine.")
        if layer == 0:
            inputs = _after(inputs, _affine(state, last))
        f.append(_layer(state, f"f.{layer}.", inputs, features, padded, True, np.float64))
    representations = 3 if "f.0.tensors.bias" in state else 2
    mlp = []
    for step in range(0, 2 * _count(state, "mlp", 2), 2):
        weight = state[f"mlp.{step}.weight"]
        if step == 0:
            thirds = representations * representations
            weight = _spread(weight, features, padded, thirds)
        bias = state[f"mlp.{step}.bias"][:, None]
        mlp.append([_real(np.hstack([weight, bias]), np.float64)])
    return TensorPFNWeights(_packed(phi, np.float32), _packed(f, np.float64), _packed(mlp, np.float64))


def _packed(layers: list[list[_Floats]], dtype: type[np.floating[Any]]) -> Matrices:
    sizes = np.array([[matrix.size for matrix in matrices] for matrices in layers])
    starts = np.concatenate([[0], np.cumsum(sizes.ravel())[:-1]]).reshape(sizes.shape)
    depths = np.array([[matrix.shape[1] for matrix in matrices] for matrices in layers])
    values = np.concatenate([matrix.ravel() for matrices in layers for matrix in matrices])
    return Matrices(aligned(values, dtype), np.stack([starts, depths], axis=2))


def _count(state: dict[str, _F8], part: str, stride: int = 1) -> int:
    key = {"mlp": "weight"}.get(part, "affine.scalars.weight")
    found = 0
    while f"{part}.{found * stride}.{key}" in state:
        found += 1
    return found


def _affine(state: dict[str, _F8], prefix: str) -> dict[str, _F8]:
    """Matrices over features and the one more for the bias."""
    scalars = np.hstack([state[prefix + "scalars.weight"], state[prefix + "scalars.bias"][:, None]])
    vectors = state[prefix + "vectors.weight"]
    found = {"scalars": scalars, "vectors": np.pad(vectors, ((0, 0), (0, 1)))}
    if prefix + "tensors.weight" in state:
        found["tensors"] = np.hstack([state[prefix + "tensors.weight"], state[prefix + "tensors.bias"][:, None]])
    return found


def _after(second: dict[str, _F8], first: dict[str, _F8]) -> dict[str, _F8]:
    """Both maps in one: the first's bias has a feature of its own, before that of the second's."""
    return {name: np.hstack([matrix[:, :-1] @ first[name], matrix[:, -1:]]) for name, matrix in second.items()}


def _layer(
    state: dict[str, _F8],
    prefix: str,
    inputs: dict[str, _F8],
    features: int,
    padded: int,
    products: bool,
    dtype: type[np.floating[Any]],
) -> list[_Floats]:
    """The layer's matrices."""
    thirds = len(inputs) if products else 0

    def columns(matrix: _Floats) -> _Floats:
        return _spread(_halves(matrix, features, padded), features, padded, thirds)

    def maps(name: str) -> tuple[_F8, _F8, _F8]:
        a, b, phi = (state[f"{prefix}{name}.{key}"] for key in ("a", "b", "phi"))
        return a, b, phi

    a, b, phi = maps("vectors")
    scalars = _real(columns(inputs["scalars"]), dtype)
    along = _real(columns(a @ inputs["vectors"]), dtype)
    across = _complex(columns((b * np.exp(1j * phi)) @ inputs["vectors"]), dtype)
    if "tensors" not in inputs:
        return [scalars, across, along]
    (a, b, phi), (a_right, b_right, phi_right) = maps("tensors.left"), maps("tensors.right")
    bias = np.zeros_like(inputs["tensors"])
    bias[:, -1] = state[prefix + "tensors.bias"]
    turns = (
        (a * b_right, phi_right, 0.0),
        (b * a_right, phi, 0.0),
        (b * b_right, phi - phi_right, 1.0),
        (b * b_right, phi + phi_right, 0.0),
    )
    turned = [
        _complex(columns((size * np.exp(1j * angle)) @ inputs["tensors"] + share * bias), dtype)
        for size, angle, share in turns
    ]
    zz = _real(columns((a * a_right) @ inputs["tensors"] + bias), dtype)
    return [scalars, across, along, zz, *turned]


def _halves(matrix: _Floats, features: int, padded: int) -> _Floats:
    """Rows of 2F outputs as two padded halves."""
    halves = matrix.reshape(2, features, -1)
    return np.pad(halves, ((0, 0), (0, padded - features), (0, 0))).reshape(2 * padded, -1)


def _spread(matrix: _Floats, features: int, padded: int, thirds: int) -> _Floats:
    """Columns of products with F features each padded; what follows stays."""
    products, rest = matrix[:, : thirds * features], matrix[:, thirds * features :]
    wide = np.pad(products.reshape(len(matrix), thirds, features), ((0, 0), (0, 0), (0, padded - features)))
    return np.hstack([wide.reshape(len(matrix), thirds * padded), rest])


def _real(matrix: _Floats, dtype: type[np.floating[Any]]) -> _Floats:
    return _blocks(matrix, lanes_of(np.dtype(dtype).itemsize) * REAL_VECTORS)


def _complex(matrix: _Floats, dtype: type[np.floating[Any]]) -> _Floats:
    blocks = _blocks(matrix, lanes_of(np.dtype(dtype).itemsize) * COMPLEX_VECTORS)
    return np.stack([blocks.real, blocks.imag], axis=2)


def _blocks(matrix: _Floats, block: int) -> _Floats:
    """A matrix (out, K) as (blocks, K, block)."""
    out, depth = matrix.shape
    count = -(-out // block)
    rows = np.pad(matrix.T, ((0, 0), (0, count * block - out)))
    return rows.reshape(depth, count, block).transpose(1, 0, 2)


def aligned(values: _Floats, dtype: type[np.floating[Any]]) -> _Floats:
    """A contiguous copy that begins with a cache line."""
    size = np.dtype(dtype).itemsize
    buffer = np.empty(values.size * size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    out = buffer[start : start + values.size * size].view(dtype).reshape(values.shape)
    out[...] = values
    return out
