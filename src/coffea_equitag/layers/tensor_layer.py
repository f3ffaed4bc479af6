"""One hidden layer of a Vector or Tensor PFN."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .bilinear import bilinear
from .so2_linear import SO2LinearTensor, SO2LinearVector
from .so3_affine import SO3Affine
from .tensor_features import TensorFeatures
from .vector_relu import tensor_relu

__all__ = ["TensorLayer"]


class TensorLayer(nn.Module):
    """Affine map, SO(2)-equivariant linear map, bilinear products, activation (arXiv:2303.11288).

    Parameters
    ----------
    inputs : tuple of int
        Input features: (scalars, vectors), or (scalars, vectors, tensors) for a layer with tensors.
    features : int
        F: affine and linear maps have 2F outputs.
    scalar_relu : callable
        Activation of scalars.
    gains : sequence of float, optional
        Gains of the affine map's initial weights, as in `SO3Affine`.
    products : bool
        Whether features are multiplied; if not, they pass from the linear maps straight to the activation.
    axis_map : bool
        Whether there is a map that commutes with rotations about the jet axis only.

    Attributes
    ----------
    outputs : tuple of int
        Output features in each representation: 3F, or 2F without tensors or without products.
    """

    def __init__(
        self,
        inputs: tuple[int, ...],
        features: int,
        scalar_relu: Callable[[Tensor], Tensor] = torch.relu,
        gains: Sequence[float] | None = None,
        products: bool = True,
        axis_map: bool = True,
    ) -> None:
        super().__init__()
        self.scalar_relu = scalar_relu
        self.products = products
        self.outputs = ((len(inputs) if products else 2) * features,) * len(inputs)
        self.affine = SO3Affine(inputs, 2 * features, gains)
        width = 2 * features
        self.vectors = SO2LinearVector(width, width) if axis_map else None
        self.tensors = SO2LinearTensor(width, width) if axis_map and len(inputs) > 2 else None

    def forward(self, x: TensorFeatures) -> TensorFeatures:
        """Map features, with components in frames whose z axis is ĵ."""
        x = self._about_axis(self.affine(x))
        return tensor_relu(bilinear(x) if self.products else x, self.scalar_relu)

    def _about_axis(self, x: TensorFeatures) -> TensorFeatures:
        if self.vectors is None:
            return x
        tensors = None if self.tensors is None or x.tensors is None else self.tensors(x.tensors)
        return TensorFeatures(x.scalars, self.vectors(x.vectors), tensors)
