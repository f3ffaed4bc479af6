"""LLoCa-Transformer with gradients on a GPU: pairs, frames and attention fused, dense layers torch's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ....jets.ragged import RaggedJets
from ....layers.segments import segment_mean
from ...common.gpu.arithmetic import precision
from ...common.gpu.device import on_its_device
from ...common.gpu.row_layers import RowLayer
from .forward import channels, local_frames
from .frame_network import frame_vectors, pair_parameters
from .pair_tiles import Pairs
from .weights import block_weights, frame_weights

__all__ = ["logits"]


@on_its_device
def logits(model: Any, jets: RaggedJets, own_NS: Tensor, rest_M4: Tensor, gram_Q: Tensor, total_J4: Tensor) -> Tensor:
    """As `inference.logits`, with gradients; in training mode or not, but nothing is dropped."""
    frames, how = model.frames, precision(own_NS.device)
    standard = float(frames.edge_mean), float(frames.edge_std)
    pairs, parameters = Pairs.of(jets.offsets, model.extra_nodes, standard, how), pair_parameters(frames)

    def vectors(received: Tensor, sent: Tensor) -> tuple[Tensor, Tensor]:
        return frame_vectors(rest_M4.contiguous(), gram_Q.contiguous(), received, sent, parameters, pairs)

    given = jets, own_NS, rest_M4, total_J4
    seen, local = local_frames(model, frame_weights(frames), given, vectors, _layer)
    blocks = tuple(block_weights(block) for block in model.blocks)
    h_NC = channels(model, blocks, model.embedding(seen), local, jets.offsets, _layer)
    out: Tensor = model.head(h_NC if model.output == "momentum" else segment_mean(h_NC, jets.offsets))
    return out


def _layer(x: Tensor, layer: RowLayer, activation: str, added: Tensor | None) -> Tensor:
    if layer.norm is not None:
        x = nn.functional.layer_norm(x, x.shape[1:], eps=layer.norm)
    found = torch.addmm(layer.bias, x, layer.weight)
    found = nn.functional.gelu(found) if activation == "gelu" else found
    return found if added is None else added + found
