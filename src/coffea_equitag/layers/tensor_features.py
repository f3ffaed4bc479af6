"""Features as scalars, 3-vectors and rank-2 tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .segments import segment_sum

__all__ = ["TensorFeatures"]


@dataclass(frozen=True)
class TensorFeatures:
    """Features of N rows (constituents or jets) in three representations of SO(3).

    The feature index comes last, so that mixing features is one matrix product in every representation.

    Attributes
    ----------
    scalars : Tensor, shape (N, F)
    vectors : Tensor, shape (N, 3, F)
    tensors : Tensor, shape (N, 3, 3, F), or None
        None in networks with scalars and vectors only.
    """

    scalars: Tensor
    vectors: Tensor
    tensors: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> TensorFeatures:
        """Apply a function to each representation."""
        return TensorFeatures(
            function(self.scalars),
            function(self.vectors),
            None if self.tensors is None else function(self.tensors),
        )

    def rotate(self, frames_N33: Tensor) -> TensorFeatures:
        """Rotate vectors to R v and tensors to R T Rᵀ; the rows of R (N, 3, 3) are the new axes."""
        tensors = self.tensors
        if tensors is not None:
            n, _, _, f = tensors.shape
            left = (frames_N33 @ tensors.reshape(n, 3, 3 * f)).reshape(n, 3, 3, f)
            tensors = frames_N33[:, None] @ left
        return TensorFeatures(self.scalars, frames_N33 @ self.vectors, tensors)

    def sum(self, offsets: Tensor) -> TensorFeatures:
        """Sum over the rows of each segment; `offsets` (S + 1,) as in `segment_sum`.

        Computed and returned in float64: later products of the sums would amplify rounding errors that depend on the
        order of the rows.
        """

        def add(values: Tensor) -> Tensor:
            rows_NC = values.reshape(len(values), values.shape[1:].numel()).double()
            return segment_sum(rows_NC, offsets).reshape(-1, *values.shape[1:])

        return self.map(add)

    def invariants(self) -> Tensor:
        """Scalars, |v|² and ‖T‖² of each feature: shape (N, F_s + F_v + F_t)."""
        parts = [self.scalars, self.vectors.square().sum(1)]
        if self.tensors is not None:
            parts.append(self.tensors.square().sum((1, 2)))
        return torch.cat(parts, dim=1)
