"""LLoCa-Transformer's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ...layers.frame_prediction import FramePrediction
from ...layers.tensorial_attention import TensorialAttention, TensorialBlock
from ..module_tree import layers_of, learns
from ..support import Support, unsupported_layer

__all__ = ["support"]

_LAYERS = {
    FramePrediction,
    TensorialAttention,
    TensorialBlock,
    nn.Dropout,
    nn.GELU,
    nn.Linear,
    nn.ModuleList,
    nn.Sequential,
}


def support(
    model: JetModel, target: str, jets: RaggedJets, own_NS: Tensor, rest_M4: Tensor, gram_Q: Tensor, total_J4: Tensor
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call of ``LLoCaTransformer.network``."""
    reason, options = unsupported_layer(model, _LAYERS), model.options
    momenta = (jets.p4, rest_M4, gram_Q, total_J4)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in momenta):
        reason = reason or "gradients of momenta are recorded"
    elif any(layer.approximate != "none" for layer in layers_of(model, nn.GELU)):
        reason = "a GELU is approximate"
    elif target == "gpu" and any(map(_drops, layers_of(model, nn.Dropout))):
        reason = reason or "it has dropout"
    elif target == "cpu" and options["frame_layers"] < 2:
        reason = "frames are predicted with one hidden layer"
    return Support(reason, learns(model, own_NS, *momenta), trains=True)


def _drops(layer: nn.Dropout) -> bool:
    return layer.training and layer.p > 0
