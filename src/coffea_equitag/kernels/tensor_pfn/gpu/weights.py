"""Parameters of Vector and Tensor PFN for their GPU kernels: each layer's linear maps multiplied into one, padded."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....layers.tensor_layer import TensorLayer
from ..maps import affine_maps, features_of, layer_maps, phi_of

__all__ = ["Maps", "TensorPFNWeights", "fold", "padded_features"]

#: The depth of matrix products is a multiple of this.
_DEPTH = 16
#: What a bias contributes, in units of itself: to scalars, zz and xx + yy (Re, Im), the planes of these matrices.
_UNIT = {0: 1.0, 4: 1.0, 9: 2.0, 10: 2.0}


class Maps(NamedTuple):
    """A layer's maps, see `layer_kernel`."""

    weight: Tensor  # (13, K, 2F), or 4 without tensors
    bias: Tensor  # (2, 13, 2F)


class TensorPFNWeights(NamedTuple):
    """Layers before the sum in float32, layers and perceptron (inputs first) after it in float64."""

    phi: tuple[Maps, ...]
    f: tuple[Maps, ...]
    mlp: tuple[tuple[Tensor, Tensor], ...]


def padded_features(features: int) -> int:
    """F padded to a multiple of a matrix product's depth."""
    return -(-features // _DEPTH) * _DEPTH


def fold(model: nn.Module) -> TensorPFNWeights:
    """Fold a network's parameters, on their device."""
    hidden, latent = phi_of(model)
    after = [layer for layer in model.get_submodule("f").children() if isinstance(layer, TensorLayer)]
    perceptron = [layer for layer in model.get_submodule("mlp").children() if isinstance(layer, nn.Linear)]
    thirds = len(affine_maps(latent))
    return TensorPFNWeights(
        phi=tuple(_maps(layer, thirds * (index > 0), torch.float32) for index, layer in enumerate(hidden)),
        f=tuple(_maps(layer, thirds, torch.float64, None if index else latent) for index, layer in enumerate(after)),
        mlp=tuple((layer.weight.double().T.contiguous(), layer.bias.double()) for layer in perceptron),
    )


def _maps(layer: TensorLayer, thirds: int, dtype: torch.dtype, latent: Any = None) -> Maps:
    """Maps of one layer; its inputs are `thirds` times F products, or features as they are for 0."""
    features = features_of(layer)
    padded = padded_features(features)
    biases = 1 if latent is None else 2
    weights: list[Tensor] = []
    added: list[Tensor] = []
    for tensor in layer_maps(layer, latent):
        for matrix in tensor.detach().reshape(-1, *tensor.shape[-2:]):
            # (2F, K) to (K, 2, F)
            columns = matrix.T.reshape(-1, 2, features)
            columns = nn.functional.pad(columns, (0, padded - features)).flatten(1)
            inputs, bias = columns[:-biases], columns[-biases:]
            if thirds:
                inputs = inputs.reshape(thirds, features, -1)
                inputs = nn.functional.pad(inputs, (0, 0, 0, padded - features)).flatten(0, 1)
            else:
                inputs = nn.functional.pad(inputs, (0, 0, 0, -len(inputs) % _DEPTH))
            weights.append(inputs)
            added.append(_UNIT.get(len(added), 0.0) * nn.functional.pad(bias, (0, 0, 2 - biases, 0)))
    # a layer without tensors has four of the matrices
    empty = [torch.zeros_like(added[0])] * (13 - len(added))
    return Maps(
        weight=torch.stack(weights).to(dtype).contiguous(),
        bias=torch.stack(added + empty, dim=1).to(dtype).contiguous(),
    )
