"""Affine maps that commute with all rotations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from .tensor_features import TensorFeatures

__all__ = ["SO3Affine"]


class SO3Affine(nn.Module):
    """y = W s + b for scalars, W v for vectors, W T + b·1 for tensors (arXiv:2303.11288).

    Parameters
    ----------
    inputs : tuple of int
        Input features: (scalars, vectors) or (scalars, vectors, tensors).
    features : int
        Output features in each representation.
    gains : sequence of float, optional
        Gain of the initial weights for each representation (1 preserves the variance); if not given, torch's own
        initialization, with gain 3^-½.
    """

    def __init__(self, inputs: tuple[int, ...], features: int, gains: Sequence[float] | None = None) -> None:
        super().__init__()
        self.scalars = nn.Linear(inputs[0], features)
        self.vectors = nn.Linear(inputs[1], features, bias=False)
        self.tensors = TensorAffine(inputs[2], features) if len(inputs) > 2 else None
        if gains is not None:
            mixers = (module for module in self.children() if isinstance(module, nn.Linear))
            for mixer, width, gain in zip(mixers, inputs, gains, strict=False):
                bound = gain * math.sqrt(3.0 / max(width, 1))
                nn.init.uniform_(mixer.weight, -bound, bound)

    def forward(self, x: TensorFeatures) -> TensorFeatures:
        """Mix features within each representation."""
        tensors = None if self.tensors is None or x.tensors is None else self.tensors(x.tensors)
        return TensorFeatures(self.scalars(x.scalars), self.vectors(x.vectors), tensors)


class TensorAffine(nn.Linear):
    """W T + b·1 on tensors (N, 3, 3, F): only multiples of the unit matrix are invariant under all rotations."""

    def forward(self, tensors_N33F: Tensor) -> Tensor:
        """Mix features, and add b to the diagonal."""
        mixed = nn.functional.linear(tensors_N33F, self.weight)
        return mixed + unit_matrix(mixed)[:, :, None] * self.bias


def unit_matrix(like: Tensor) -> Tensor:
    """The 3 × 3 unit matrix, with the dtype and device of another tensor."""
    return like.new_tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
