"""PFN's evaluation on a GPU: dense layers of constituents, and sums whose order does not depend on the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ....jet_model import JetModel
from ...common.gpu.arithmetic import precision
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.patch import patch_features
from ...common.gpu.pool import pool
from .weights import weights_of

__all__ = ["logits"]


@on_its_device
def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, groups_NG: Tensor | None) -> Tensor:
    """Logits of a float32 `PFN` in evaluation mode: `cpu.inference.logits` on a GPU."""
    weights, how = weights_of(model), precision(features_NF.device)
    latent, nodes = features_NF.contiguous(), None
    if groups_NG is not None:
        nodes = patch_features(weights.patch, groups_NG, how)
    for matrix, bias in weights.phi:
        inputs = latent if nodes is None else torch.cat([latent, nodes], dim=1)
        latent = dense(inputs, matrix, bias, slope=0.0, precision=how)
    summed = pool(latent, offsets)
    for matrix, bias in weights.f[:-1]:
        summed = dense(summed, matrix, bias, slope=0.0, precision=how)
    return dense(summed, *weights.f[-1], precision=how)
