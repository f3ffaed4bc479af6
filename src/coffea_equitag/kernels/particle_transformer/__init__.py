"""Particle Transformer's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

from torch import Tensor, nn

from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ...layers.attention import Attention
from ...layers.attention_block import ClassAttentionBlock, ParticleAttentionBlock
from ...layers.batch_norm import RowBatchNorm
from ...layers.pair_bias import PairBias
from ..module_tree import layers_of, learns
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
#: The widest network, and embedding of pairs in inference and in training, of the GPU's kernels.
_LARGEST_ON_GPU, _LARGEST_PAIR_ON_GPU, _LARGEST_TRAINED_PAIR_ON_GPU = 256, 128, 64


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
    jets = isinstance(inputs, RaggedJets)
    learning = learns(model, inputs.p4) if isinstance(inputs, RaggedJets) else learns(model, inputs, pairs_T4)
    reason = unsupported_layer(model, _LAYERS) or _unsupported_options(model)
    if target == "gpu":
        reason = reason or _unsupported_on_gpu(model, learning)
    if jets and learning:
        reason = reason or "training starts from pair features"
    return Support(reason, learning, trains=not jets, bf16=True)


def _unsupported_options(model: JetModel) -> str | None:
    if not all(norm.elementwise_affine and norm.eps == _EPSILON for norm in layers_of(model, nn.LayerNorm)):
        return "a LayerNorm lacks weights or has another ε"
    if any(layer.approximate != "none" for layer in layers_of(model, nn.GELU)):
        return "GELU is approximated"
    return None


def _unsupported_on_gpu(model: JetModel, learning: bool) -> str | None:
    width, pairs = model.options["embed_widths"][-1], model.options["pair_widths"]
    if width > _LARGEST_ON_GPU:
        return f"{width} channels; the GPU's kernels take at most {_LARGEST_ON_GPU}"
    most = _LARGEST_TRAINED_PAIR_ON_GPU if learning else _LARGEST_PAIR_ON_GPU
    if pairs is not None and not 1 <= max(pairs, default=0) <= most:
        return f"an embedding of pairs of widths {pairs}; the GPU's kernels take some of at most {most}"
    return None
