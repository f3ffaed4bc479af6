"""L-GATr-slim's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

from torch import Tensor, nn

from ...jet_model import JetModel
from ...layers.row_linear import RowLinear
from ...layers.slim import SlimDropout, SlimGate, SlimLinear, SlimNorm
from ...layers.slim_block import SlimAttention, SlimBlock, SlimPerceptron
from ..module_tree import layers_of, learns
from ..support import Support, unsupported_layer

__all__ = ["support"]

_ACTIVATIONS = {nn.GELU, nn.SiLU, nn.ReLU, nn.Sigmoid, nn.Tanh}
_LAYERS = {
    *(SlimAttention, SlimBlock, SlimDropout, SlimGate, SlimLinear, SlimNorm, SlimPerceptron),
    *(RowLinear, nn.Linear, nn.ModuleList, *_ACTIVATIONS),
}


def support(model: JetModel, target: str, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call of ``LGATrSlim.features``."""
    learning = learns(model, vectors_N4, scalars)
    reason = unsupported_layer(model, _LAYERS)
    if reason is None and any(layer.approximate != "tanh" for layer in layers_of(model, nn.GELU)):
        reason = "its GELU is not the approximation by tanh"
    if reason is None and target == "cpu" and any(map(_drops, layers_of(model, SlimDropout))):
        reason = "it has dropout"
    return Support(reason, learning, trains=True)


def _drops(layer: SlimDropout) -> bool:
    return layer.training and layer.probability > 0
