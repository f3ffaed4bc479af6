"""Particle Transformer's weights for evaluation on a GPU, in float32, inputs first; norms are folded in."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....jet_model import JetModel
from ...common.folding import batch_norm, folded
from ...common.gpu.folding import padded
from ...common.gpu.row_layers import RowLayer

__all__ = ["BlockWeights", "PairLayers", "PairNetwork", "ParticleTransformerWeights", "weights_of"]


class PairLayers(NamedTuple):
    """The embedding of pairs; P is the power of two that holds its widest layer, L hidden layers come after the first.

    Its kernel takes these tensors.
    """

    first: Tensor  # (4, P)
    first_bias: Tensor  # (P,)
    hidden: Tensor  # (L, P, P)
    hidden_bias: Tensor  # (L, P)
    last: Tensor  # (P, heads padded to 16 or more)
    last_bias: Tensor


class PairNetwork(NamedTuple):
    """The same with what else its kernel is compiled for."""

    layers: PairLayers
    heads: int
    last_activation: bool
    with_self: bool


class BlockWeights(NamedTuple):
    """A block: projections, the layer behind the attention with its norm, and the feed-forward network."""

    query: RowLayer | None  # of tokens, which are not normalised; in a particle block, part of the next
    projections: RowLayer
    out: RowLayer
    first: RowLayer
    second: RowLayer
    residual: Tensor


class ParticleTransformerWeights(NamedTuple):
    """The whole network, from the scale and shift of the features on."""

    scale: Tensor
    shift: Tensor
    embedding: tuple[RowLayer, ...]
    pairs: PairNetwork | None
    blocks: tuple[BlockWeights, ...]
    class_blocks: tuple[BlockWeights, ...]
    token: Tensor
    head: tuple[RowLayer, ...]


def weights_of(model: JetModel) -> ParticleTransformerWeights:
    """Fold a `ParticleTransformer` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def _fold(model: Any) -> ParticleTransformerWeights:
    norm, *parts = model.embedding
    scale, shift = batch_norm(norm)
    classifier = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    return ParticleTransformerWeights(
        scale.float(),
        shift.float(),
        tuple(_layer(linear, before) for before, linear in zip(parts[::3], parts[1::3], strict=True)),
        None if model.pair_bias is None else _pairs(model.pair_bias, model.options["pair_activation"]),
        tuple(_block(block, of_tokens=False) for block in model.blocks),
        tuple(_block(block, of_tokens=True) for block in model.class_blocks),
        model.class_token.detach().clone(),
        (_layer(classifier[0], model.norm), *(_layer(linear) for linear in classifier[1:])),
    )


def _block(block: Any, *, of_tokens: bool) -> BlockWeights:
    attention, forward = block.attention, block.feed_forward
    weight, bias = attention.in_proj.weight.double(), attention.in_proj.bias.double()
    width, per_head = len(weight) // 3, block.head_scale.double().repeat_interleave(len(weight) // 3 // block.heads)
    alone, after = width if of_tokens else 0, block.after[0]
    behind = torch.stack([after.weight, after.bias]).detach().clone(), after.eps
    out = attention.out_proj
    return BlockWeights(
        _row_layer(weight[:alone], bias[:alone]) if of_tokens else None,
        _row_layer(weight[alone:], bias[alone:], block.before),
        _row_layer(out.weight.double() * per_head[:, None], out.bias.double() * per_head)._replace(after=behind),
        _layer(forward[1], forward[0]),
        _layer(forward[5], forward[4]),
        block.residual_scale.detach().clone(),
    )


def _layer(linear: nn.Linear, before: nn.LayerNorm | None = None) -> RowLayer:
    return _row_layer(linear.weight.double(), linear.bias.double(), before)


def _row_layer(weight: Tensor, bias: Tensor, before: nn.LayerNorm | None = None) -> RowLayer:
    """A layer of a matrix (M, K); the gain and shift of a norm before it become part of it."""
    if before is not None:
        weight, bias = weight * before.weight.double(), bias + weight @ before.bias.double()
    epsilon = None if before is None else before.eps
    return RowLayer(weight.T.contiguous().float(), bias.float(), epsilon)


def _pairs(bias: Any, last_activation: bool) -> PairNetwork:
    norm, *modules = (layer for layer in bias.embed if not isinstance(layer, nn.GELU))
    scale, shift = batch_norm(norm)
    matrices, biases = [], []
    for linear, after in zip(modules[::2], modules[1::2], strict=True):
        outer, beyond = batch_norm(after)
        weight = linear.weight.double()
        biases.append(outer * (linear.bias.double() + (weight * shift).sum(1)) + beyond)
        matrices.append((outer[:, None] * weight * scale).T)
        scale, shift = torch.ones_like(outer), torch.zeros_like(outer)
    widest, heads = _power_of_two(max(map(len, biases[:-1]))), _power_of_two(bias.heads)
    hidden = [padded(matrix, widest, widest) for matrix in matrices[1:-1]]
    layers = PairLayers(
        padded(matrices[0], 4, widest),
        padded(biases[0], widest),
        torch.stack(hidden) if hidden else norm.weight.new_zeros(0, widest, widest),
        torch.stack([padded(each, widest) for each in biases[:-1]])[1:].contiguous(),
        padded(matrices[-1], widest, heads),
        padded(biases[-1], heads),
    )
    return PairNetwork(layers, bias.heads, last_activation, bias.with_self)


def _power_of_two(size: int) -> int:
    return max(16, 1 << (size - 1).bit_length())
