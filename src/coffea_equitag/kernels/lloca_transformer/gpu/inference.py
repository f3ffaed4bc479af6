"""LLoCa-Transformer's evaluation on a GPU: pairs exist in registers only, but for what a softmax is made of."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ....jets.ragged import RaggedJets
from ...common.folding import folded
from ...common.gpu.arithmetic import precision
from ...common.gpu.device import on_its_device
from ...common.gpu.pool import pool
from ...common.gpu.row_layers import RowLayer, Shortcut, row_layer
from .forward import channels, local_frames
from .frame_network import vectors_of
from .pair_tiles import Pairs
from .weights import folded_weights

__all__ = ["logits"]


@on_its_device
def logits(model: Any, jets: RaggedJets, own_NS: Tensor, rest_M4: Tensor, gram_Q: Tensor, total_J4: Tensor) -> Tensor:
    """Outputs of a float32 `LLoCaTransformer` in evaluation mode: `cpu.inference.logits` on a GPU."""
    weights, how = folded(model, folded_weights), precision(own_NS.device)
    pairs = Pairs.of(jets.offsets, model.extra_nodes, weights.standard, how)

    def layer(x: Tensor, weights: RowLayer, activation: str, added: Tensor | None) -> Tensor:
        shortcut = None if added is None else Shortcut(added)
        return row_layer(x, weights, how, activation=activation, shortcut=shortcut)

    def vectors(received: Tensor, sent: Tensor) -> tuple[Tensor, Tensor]:
        return vectors_of(rest_M4.contiguous(), gram_Q.contiguous(), received, sent, weights.pairs, pairs)

    seen, frames = local_frames(model, weights.frames, (jets, own_NS, rest_M4, total_J4), vectors, layer)
    h_NC = layer(seen, weights.embedding, "none", None)
    h_NC = channels(model, weights.blocks, h_NC, frames, jets.offsets, layer)
    rows = h_NC if model.output == "momentum" else pool(h_NC, jets.offsets, mean=True)
    return layer(rows, weights.head, "none", None)
