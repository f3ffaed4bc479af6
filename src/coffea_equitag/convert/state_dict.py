"""The type of a state dict: parameter names and weights."""

from torch import Tensor

__all__ = ["StateDict"]

StateDict = dict[str, Tensor]
