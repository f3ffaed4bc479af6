"""ParticleNet's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

from typing import Any

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


def support(
    model: JetModel,
    target: str,
    features_N7: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    nodes_NE: Tensor | None,
    edges_of: Any = None,
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call of ``ParticleNet.network``."""
    reason, pairwise, k = unsupported_layer(model, _LAYERS), model.options["pairwise"], int(model.options["k"])
    if reason is None and target == "gpu" and pairwise:
        reason = "no GPU kernel with the pairwise patch"
    elif reason is None and target == "gpu" and k > _MOST_NEIGHBOURS_ON_GPU:
        reason = f"k = {k} neighbours; the GPU's kernel takes at most {_MOST_NEIGHBOURS_ON_GPU}"
    return Support(reason, learns(model, features_N7, nodes_NE), trains=target == "cpu" and not pairwise)
