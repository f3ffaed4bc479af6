"""Particle Transformer's evaluation on a GPU: a row passes through each layer by itself, a pair is kept as its bias."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ....jet_model import JetModel
from ....jets.ragged import RaggedJets
from ...common.gpu.arithmetic import precision
from ...common.gpu.attention_function import ATTENTION_ROWS, attention
from ...common.gpu.device import on_its_device
from ...common.gpu.row_layers import Shortcut, row_layer
from ...common.gpu.tiles import Tiles
from ...common.gpu.token_attention import attend_from_jets
from .pair_bias import PairSource, pair_bias, source_of_features, source_of_jets
from .weights import BlockWeights, weights_of

__all__ = ["logits", "logits_from_jets"]


def logits_from_jets(model: JetModel, jets: RaggedJets) -> Tensor:
    """Logits (J, n_classes) of a float32 `ParticleTransformer` in evaluation mode, of jets in any order."""
    network: Any = model
    with torch.cuda.device(jets.p4.get_device()):
        tiles = Tiles.of(jets.offsets)
        source = None if network.pair_bias is None else source_of_jets(jets, tiles)
        return _network(model, network.features(jets), tiles, source)


@on_its_device
def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, pairs_T4: Tensor | None = None) -> Tensor:
    """The same; arguments as for ``network``."""
    source = None if pairs_T4 is None else source_of_features(pairs_T4, offsets)
    return _network(model, features_NF, Tiles.of(offsets), source)


def _network(model: JetModel, features_NF: Tensor, pair_tiles: Tiles, source: PairSource | None) -> Tensor:
    weights, how, heads = weights_of(model), precision(features_NF.device), int(model.options["heads"])
    activation, tiles = str(model.options["activation"]), Tiles.of(pair_tiles.offsets, ATTENTION_ROWS)
    bias = None
    if source is not None and weights.pairs is not None:
        bias = pair_bias(weights.pairs, source, pair_tiles, how)
    x = features_NF * weights.scale + weights.shift
    for layer in weights.embedding:
        x = row_layer(x, layer, how, activation=activation)
    for block in weights.blocks:
        query, key, value = torch.unflatten(row_layer(x, block.projections, how), 1, (3, heads, -1)).unbind(1)
        x = _completed(block, x, attention(query, key, value, tiles, bias), activation, how)
    token = weights.token.repeat(tiles.num_jets, 1)
    for block in weights.class_blocks:
        token = _completed(block, token, _from_tokens(block, token, x, tiles, heads, how), activation, how)
    for layer in weights.head[:-1]:
        token = row_layer(token, layer, how, activation="relu")
    return row_layer(token, weights.head[-1], how)


def _from_tokens(block: BlockWeights, token_JC: Tensor, x_NC: Tensor, tiles: Tiles, heads: int, how: str) -> Tensor:
    assert block.query is not None
    query = torch.unflatten(row_layer(token_JC, block.query, how), 1, (heads, -1))
    both = (row_layer(rows, block.projections, how) for rows in (token_JC, x_NC))
    own, rest = (torch.unflatten(rows, 1, (2, heads, -1)) for rows in both)
    return attend_from_jets(query, (own[:, 0], rest[:, 0]), (own[:, 1], rest[:, 1]), tiles.offsets)


def _completed(block: BlockWeights, rows: Tensor, attended: Tensor, activation: str, how: str) -> Tensor:
    """What follows the attention, the same for constituents and tokens."""
    rows = row_layer(attended.flatten(1), block.out, how, shortcut=Shortcut(rows))
    hidden = row_layer(rows, block.first, how, activation=activation)
    return row_layer(hidden, block.second, how, shortcut=Shortcut(rows, block.residual))
