"""PFN's weights on a GPU: every BatchNorm in the layer before it, that of the inputs in the first."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....jet_model import JetModel
from ...common.folding import batch_norm, folded
from ...common.gpu.patch import PatchWeights, fold_patch

__all__ = ["PFNWeights", "weights_of"]


class PFNWeights(NamedTuple):
    """Layers of Φ and F as (inputs, outputs) matrices and biases, float32; and the patch's."""

    phi: tuple[tuple[Tensor, Tensor], ...]
    f: tuple[tuple[Tensor, Tensor], ...]
    patch: PatchWeights


def weights_of(model: JetModel) -> PFNWeights:
    """Fold a `PFN` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def _fold(model: Any) -> PFNWeights:
    phi: list[tuple[Tensor, Tensor]] = []
    for linear, norm in zip(model.phi[::3], model.phi[1::3], strict=True):
        weight, bias = linear.weight.double(), linear.bias.double()
        if not phi and isinstance(model.input_norm, nn.BatchNorm1d):
            scale, shift = batch_norm(model.input_norm)
            inputs = weight[:, : len(scale)]
            bias = bias + inputs @ shift
            weight = torch.cat([inputs * scale, weight[:, len(scale) :]], dim=1)
        if isinstance(norm, nn.BatchNorm1d):
            scale, shift = batch_norm(norm)
            weight, bias = weight * scale[:, None], bias * scale + shift
        phi.append((weight.T.float().contiguous(), bias.float()))
    f = [(linear.weight.T.contiguous(), linear.bias.clone()) for linear in model.f if isinstance(linear, nn.Linear)]
    return PFNWeights(tuple(phi), tuple(f), fold_patch(model.node_patch and model.node_patch.layers))
