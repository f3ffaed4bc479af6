"""Affine maps that commute with every rotation."""

from __future__ import annotations

from torch import Tensor, nn

from .tensor_features import TensorFeatures

__all__ = ["SO3Affine"]


class SO3Affine(nn.Module):
    """y = W s + b for scalars, W v for vectors, W T + b·1 for tensors (arXiv:2303.11288).

    Parameters
    ----------
    inputs : tuple of int
        Features coming in: (scalars, vectors) or (scalars, vectors, tensors).
    features : int
        Features going out, in each representation.
    """

    def __init__(self, inputs: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.scalars = nn.Linear(inputs[0], features)
        self.vectors = nn.Linear(inputs[1], features, bias=False)
        self.tensors = TensorAffine(inputs[2], features) if len(inputs) > 2 else None

    def forward(self, x: TensorFeatures) -> TensorFeatures:
        """Mix features within each representation."""
        tensors = None if self.tensors is None or x.tensors is None else self.tensors(x.tensors)
        return TensorFeatures(self.scalars(x.scalars), self.vectors(x.vectors), tensors)


class TensorAffine(nn.Linear):
    """W T + b·1 on tensors (N, 3, 3, F): the unit matrix is the only one that no rotation changes."""

    def forward(self, tensors_N33F: Tensor) -> Tensor:
        """Mix features, and add b to the diagonal."""
        mixed = nn.functional.linear(tensors_N33F, self.weight)
        return mixed + unit_matrix(mixed)[:, :, None] * self.bias


def unit_matrix(like: Tensor) -> Tensor:
    """The 3 × 3 unit matrix, of the dtype and on the device of another tensor."""
    return like.new_tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
