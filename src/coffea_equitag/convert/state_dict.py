"""Names and weights, as checkpoints hold them."""

from torch import Tensor

__all__ = ["StateDict"]

StateDict = dict[str, Tensor]
