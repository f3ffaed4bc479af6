"""LLoCa-Transformer with gradients on the CPU: pairs, frame changes and attention fused, dense layers torch's.

Gradients of the weights of pairs are summed over groups of jets, which do not depend on the number of threads, and
then over the groups in their order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ....jets.ragged import RaggedJets
from ....layers.frame_prediction import frames_of_sums
from ....layers.segments import segment_mean
from ....layers.squares import Squares
from ....layers.tensorial_attention import LocalFrames, TensorialAttention
from ...common.cpu.attention_function import attention
from .carried import carried
from .carry import Ranks
from .frame_network import frame_vectors
from .weights import head_order

__all__ = ["logits"]

#: Hidden layers of the perceptron of pairs whose gradients there are kernels for.
_LAYERS = 2


def logits(model: Any, jets: RaggedJets, own_NS: Tensor, rest_M4: Tensor, gram_Q: Tensor, total_J4: Tensor) -> Tensor:
    """As `inference.logits`, with gradients, in training mode or not; those of the columns among them."""
    references, options = model.extra_nodes, model.options
    nodes = Squares.of(jets.offsets + references * torch.arange(jets.num_jets + 1))
    scalars_MS, is_own = model.node_scalars(jets, own_NS, total_J4, nodes), model.is_own(nodes)
    dropped = model.training and options["dropout"] > 0
    if options["frame_layers"] == _LAYERS and not dropped:
        found = frame_vectors(model.frames, rest_M4, gram_Q, nodes.offsets, references, scalars_MS, is_own)
        counts = (jets.counts + references).repeat_interleave(jets.counts)
        frames_N44 = frames_of_sums(*found, rest_M4[is_own], counts)
    else:
        frames_N44 = model.frames(rest_M4, gram_Q, scalars_MS, nodes, references)
    seen_NF, frames = model.seen(jets, own_NS, rest_M4[is_own], frames_N44)
    h_NC, ranks = model.embedding(seen_NF), (options["scalars"], options["vectors"], options["tensors"])
    for block in model.blocks:
        attended = _attended(block.attention, _normalised(h_NC), frames, jets.offsets, ranks)
        h_NC = h_NC + block.dropout(attended)
        h_NC = h_NC + block.mlp(_normalised(h_NC))
    out: Tensor = model.head(h_NC if model.output == "momentum" else segment_mean(h_NC, jets.offsets))
    return out


def _attended(layer: TensorialAttention, x_NC: Tensor, frames: LocalFrames, offsets: Tensor, ranks: Ranks) -> Tensor:
    """A `TensorialAttention`'s outputs (N, C)."""
    order = torch.from_numpy(head_order(layer))
    size = len(order)
    three = torch.cat([order, size + order, 2 * size + order])
    qkv = nn.functional.linear(x_NC, layer.qkv.weight[three], layer.qkv.bias[three]).view(-1, 3, size)
    heads = carried(qkv, frames.to_common, ranks, layer.heads).view(-1, 3, layer.heads, size // layer.heads)
    query, key, value = heads.unbind(1)
    found = attention(query, key, value, offsets)
    out: Tensor = layer.out(carried(found.flatten(1)[:, None], frames.to_local, ranks, layer.heads)[:, 0])
    return out


def _normalised(h_NC: Tensor) -> Tensor:
    return nn.functional.layer_norm(h_NC, h_NC.shape[1:])
