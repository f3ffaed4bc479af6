"""What a tower says about a call before any of its kernels is imported."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from torch import nn

from ..layers.batch_norm import RowBatchNorm
from .module_tree import tree_of

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
    bf16 : bool
        Whether the CPU's kernel can multiply in bf16 without gradients.
    """

    reason: str | None
    learns: bool = False
    trains: bool = False
    bf16: bool = False


def unsupported_layer(model: nn.Module, layers: Set[type[nn.Module]]) -> str | None:
    """What stands between a network and its kernels: a layer of a type not in `layers`, or a bare BatchNorm.

    A subclass of a network may have changed anything. Networks are told by their `kind`, which every one of them
    defines for itself.
    """
    tree = tree_of(model)
    if "kind" not in vars(type(model)) or not tree.kinds <= layers:
        return "layers were replaced"
    if not all(norm.affine and norm.track_running_stats for norm in tree.of(RowBatchNorm)):
        return "a BatchNorm lacks weights or statistics"
    return None
