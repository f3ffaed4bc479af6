"""The linear maps of Vector and Tensor PFN's layers, successive ones multiplied into one; differentiable.

Every bias is the weight of one more feature, of scalar 1, vector 0 and tensor 1·I; the affine map before the sum over
tracks is applied after it, where its bias is weighted with their number.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...layers.so2_linear import AxisMaps, SO2LinearTensor
from ...layers.so3_affine import SO3Affine
from ...layers.tensor_layer import TensorLayer

__all__ = ["affine_maps", "features_of", "layer_maps", "phi_of"]


def phi_of(model: nn.Module) -> tuple[list[TensorLayer], SO3Affine]:
    """The hidden layers before the sum, and the affine map after them."""
    *hidden, last = model.get_submodule("phi").children()
    assert isinstance(last, SO3Affine)
    return [layer for layer in hidden if isinstance(layer, TensorLayer)], last


def features_of(layer: TensorLayer) -> int:
    """F, half the width of a layer's maps."""
    return layer.affine.scalars.out_features // 2


def affine_maps(affine: SO3Affine) -> list[Tensor]:
    """Matrices (out, in + 1) in float64 of scalars, vectors and tensors, the feature of the biases last."""
    scalars, vectors, tensors = affine.scalars, affine.vectors, affine.tensors
    maps = [
        torch.cat([scalars.weight, scalars.bias[:, None]], dim=1),
        nn.functional.pad(vectors.weight, (0, 1)),
    ]
    if tensors is not None:
        maps.append(torch.cat([tensors.weight, tensors.bias[:, None]], dim=1))
    return [matrix.double() for matrix in maps]


def layer_maps(layer: TensorLayer, before: SO3Affine | None = None) -> list[Tensor]:
    """The linear part of a layer, all before its products, in float64.

    Parameters
    ----------
    layer : TensorLayer
        The layer.
    before : SO3Affine, optional
        An affine map before it; the feature of its biases comes before that of the layer's.

    Returns
    -------
    list of Tensor, shapes (2F, K), or (2, 2F, K) for complex ones
        In the order of the planes they act on: scalars; x + iy and z of vectors; and of tensors zz, zx + i zy,
        xz + i yz, xx + yy + i (yx − xy), xx − yy + i (xy + yx).
    """
    inputs = affine_maps(layer.affine)
    if before is not None:
        inputs = [
            torch.cat([matrix[:, :-1] @ first, matrix[:, -1:]], dim=1)
            for matrix, first in zip(inputs, affine_maps(before), strict=True)
        ]
    if layer.vectors is None:
        return _without_axis(inputs)
    a, b, phi = _axis_maps(layer.vectors)
    maps = [inputs[0], _turn(b, phi) @ inputs[1], a @ inputs[1]]
    if layer.tensors is None:
        return maps
    tensors: SO2LinearTensor = layer.tensors
    (a, b, phi), (a_right, b_right, phi_right) = _axis_maps(tensors.left), _axis_maps(tensors.right)
    bias = nn.functional.pad(tensors.bias.double()[:, None], (inputs[2].shape[1] - 1, 0))
    return [
        *maps,
        (a * a_right) @ inputs[2] + bias,
        _turn(a * b_right, phi_right) @ inputs[2],
        _turn(b * a_right, phi) @ inputs[2],
        _turn(b * b_right, phi - phi_right) @ inputs[2] + torch.stack([bias, torch.zeros_like(bias)]),
        _turn(b * b_right, phi + phi_right) @ inputs[2],
    ]


def _without_axis(inputs: list[Tensor]) -> list[Tensor]:
    """Maps of a layer that is affine only: real, and the same for all planes of vectors and all of tensors."""
    scalars, *others = inputs
    pairs = [torch.stack([matrix, torch.zeros_like(matrix)]) for matrix in others]
    maps = [scalars, pairs[0], others[0]]
    return maps if len(pairs) == 1 else [*maps, others[1], *[pairs[1]] * 4]


def _axis_maps(maps: AxisMaps) -> tuple[Tensor, Tensor, Tensor]:
    return maps.a.double(), maps.b.double(), maps.phi.double()


def _turn(size: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([size * torch.cos(angle), size * torch.sin(angle)])
