"""ParticleNet's weights for evaluation: BatchNorm is folded into the layer before it, the inputs' into those after."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8, I4
from ....jet_model import JetModel
from ...common.cpu.bf16 import pairs_of
from ...common.cpu.folding import batch_norm_of, blocks, double, padded
from ...common.cpu.patch import PatchWeights, fold_patch
from ...common.cpu.wide_dense import block_of
from ...common.folding import folded

__all__ = ["EdgeConvWeights", "HeadWeights", "ParticleNetWeights", "bf16_edges_of", "weights_of"]


class EdgeConvWeights(NamedTuple):
    """One convolution; matrices in blocks, biases padded. With the edge network's first layer A x_i + B (x_j − x_i)."""

    own: F4  # A − B
    own_bias: F4
    other: F4  # B
    other_bias: F4
    shortcut: F4
    shortcut_bias: F4
    pair: F4  # of the pairwise patch's features in the first layer
    zeros: F4
    edge: tuple[F4, ...]  # the later layers
    edge_bias: tuple[F4, ...]
    edge_inputs: tuple[int, ...]


class HeadWeights(NamedTuple):
    """The classifier of the mean over constituents: its layers' matrices, biases, and the channels that come in."""

    weight: tuple[F4, ...]
    bias: tuple[F4, ...]
    inputs: tuple[int, ...]


class FusionWeights(NamedTuple):
    """The fusion block, and how many channels of each convolution come in, with those that fill whole tiles."""

    weight: F4
    bias: F4
    inputs: tuple[int, ...]


class ParticleNetWeights(NamedTuple):
    """All convolutions, the channels that each gives, the fusion block if there is one, the classifier, and patches."""

    convolutions: tuple[EdgeConvWeights, ...]
    channels: tuple[int, ...]
    fusion: FusionWeights | None
    head: HeadWeights
    pair_patches: tuple[PatchWeights, ...]
    node_patch: PatchWeights


def weights_of(model: JetModel) -> ParticleNetWeights:
    """Fold a `ParticleNet` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def bf16_edges_of(model: JetModel) -> tuple[tuple[I4, ...], ...]:
    """For each convolution the matrices of its edge network's later layers in bf16, kept likewise."""
    return folded(model, _fold_bf16)


def _fold_bf16(model: Any) -> tuple[tuple[I4, ...], ...]:
    layers = (convolution.edge for convolution in weights_of(model).convolutions)
    return tuple(tuple(pairs_of(weight.astype(np.float64)) for weight in edge) for edge in layers)


def _fold(model: Any) -> ParticleNetWeights:
    channels = tuple(block.linears[-1].out_features for block in model.blocks)
    extra = model.options["patch_width"] if model.node_patch is not None else 0
    scale, shift = batch_norm_of(model.input_norm)
    convolutions: list[EdgeConvWeights] = []
    features = (model.blocks[0].linears[0].in_features - model.blocks[0].n_pair) // 2 - extra
    for block, n_input in zip(model.blocks, (features, *channels), strict=False):
        # what comes in is padded to whole tiles, except for the features themselves
        gap = 0 if not convolutions else -n_input % block_of(n_input)
        convolutions.append(_fold_block(block, n_input, gap, extra, scale, shift))
        scale, shift = np.ones(1), np.zeros(1)
    linears = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    head = HeadWeights(
        weight=tuple(blocks(double(linear.weight)) for linear in linears),
        bias=tuple(padded(double(linear.bias)) for linear in linears),
        inputs=tuple(linear.in_features for linear in linears),
    )
    patches = tuple(fold_patch(patch.layers) for patch in model.pair_patches)
    nodes = fold_patch(model.node_patch and model.node_patch.layers)
    return ParticleNetWeights(tuple(convolutions), channels, _fold_fusion(model.fusion, channels), head, patches, nodes)


def _fold_fusion(fusion: Any, channels: tuple[int, ...]) -> FusionWeights | None:
    if fusion is None:
        return None
    scale, shift = batch_norm_of(fusion[1])
    parts = np.split(double(fusion[0].weight) * scale[:, None], np.cumsum(channels)[:-1], axis=1)
    wide = [np.pad(part, ((0, 0), (0, -part.shape[1] % block_of(part.shape[1])))) for part in parts]
    return FusionWeights(blocks(np.hstack(wide)), padded(shift), tuple(part.shape[1] for part in wide))


def _fold_block(block: Any, n_input: int, gap: int, extra: int, scale: F8, shift: F8) -> EdgeConvWeights:
    """Fold one `EdgeConv`; `scale` and `shift` are those of a normalisation before it."""

    def spaced(matrix: F8) -> tuple[F8, F8]:
        """The matrix for inputs as they come, and what the shift makes of them."""
        own = matrix[:, :n_input]
        shifted = own @ np.broadcast_to(shift, n_input)
        return np.hstack([own * scale, np.zeros((len(matrix), gap)), matrix[:, n_input:]]), shifted

    norms = [batch_norm_of(norm) for norm in block.norms]
    weights = [
        double(linear.weight) * norm_scale[:, None]
        for linear, (norm_scale, _) in zip(block.linears, norms, strict=True)
    ]
    f = n_input + extra
    a, b, w_pair = np.split(weights[0], [f, 2 * f], axis=1)
    own, own_shift = spaced(a - b)
    other, other_shift = spaced(b)
    shortcut, shortcut_bias = np.eye(f), np.zeros(f)
    if not isinstance(block.shortcut, nn.Identity):
        norm_scale, shortcut_bias = batch_norm_of(block.shortcut[1])
        shortcut = double(block.shortcut[0].weight) * norm_scale[:, None]
    shortcut, shortcut_shift = spaced(shortcut)
    return EdgeConvWeights(
        own=blocks(own),
        own_bias=padded(norms[0][1] + own_shift),
        other=blocks(other),
        other_bias=padded(other_shift),
        shortcut=blocks(shortcut),
        shortcut_bias=padded(shortcut_bias + shortcut_shift),
        pair=blocks(w_pair),
        zeros=padded(np.zeros(len(other))),
        edge=tuple(blocks(weight) for weight in weights[1:]),
        edge_bias=tuple(padded(norm_shift) for _, norm_shift in norms[1:]),
        edge_inputs=tuple(weight.shape[1] for weight in weights[1:]),
    )
