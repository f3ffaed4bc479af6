"""The kernels of LorentzNet and LorentzNet_base: what they support. Equations and names: ``README.md``."""

from __future__ import annotations

from torch import Tensor, nn

from ...jet_model import JetModel
from ...layers.batch_norm import RowBatchNorm
from ...layers.lorentz_block import LorentzBlock
from ...layers.pairwise_block import PairwiseBlock
from ...layers.patches import Patch
from ..module_tree import learns
from ..support import Support, unsupported_layer

__all__ = ["support"]

_LAYERS = {
    LorentzBlock,
    PairwiseBlock,
    Patch,
    RowBatchNorm,
    nn.ModuleList,
    nn.Sequential,
    nn.Linear,
    nn.ReLU,
    nn.Sigmoid,
    nn.Dropout,
}

#: Channels whose matrices, each in two parts for three TF32 products, fit the shared memory of Hopper and Ampere;
#: training needs one more for the biases' gradients.
_LARGEST_ON_GPU, _LARGEST_ON_GPU_IN_TRAINING = 96, 95


def support(
    model: JetModel,
    target: str,
    p4_N4: Tensor,
    scalars: Tensor,
    offsets: Tensor,
    gram_Q: Tensor,
    groups_NG: Tensor | None = None,
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call of the ``network`` of either model."""
    reason, hidden = unsupported_layer(model, _LAYERS), int(model.options["hidden"])
    if model.output == "momentum":
        reason = "it gives momenta"
    elif reason is None and target == "gpu" and hidden > _LARGEST_ON_GPU:
        reason = f"{hidden} channels; the GPU's kernel takes at most {_LARGEST_ON_GPU}"
    trains = target == "cpu" or hidden <= _LARGEST_ON_GPU_IN_TRAINING
    return Support(reason, learns(model, p4_N4, scalars, gram_Q, groups_NG), trains, bf16=True)
