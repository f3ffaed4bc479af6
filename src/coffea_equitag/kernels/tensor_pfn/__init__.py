"""Vector and Tensor PFN's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...jet_model import JetModel
from ...layers.so2_linear import AxisMaps, SO2LinearTensor, SO2LinearVector
from ...layers.so3_affine import SO3Affine, TensorAffine
from ...layers.tensor_layer import TensorLayer
from ..support import Support, unsupported_layer

__all__ = ["support"]

_LAYERS = {
    TensorLayer,
    SO3Affine,
    TensorAffine,
    SO2LinearTensor,
    SO2LinearVector,
    AxisMaps,
    nn.Embedding,
    nn.Sequential,
    nn.Linear,
    nn.ReLU,
}


def support(
    model: JetModel, target: str, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call of ``VectorPFN.network``."""
    reason = unsupported_layer(model, _LAYERS)
    if torch.is_grad_enabled() and (vectors.requires_grad or frames_J33.requires_grad):
        reason = "gradients of momenta are recorded"
    elif min(model.options["phi_layers"], model.options["f_layers"]) < 1:
        reason = "it has no hidden layers before or after the sum"
    elif not model.options["products"]:
        reason = "its features are not multiplied"
    return Support(reason, target == "cpu" and torch.is_grad_enabled(), trains=target == "cpu")
