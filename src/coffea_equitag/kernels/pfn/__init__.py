"""PFN's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

from torch import Tensor, nn

from ...jet_model import JetModel
from ...layers.batch_norm import RowBatchNorm
from ...layers.patches import Patch
from ..module_tree import learns
from ..support import Support, unsupported_layer

__all__ = ["support"]

_LAYERS = {Patch, RowBatchNorm, nn.Embedding, nn.Identity, nn.Sequential, nn.Linear, nn.ReLU}


def support(model: JetModel, target: str, features_NF: Tensor, offsets: Tensor, groups_NG: Tensor | None) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call of ``PFN.network``."""
    reason = unsupported_layer(model, _LAYERS)
    if reason is None and not model.options["phi"]:
        reason = "Φ is empty"
    return Support(reason, learns(model, features_NF, groups_NG), trains=target == "cpu")
