"""Particle Transformer with gradients on a GPU: kernels for attention and the pairs' network, torch for rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ....jet_model import JetModel
from ....layers.squares import Squares
from ...common.gpu.attention_function import ATTENTION_ROWS, attention
from ...common.gpu.device import on_its_device
from ...common.gpu.ragged_attention import Drop
from ...common.gpu.tiles import Tiles
from .pair_training import trained_bias

__all__ = ["logits"]


@on_its_device
def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, pairs_T4: Tensor | None = None) -> Tensor:
    """Logits (J, n_classes) of a float32 `ParticleTransformer`, training or not; arguments as for ``network``."""
    network: Any = model
    tiles, squares = Tiles.of(offsets, ATTENTION_ROWS), Squares.of(offsets)
    bias = None if pairs_T4 is None else trained_bias(network.pair_bias, pairs_T4, Tiles.of(offsets))
    drops = [block.attention.dropout if block.training else 0.0 for block in network.blocks]
    keys = torch.randint(2**63 - 1, (len(drops),)).tolist() if any(drops) else [0] * len(drops)
    x = network.embedding(features_NF)
    for block, drop in zip(network.blocks, map(Drop, drops, keys), strict=True):
        query, key, value = block.attention.projected(block.before(x))
        attended = attention(query, key, value, tiles, bias, drop=drop)
        x = block.completed(x, block.attention.out_proj(attended.flatten(1)))
    token = network.class_token.expand(tiles.num_jets, -1)
    for block in network.class_blocks:
        token = block(token, x, squares)
    out: Tensor = network.head(network.norm(token))
    return out
