"""PELICAN's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ...layers.batch_norm import RowBatchNorm
from ...layers.channel_mixing import ChannelMixing
from ...layers.equivariant_1to2 import Equivariant1to2
from ...layers.equivariant_2to2 import Equivariant2to2
from ...layers.equivariant_readout import Equivariant2to0, Equivariant2to1
from ...layers.multiplicity_power import MultiplicityPower
from ...layers.pair_encoder import PairEncoder
from ...layers.pair_message import PairMessage
from ..module_tree import learns
from ..support import Support, unsupported_layer
from .network import PelicanNetwork

__all__ = ["support"]

_LAYERS = {
    PairEncoder,
    PairMessage,
    RowBatchNorm,
    Equivariant1to2,
    Equivariant2to2,
    Equivariant2to0,
    Equivariant2to1,
    ChannelMixing,
    MultiplicityPower,
    nn.ModuleList,
    nn.Sequential,
    nn.Linear,
    nn.LeakyReLU,
    nn.Dropout,
}

#: Most channels of a message that fit a GPU's shared memory.
_LARGEST_MESSAGE_ON_GPU = 128


def support(
    model: JetModel,
    target: str,
    inputs: Tensor | RaggedJets,
    scalars_NS: Tensor | None = None,
    offsets: Tensor | None = None,
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call.

    `inputs` are the pair channels of ``PELICAN.network``, or jets: the CPU's inference starts from jets.
    """
    safe, channels = bool(model.options["irc_safe"]), cast(PelicanNetwork, model).message_channels
    reason = unsupported_layer(model, _LAYERS)
    if isinstance(inputs, RaggedJets):
        learning = learns(model, inputs.p4)
        if reason is None and (learning or target == "gpu"):
            reason = "training and GPUs start from pair channels"
        return Support(reason, learning)
    if reason is None and target == "gpu" and safe:
        reason = "no GPU kernel of its IRC-safe form"
    elif reason is None and target == "gpu" and model.output == "momentum":
        reason = "no GPU kernel for momenta"
    elif reason is None and target == "gpu" and channels > _LARGEST_MESSAGE_ON_GPU:
        reason = f"{channels} channels per message; the GPU's kernel takes at most {_LARGEST_MESSAGE_ON_GPU}"
    return Support(reason, learns(model, inputs, scalars_NS), trains=not safe and not inputs.requires_grad)
