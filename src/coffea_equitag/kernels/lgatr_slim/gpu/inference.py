"""L-GATr-slim's evaluation on a GPU: each node's rows by themselves, but for the attention within its jet."""

from __future__ import annotations

from torch import Tensor

from ....jet_model import JetModel
from ...common.folding import folded
from ...common.gpu.arithmetic import precision
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from .forward import features
from .weights import Linear, weights_of

__all__ = ["logits"]


@on_its_device
def logits(model: JetModel, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, 4, V) and (N, S) of a float32 `LGATrSlim` in evaluation mode: its ``features``."""
    how = precision(scalars.device)

    def layer(x: Tensor, linear: Linear, out: Tensor | None) -> Tensor:
        # the same bits for any number of rows, which cuBLAS does not promise
        return dense(x, linear.weight, linear.bias, out=out, add=out is not None, precision=how)

    return features(model, folded(model, weights_of), vectors_N4, scalars, offsets, layer)
