"""L-GATr-slim with gradients on a GPU: norms, gates and attention fused, dense layers torch's."""

from __future__ import annotations

import torch
from torch import Tensor

from ....jet_model import JetModel
from ...common.gpu.device import on_its_device
from .forward import features
from .weights import Linear, weights_of

__all__ = ["logits"]


@on_its_device
def logits(model: JetModel, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """As `inference.logits`, with gradients; in training mode or not."""
    return features(model, weights_of(model), vectors_N4, scalars, offsets, _layer)


def _layer(x: Tensor, linear: Linear, added: Tensor | None) -> Tensor:
    found = torch.addmm(linear.bias, x, linear.weight)
    return found if added is None else added + found
