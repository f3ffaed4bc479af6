"""What of PELICAN's layers the fused kernels do."""

from __future__ import annotations

from torch import nn

from ..kernels.module_tree import modules_of
from ..layers.batch_norm import RowBatchNorm
from ..layers.channel_mixing import ChannelMixing
from ..layers.equivariant_1to2 import Equivariant1to2
from ..layers.equivariant_2to2 import Equivariant2to2
from ..layers.equivariant_readout import Equivariant2to0
from ..layers.multiplicity_power import MultiplicityPower
from ..layers.pair_encoder import PairEncoder
from ..layers.pair_message import PairMessage

__all__ = ["beyond_layers"]

_FUSED = {
    PairEncoder,
    PairMessage,
    RowBatchNorm,
    Equivariant1to2,
    Equivariant2to2,
    Equivariant2to0,
    ChannelMixing,
    MultiplicityPower,
    nn.ModuleList,
    nn.Sequential,
    nn.Linear,
    nn.LeakyReLU,
    nn.Dropout,
}


def beyond_layers(model: nn.Module) -> str | None:
    """Which of a network's layers they do not do, in words; None if they do all."""
    layers = [module for module in modules_of(model) if module is not model]
    if not all(type(layer) in _FUSED for layer in layers):
        return "layers were replaced"
    if any(isinstance(layer, RowBatchNorm) and not (layer.affine and layer.track_running_stats) for layer in layers):
        return "a BatchNorm lacks weights or statistics"
    return None
