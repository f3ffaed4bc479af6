"""Particle Transformer's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

from torch import Tensor, nn

from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ...layers.attention import Attention
from ...layers.attention_block import ClassAttentionBlock, ParticleAttentionBlock
from ...layers.batch_norm import RowBatchNorm
from ...layers.pair_bias import PairBias
from ..module_tree import learns, modules_of
from ..support import Support, unsupported_layer

__all__ = ["support"]

_LAYERS = {
    Attention,
    ClassAttentionBlock,
    PairBias,
    ParticleAttentionBlock,
    RowBatchNorm,
    nn.ModuleList,
    nn.Sequential,
    nn.Linear,
    nn.LayerNorm,
    nn.GELU,
    nn.ReLU,
    nn.Dropout,
}

_EPSILON = 1e-5


def support(
    model: JetModel,
    target: str,
    inputs: Tensor | RaggedJets,
    offsets: Tensor | None = None,
    pairs_T4: Tensor | None = None,
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call.

    `inputs` are the features of ``ParticleTransformer.network``, or jets.
    """
    reason = unsupported_layer(model, _LAYERS) or _unsupported_options(model)
    if target == "gpu":
        reason = reason or "there are no GPU kernels for this network"
    if isinstance(inputs, RaggedJets):
        learning = learns(model, inputs.p4)
        return Support(reason or ("training starts from pair features" if learning else None), learning)
    return Support(reason, learns(model, inputs, pairs_T4), trains=target == "cpu")


def _unsupported_options(model: JetModel) -> str | None:
    norms = [layer for layer in modules_of(model) if isinstance(layer, nn.LayerNorm)]
    if not all(norm.elementwise_affine and norm.eps == _EPSILON for norm in norms):
        return "a LayerNorm lacks weights or has another ε"
    if any(isinstance(layer, nn.GELU) and layer.approximate != "none" for layer in modules_of(model)):
        return "GELU is approximated"
    return None
