"""Particle Transformer with gradients on the CPU: dense layers near the peak of a core, what stands between them fused.

Neither attention weights nor what is dropped is stored. Each norm's weights go into the layer after it, and the heads'
scales into the projection, as small tensors through which gradients flow.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ....jet_model import JetModel
from ...common.cpu.activations import GELU, RELU
from ...common.cpu.attention_function import attention, attention_from_jets
from ...common.cpu.dense_function import dense
from ...common.cpu.dropout_row import NO_DROP, Drop, drop_of_probability
from ...common.dropout import drop_of
from .feed_forward import feed_forward
from .normed_activation import normed_activation
from .normed_sum import normed_sum
from .square_bias import square_bias

__all__ = ["logits"]

#: Keys of dropout are drawn below this.
_KEYS = 2**62


def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, pairs_T4: Tensor | None) -> Tensor:
    """As `inference.logits`, with gradients, those of the inputs among them; each BatchNorm in training mode or not."""
    network: Any = model
    bias_QH = None if network.pair_bias is None else _bias(network.pair_bias, pairs_T4, offsets)
    x_NC = _through(network.embedding, features_NF)
    for block in network.blocks:
        x_NC = _attended(block, x_NC, offsets, bias_QH)
    tokens_JC = network.class_token.expand(len(offsets) - 1, -1)
    for block in network.class_blocks:
        tokens_JC = _classified(block, tokens_JC, x_NC, offsets)
    found: Tensor = network.head(network.norm(tokens_JC))
    return found


def _bias(layer: Any, pairs_T4: Any, offsets: Tensor) -> Tensor:
    """The bias (Q, H), of all pairs j ≤ i, or of those with j < i alone."""
    if not layer.with_self:
        n = offsets.diff()
        jet = torch.repeat_interleave(torch.arange(len(n)), n)
        local = torch.arange(len(jet)) - offsets[jet]
        own = torch.cumsum(local + 1, 0) - 1
        pairs_T4 = pairs_T4[torch.ones(len(pairs_T4), dtype=torch.bool).index_fill_(0, own, False)]
    rows, modules = layer.embed[0](pairs_T4), list(layer.embed)
    for at in range(1, len(modules), 3):
        linear, norm, activates = modules[at], modules[at + 1], at + 2 < len(modules)
        rows = normed_activation(dense(rows, linear.weight, linear.bias), norm, activates)
    return square_bias(rows, offsets, layer.with_self)


def _attended(block: Any, x_NC: Tensor, offsets: Tensor, bias_QH: Tensor | None) -> Tensor:
    layer, drop = block.attention, _drop(block.attention.dropout, block.training)
    rows = dense(block.before(x_NC), layer.in_proj.weight, layer.in_proj.bias)
    query, key, value = _split(rows, 3, layer.heads)
    attended = attention(query, key, value, offsets, bias_QH, drop=drop)
    return _completed(block, x_NC, attended.flatten(1))


def _classified(block: Any, tokens_JC: Tensor, x_NC: Tensor, offsets: Tensor) -> Tensor:
    layer, width = block.attention, x_NC.shape[1]
    weight, bias = layer.in_proj.weight, layer.in_proj.bias
    (query,) = _split(dense(tokens_JC, weight[:width], bias[:width]), 1, layer.heads)
    own, of_rows = (
        _split(dense(block.before(rows), weight[width:], bias[width:]), 2, layer.heads) for rows in (tokens_JC, x_NC)
    )
    attended = attention_from_jets(query, (own[0], of_rows[0]), (own[1], of_rows[1]), offsets)
    return _completed(block, tokens_JC, attended.flatten(1))


def _completed(block: Any, x: Tensor, attended: Tensor) -> Tensor:
    """What follows the attention, the same for constituents and tokens."""
    out, (norm, drop), forward = block.attention.out_proj, block.after, block.feed_forward
    per_head = block.head_scale.repeat_interleave(len(out.weight) // block.heads)
    attended = dense(attended, out.weight * per_head[:, None], out.bias * per_head)
    x = normed_sum(x, attended, norm.weight, norm.bias, _of(drop))
    kind = GELU if isinstance(forward[2], nn.GELU) else RELU
    first, second = _after(forward[0], forward[1]), _after(forward[4], forward[5])
    return feed_forward(x, first, second, block.residual_scale, kind, _of(forward[3]), _of(forward[6]))


def _after(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer on rows that are normalised without the norm's weights."""
    return linear.weight * norm.weight, linear.bias + linear.weight @ norm.bias


def _through(layers: nn.Sequential, rows: Tensor) -> Tensor:
    for layer in layers:
        rows = dense(rows, layer.weight, layer.bias) if isinstance(layer, nn.Linear) else layer(rows)
    return rows


def _split(rows: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    return rows.view(len(rows), parts, heads, rows.shape[1] // (parts * heads)).unbind(1)


def _of(layer: nn.Dropout) -> Drop:
    return _drop(drop_of(layer), True)


def _drop(probability: float, training: bool) -> Drop:
    if not training or not probability:
        return NO_DROP
    return drop_of_probability(probability, int(torch.randint(_KEYS, ())))
