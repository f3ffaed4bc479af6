"""Particle Transformer's weights: norms in the layers after them, scales of heads in the projections before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8
from ....jet_model import JetModel
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import batch_norm_of, double, folded
from ...common.cpu.row_layers import GELU, LINEAR, RELU, RowLayer, layers_in_bf16, pack

__all__ = [
    "BlockWeights",
    "Embedding",
    "Head",
    "PairNetwork",
    "ParticleTransformerWeights",
    "bf16_weights_of",
    "weights_of",
]


class Embedding(NamedTuple):
    """Of constituents: BatchNorm of the features, then dense layers, of normalised rows each."""

    scale: F8
    shift: F8
    layers: tuple[RowLayer, ...]
    kind: int


class PairNetwork(NamedTuple):
    """Of pairs: BatchNorms are in the layers; no layers without a bias."""

    layers: tuple[RowLayer, ...]
    last_kind: int
    heads: int
    with_self: bool


class BlockWeights(NamedTuple):
    """A block: projections, the norm of what was attended to, and the feed-forward network of normalised rows."""

    query: RowLayer
    key: RowLayer
    value: RowLayer
    out: RowLayer  # with the heads' scales
    scale: F4  # of the norm after the attention
    shift: F4
    first: RowLayer
    second: RowLayer
    residual: F4
    heads: int
    kind: int


class Head(NamedTuple):
    """The class token, and the classifier of its normalised row."""

    token: F4
    layers: tuple[RowLayer, ...]


class ParticleTransformerWeights(NamedTuple):
    """The whole network."""

    embedding: Embedding
    pairs: PairNetwork
    blocks: tuple[BlockWeights, ...]
    class_blocks: tuple[BlockWeights, ...]
    head: Head


def weights_of(model: JetModel) -> ParticleTransformerWeights:
    """Fold a `ParticleTransformer` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def bf16_weights_of(model: JetModel) -> ParticleTransformerWeights:
    """The same with the layers of the constituents' blocks in bf16."""
    return folded(model, _fold_bf16)


def _fold_bf16(model: Any) -> ParticleTransformerWeights:
    weights = weights_of(model)
    return weights._replace(blocks=layers_in_bf16(weights.blocks))


def _fold(model: Any) -> ParticleTransformerWeights:
    kind = {"gelu": GELU, "relu": RELU}[model.options["activation"]]
    parts = list(model.embedding)
    embedded = [pack(*_normalised(norm, linear)) for norm, linear in zip(parts[1::3], parts[2::3], strict=True)]
    linears = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    first = pack(*_normalised(model.norm, linears[0]))
    rest = [pack(double(linear.weight), double(linear.bias)) for linear in linears[1:]]
    return ParticleTransformerWeights(
        Embedding(*batch_norm_of(parts[0]), tuple(embedded), kind),
        _pairs(model),
        tuple(_block(block, kind, of_tokens=False) for block in model.blocks),
        tuple(_block(block, kind, of_tokens=True) for block in model.class_blocks),
        Head(aligned(double(model.class_token)), (first, *rest)),
    )


def _normalised(norm: Any, linear: nn.Linear) -> tuple[F8, F8]:
    """Matrix and bias of a layer on rows that are normalised without the norm's weights."""
    return _after(norm, double(linear.weight), double(linear.bias))


def _after(norm: Any, matrix: F8, bias: F8) -> tuple[F8, F8]:
    return matrix * double(norm.weight), bias + matrix @ double(norm.bias)


def _pairs(model: Any) -> PairNetwork:
    if model.pair_bias is None:
        return PairNetwork((), LINEAR, model.options["heads"], True)
    modules = [layer for layer in model.pair_bias.embed if not isinstance(layer, nn.GELU)]
    return PairNetwork(
        tuple(pack(matrix, bias) for matrix, bias in _without_norms(modules)),
        GELU if model.options["pair_activation"] else LINEAR,
        model.options["heads"],
        bool(model.options["self_pairs"]),
    )


def _without_norms(modules: Sequence[Any]) -> list[tuple[F8, F8]]:
    scale, shift = batch_norm_of(modules[0])
    found = []
    for linear, norm in zip(modules[1::2], modules[2::2], strict=True):
        outer, beyond = batch_norm_of(norm)
        matrix, bias = double(linear.weight), double(linear.bias)
        bias = bias + matrix @ np.broadcast_to(shift, matrix.shape[1])
        found.append((outer[:, None] * matrix * scale, outer * bias + beyond))
        scale, shift = np.ones(1), np.zeros(1)
    return found


def _block(block: Any, kind: int, *, of_tokens: bool) -> BlockWeights:
    attention, out, forward = block.attention, block.attention.out_proj, block.feed_forward
    projections = list(zip(*(np.split(double(t), 3) for t in attention.in_proj.parameters()), strict=True))
    query, key, value = (_after(block.before, *projection) for projection in projections)
    per_head = np.repeat(double(block.head_scale), out.in_features // block.heads)
    return BlockWeights(
        pack(*(projections[0] if of_tokens else query)), pack(*key), pack(*value),
        pack(double(out.weight) * per_head[:, None], double(out.bias) * per_head),
        aligned(double(block.after[0].weight)), aligned(double(block.after[0].bias)),
        pack(*_normalised(forward[0], forward[1])), pack(*_normalised(forward[4], forward[5])),
        aligned(double(block.residual_scale)), block.heads, kind,
    )  # fmt: skip
