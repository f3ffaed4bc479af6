"""What a tower says about a call before any of its kernels is imported."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from torch import nn

from ..layers.batch_norm import RowBatchNorm
from .module_tree import modules_of

__all__ = ["Support", "unsupported_layer"]


class Support(NamedTuple):
    """What a network's kernels for one kind of device can do about one call.

    Attributes
    ----------
    reason : str or None
        What about the network or its inputs they cannot do; None if nothing.
    learns : bool
        Whether the call is part of a training: gradients are recorded, or statistics followed.
    trains : bool
        Whether there is a kernel with a backward pass that knows the training mode.
    """

    reason: str | None
    learns: bool = False
    trains: bool = False


def unsupported_layer(model: nn.Module, layers: Collection[type[nn.Module]]) -> str | None:
    """What stands between a network and its kernels: a layer of a type not in `layers`, or a bare BatchNorm.

    A subclass of a network may have changed anything. Networks are told by their `kind`, which every one of them
    defines for itself.
    """
    below = modules_of(model)[1:]
    if "kind" not in vars(type(model)) or not all(type(layer) in layers for layer in below):
        return "layers were replaced"
    if any(isinstance(layer, RowBatchNorm) and not (layer.affine and layer.track_running_stats) for layer in below):
        return "a BatchNorm lacks weights or statistics"
    return None
