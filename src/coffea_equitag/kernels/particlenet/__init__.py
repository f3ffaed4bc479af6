"""ParticleNet's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...jet_model import JetModel
from ...layers.batch_norm import RowBatchNorm
from ...layers.edge_conv import EdgeConv
from ...layers.patches import Patch
from ..module_tree import learns
from ..support import Support, unsupported_layer

__all__ = ["support"]

_LAYERS = {
    EdgeConv,
    Patch,
    RowBatchNorm,
    nn.ModuleList,
    nn.Sequential,
    nn.Identity,
    nn.Linear,
    nn.ReLU,
    nn.Dropout,
}

#: Neighbours at most of the GPU's kernel.
_MOST_NEIGHBOURS_ON_GPU = 64
#: Edge networks are trained in whole register tiles on every CPU.
_TILE = 32


def support(
    model: JetModel,
    target: str,
    features_NF: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    groups_NG: Tensor | None,
    p4_N4: Tensor | None,
    gram_Q: Tensor | None,
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call of ``ParticleNet.network``."""
    reason, learning = unsupported_layer(model, _LAYERS), learns(model, features_NF, groups_NG)
    if reason is None:
        reason = _unsupported_on_cpu(model, learning) if target == "cpu" else _unsupported_on_gpu(model)
    momenta = (p4_N4, gram_Q) if model.options["pairwise"] else ()
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in momenta):
        reason = "gradients of momenta are recorded"
    return Support(reason, learning, trains=target == "cpu", bf16=True)


def _unsupported_on_cpu(model: Any, learning: bool) -> str | None:
    edge_networks = [[linear.out_features for linear in block.linears] for block in model.blocks]
    if any(len(widths) == 1 for widths in edge_networks):
        return "an edge network of one layer"
    if learning and any(width % _TILE for widths in edge_networks for width in widths):
        return f"edge networks of widths {edge_networks}; they are trained in multiples of {_TILE}"
    return None


def _unsupported_on_gpu(model: Any) -> str | None:
    k = max(model.neighbours)
    if k > _MOST_NEIGHBOURS_ON_GPU:
        return f"k = {k} neighbours; the GPU's kernel takes at most {_MOST_NEIGHBOURS_ON_GPU}"
    for block in model.blocks:
        widths = [linear.out_features for linear in block.linears]
        if len(widths) != 3 or len({*widths}) > 1 or widths[0] < 32 or widths[0] & (widths[0] - 1):
            return f"edge networks of widths {widths}; the GPU's kernel takes three of one power of two, 32 or more"
    return None
