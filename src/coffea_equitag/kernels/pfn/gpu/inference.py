"""PFN's evaluation on a GPU: dense layers of constituents, and sums whose order does not depend on the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ....jet_model import JetModel
from ...common.gpu.arithmetic import precision
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.folding import batch_norm, folded
from ...common.gpu.pool import pool

__all__ = ["logits"]

#: Layers as (inputs, outputs) matrices and biases.
_Layers = tuple[tuple[Tensor, Tensor], ...]


@on_its_device
def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, nodes_NP: Tensor | None) -> Tensor:
    """Logits (J, n_classes) of a float32 `PFN` in evaluation mode.

    Parameters
    ----------
    model : PFN
        The network.
    features_NF : Tensor of float32, shape (N, F)
        Features of the constituents.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    nodes_NP : Tensor of float32, shape (N, P), or None
        What its patch gives each constituent, to the inputs of every layer of Φ.
    """
    (phi, f), how = folded(model, _fold), precision(features_NF.device)
    latent = features_NF.contiguous()
    for matrix, bias in phi:
        seen = latent if nodes_NP is None else torch.cat([latent, nodes_NP], dim=1)
        latent = dense(seen, matrix, bias, slope=0.0, precision=how)
    summed = pool(latent, offsets)
    for matrix, bias in f[:-1]:
        summed = dense(summed, matrix, bias, slope=0.0, precision=how)
    return dense(summed, *f[-1], precision=how)


def _fold(model: Any) -> tuple[_Layers, _Layers]:
    """Φ and F; BatchNorm goes into the layer before it, that of the inputs into the first."""
    phi: list[tuple[Tensor, Tensor]] = []
    for linear, norm, _ in zip(model.phi[::3], model.phi[1::3], model.phi[2::3], strict=True):
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
    return tuple(phi), tuple(f)
