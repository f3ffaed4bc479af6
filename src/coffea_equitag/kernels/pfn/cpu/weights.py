"""PFN's weights: every BatchNorm in the layer before it, that of the inputs in the first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8
from ....jet_model import JetModel
from ...common.cpu.folding import batch_norm_of, blocks, double, padded
from ...common.cpu.patch import PatchWeights, fold_patch
from ...common.folding import folded

__all__ = ["Layers", "PFNWeights", "weights_of"]


class Layers(NamedTuple):
    """Dense layers: matrices in blocks, biases, and the channels that come in, without the patch's."""

    weight: tuple[F4, ...]
    bias: tuple[F4, ...]
    inputs: tuple[int, ...]


class PFNWeights(NamedTuple):
    """The layers of Φ and F, and the patch."""

    phi: Layers
    f: Layers
    patch: PatchWeights


def weights_of(model: JetModel) -> PFNWeights:
    """Fold a `PFN` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def _fold(model: Any) -> PFNWeights:
    phi: list[tuple[F8, F8, int]] = []
    before_scale, before_shift = batch_norm_of(model.input_norm)
    modules = list(model.phi)
    for linear, norm in zip(modules[::3], modules[1::3], strict=True):
        scale, shift = batch_norm_of(norm)
        matrix, bias = double(linear.weight) * np.reshape(scale, (-1, 1)), double(linear.bias) * scale + shift
        extra = 0 if model.node_patch is None else model.options["patch_width"]
        own = matrix.shape[1] - extra
        bias = bias + matrix[:, :own] @ np.broadcast_to(before_shift, own)
        matrix[:, :own] *= before_scale
        phi.append((matrix, bias, own))
        before_scale, before_shift = np.ones(1), np.zeros(1)
    linears = [module for module in model.f if isinstance(module, nn.Linear)]
    f = [(double(linear.weight), double(linear.bias), linear.in_features) for linear in linears]
    return PFNWeights(_in_blocks(phi), _in_blocks(f), fold_patch(model.node_patch and model.node_patch.layers))


def _in_blocks(layers: list[tuple[F8, F8, int]]) -> Layers:
    return Layers(
        weight=tuple(blocks(matrix) for matrix, _, _ in layers),
        bias=tuple(padded(bias) for _, bias, _ in layers),
        inputs=tuple(inputs for _, _, inputs in layers),
    )
