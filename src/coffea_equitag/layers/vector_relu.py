"""Activations that keep directions."""

from __future__ import annotations

import torch
from torch import Tensor

from .tensor_features import TensorFeatures

__all__ = ["tensor_relu", "vector_relu"]


def vector_relu(vectors_N3F: Tensor) -> Tensor:
    """VReLU: vectors (N, 3, F) shorter than 1 stay, longer ones are cut to length 1 (arXiv:2303.11288)."""
    # the clamp, not the root, meets 0: no infinite slope there
    return vectors_N3F * vectors_N3F.square().sum(1, keepdim=True).clamp(min=1.0).rsqrt()


def tensor_relu(x: TensorFeatures) -> TensorFeatures:
    """ReLU on scalars, VReLU on vectors, and the same on tensors by their Frobenius norm (TReLU)."""
    tensors = x.tensors
    if tensors is not None:
        tensors = tensors * tensors.square().sum((1, 2), keepdim=True).clamp(min=1.0).rsqrt()
    return TensorFeatures(torch.relu(x.scalars), vector_relu(x.vectors), tensors)
