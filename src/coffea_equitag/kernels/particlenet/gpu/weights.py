"""ParticleNet's weights for evaluation on a GPU, in float32, inputs first; BatchNorm is folded in."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....jet_model import JetModel
from ...common.folding import batch_norm, folded
from ...common.gpu.patch import PatchWeights, fold_patch

__all__ = ["ConvolutionWeights", "EdgeLayers", "ParticleNetWeights", "weights_of"]


class EdgeLayers(NamedTuple):
    """The edge network's layers after the first; all (C, C)."""

    second: Tensor
    second_bias: Tensor
    third: Tensor
    third_bias: Tensor


class ConvolutionWeights(NamedTuple):
    """One edge convolution. With the edge network's first layer A x_i + B (x_j − x_i)."""

    first: Tensor  # (inputs, 2C): A − B, then B
    first_bias: Tensor
    pair: Tensor  # (E, C), of the pairwise patch's features
    edge: EdgeLayers
    shortcut: Tensor | None
    shortcut_bias: Tensor


class ParticleNetWeights(NamedTuple):
    """The normalisation of the inputs, convolutions, the fusion block if there is one, the classifier, and patches."""

    input_scale: Tensor
    input_shift: Tensor
    convolutions: tuple[ConvolutionWeights, ...]
    fusion: tuple[Tensor, Tensor] | None
    head: tuple[tuple[Tensor, Tensor], ...]
    pair_patches: tuple[PatchWeights, ...]
    node_patch: PatchWeights


def weights_of(model: JetModel) -> ParticleNetWeights:
    """Fold a `ParticleNet` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def _fold(model: Any) -> ParticleNetWeights:
    scale, shift = model.head[0].weight.new_tensor([1.0, 0.0])
    if isinstance(model.input_norm, nn.BatchNorm1d):
        scale, shift = batch_norm(model.input_norm)
    fusion = None
    if model.fusion is not None:
        matrix, bias = _layer(*model.fusion[:2])
        fusion = matrix.float(), bias.float()
    return ParticleNetWeights(
        input_scale=scale.float(),
        input_shift=shift.float(),
        convolutions=tuple(_fold_block(block) for block in model.blocks),
        fusion=fusion,
        head=tuple(
            (layer.weight.T.contiguous(), layer.bias.clone()) for layer in model.head if isinstance(layer, nn.Linear)
        ),
        pair_patches=tuple(fold_patch(patch.layers) for patch in model.pair_patches),
        node_patch=fold_patch(model.node_patch and model.node_patch.layers),
    )


def _fold_block(block: Any) -> ConvolutionWeights:
    (first, first_bias), *later = (
        _layer(linear, norm) for linear, norm in zip(block.linears, block.norms, strict=True)
    )
    a, b, pair = torch.split(first, [(len(first) - block.n_pair) // 2] * 2 + [block.n_pair])
    shortcut, shortcut_bias = None, later[-1][1]
    if not isinstance(block.shortcut, nn.Identity):
        shortcut, shortcut_bias = _layer(*block.shortcut)
    return ConvolutionWeights(
        first=torch.cat([a - b, b], dim=1).float(),
        first_bias=nn.functional.pad(first_bias, (0, len(first_bias))).float(),
        pair=pair.float(),
        edge=EdgeLayers(*(tensor.float() for layer in later for tensor in layer)),
        shortcut=None if shortcut is None else shortcut.float(),
        shortcut_bias=shortcut_bias.float(),
    )


def _layer(linear: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Matrix (inputs, outputs) and bias, float64, of a layer and the BatchNorm behind it."""
    scale, shift = batch_norm(norm)
    return (linear.weight.double() * scale[:, None]).T.contiguous(), shift
