"""Parameters as the CPU kernels want them: float64 for folding, then float32 in blocks of a tile's columns."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from ....array_types import F4, F8, AnyArray
from ..folding import batch_norm, folded
from .aligned import aligned
from .wide_dense import block_of

__all__ = ["batch_norm_of", "blocks", "double", "folded", "padded"]


def batch_norm_of(norm: nn.Module) -> tuple[F8, F8]:
    """Scale and shift that a BatchNorm's running statistics make; 1 and 0 of an identity."""
    if not isinstance(norm, nn.BatchNorm1d):
        return np.ones(1), np.zeros(1)
    scale, shift = batch_norm(norm)
    return scale.numpy(), shift.numpy()


def blocks(matrix: AnyArray) -> F4:
    """A layer's matrix (out, in), padded to whole blocks of columns: (blocks, in, block)."""
    block, depth = block_of(len(matrix)), matrix.shape[1]
    gap = -len(matrix) % block
    columns = np.pad(matrix.T, ((0, 0), (0, gap))) if gap else matrix.T
    return aligned(columns.reshape(depth, columns.shape[1] // block, block).transpose(1, 0, 2))


def padded(bias: AnyArray) -> F4:
    """A layer's bias, padded as its matrix."""
    return aligned(np.pad(bias, (0, -len(bias) % block_of(len(bias)))))


def double(tensor: Tensor) -> F8:
    """Its numbers in float64."""
    found: F8 = tensor.detach().double().numpy()
    return found
