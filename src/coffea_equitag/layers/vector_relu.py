"""Activations that preserve directions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .tensor_features import TensorFeatures

__all__ = ["log_relu", "tensor_relu", "vector_relu"]


def vector_relu(vectors_N3F: Tensor) -> Tensor:
    """VReLU: vectors (N, 3, F) longer than 1 are shortened to length 1, others are unchanged (arXiv:2303.11288)."""
    # clamped before the square root, so that the derivative at 0 is finite
    return vectors_N3F * vectors_N3F.square().sum(1, keepdim=True).clamp(min=1.0).rsqrt()


def log_relu(values: Tensor) -> Tensor:
    """ReLU that grows as 1 + log x beyond 1, which keeps repeated products of scalars bounded (our choice)."""
    return torch.relu(values).clamp(max=1.0) + torch.log(values.clamp(min=1.0))


def tensor_relu(x: TensorFeatures, scalar_relu: Callable[[Tensor], Tensor] = torch.relu) -> TensorFeatures:
    """ReLU on scalars, VReLU on vectors, and on tensors the same with the Frobenius norm (TReLU)."""
    tensors = x.tensors
    if tensors is not None:
        tensors = tensors * tensors.square().sum((1, 2), keepdim=True).clamp(min=1.0).rsqrt()
    return TensorFeatures(scalar_relu(x.scalars), vector_relu(x.vectors), tensors)
