"""Particle Transformer on padded jets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...invariants.pair_logarithms import pair_logarithms
from ...layers.attention_block import ClassAttentionBlock
from ...models.particle_transformer import ParticleTransformer
from ..padded_jets import PaddedJets
from ..padded_squares import PaddedSquares
from ..pair_products import pair_products

__all__ = ["outputs", "outputs_of"]


def outputs(model: ParticleTransformer, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes)."""
    return outputs_of(model, jets, model.features(jets.rows()))


def outputs_of(model: ParticleTransformer, jets: PaddedJets, features_NF: Tensor) -> Tensor:
    """Logits (J, n_classes), given features of all places (J·W, F)."""
    squares = PaddedSquares(jets)
    bias_QH = None if model.pair_bias is None else _bias(model, jets)
    x_NC = model.embedding(features_NF)
    for block in model.blocks:
        x_NC = block(x_NC, squares, bias_QH)
    token_JC = model.class_token.expand(jets.size[0], -1)
    class_blocks: list[Any] = list(model.class_blocks)
    for block in class_blocks:
        token_JC = _class_block(block, token_JC, x_NC, jets)
    logits: Tensor = model.head(model.norm(token_JC))
    return logits


def _bias(model: ParticleTransformer, jets: PaddedJets) -> Tensor:
    """Bias of all pairs (J·W·W, H)."""
    assert model.pair_bias is not None
    (j, w), row = jets.size, torch.arange(jets.size[0])[:, None] * jets.size[1]
    node = row + torch.arange(w)
    first = node[:, :, None].expand(j, w, w).flatten()
    second = node[:, None].expand(j, w, w).flatten()
    place, diagonal = torch.arange(j * w * w), (row * w + torch.arange(w) * (w + 1)).flatten()
    # padding with a momentum: ONNX has the smallest bounds of logarithms, 1e-60, in single precision, where they are 0
    p4 = torch.where(jets.real[..., None], jets.p4, 1.0)
    logarithms = pair_logarithms(p4.flatten(0, 1), pair_products(jets).flatten(), first, second, place, diagonal).to(
        model.dtype
    )
    bias: Tensor = model.pair_bias.embed(logarithms)
    return bias if model.pair_bias.with_self else torch.where((first != second)[:, None], bias, 0.0)


def _class_block(block: ClassAttentionBlock, token_JC: Tensor, x_NC: Tensor, jets: PaddedJets) -> Tensor:
    """The token attends to itself and to the jet's constituents."""
    attention, (j, w), width = block.attention, jets.size, token_JC.shape[1]
    rest = torch.cat([block.before(token_JC)[:, None], block.before(x_NC).view(j, w, width)], dim=1)
    weight, bias = attention.in_proj.weight, attention.in_proj.bias
    query = nn.functional.linear(token_JC, weight[:width], bias[:width]).view(j, attention.heads, 1, -1)
    both = nn.functional.linear(rest, weight[width:], bias[width:]).view(j, w + 1, 2, attention.heads, -1)
    key, value = both.permute(2, 0, 3, 1, 4).unbind(0)
    scores = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3)
    seen = torch.cat([torch.ones(j, 1, dtype=torch.bool), jets.real], dim=1)
    weights = torch.softmax(torch.where(seen[:, None, None], scores, -torch.inf), dim=3)
    return block.completed(token_JC, attention.out_proj((weights @ value).flatten(1)))
