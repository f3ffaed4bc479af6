"""Evaluation of Vector and Tensor PFN on a GPU: tracks pass through the layers without their products in memory.

Between layers a track is stored as the outputs of a layer's linear maps, 13 × 2F numbers; the 13 × 3F products are
computed from them in registers, where the next maps or the sum over the jet need them. Layers after the sum are the
same kernels in float64.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from ...common.gpu.arithmetic import precision
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.folding import folded
from .forward import GROUPS, layer_kernel, sums_kernel
from .weights import Maps, fold, padded_features

__all__ = ["outputs_and_vectors"]

#: Rows, outputs and depth of a tile, in float32 and in float64.
_TILES = {torch.float32: (64, 32, 16), torch.float64: (16, 32, 16)}
#: Rows that are summed at once.
_ROWS = 16


@on_its_device
def outputs_and_vectors(
    model: Any, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs of the perceptron of a float32 `VectorPFN` or `TensorPFN` for each jet, and the last layer's vectors.

    Parameters
    ----------
    model : VectorPFN
        With hidden layers before and after the sum, in evaluation mode.
    scalars : Tensor of float32, shape (N, S)
        Scalars of the tracks.
    vectors : Tensor of float64, shape (N, 3, V)
        Component along the detector's axes, then vector.
    frames_J33 : Tensor of float64, shape (J, 3, 3)
        Rows x̂, ŷ, ẑ = ĵ.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.

    Returns
    -------
    outputs : Tensor of float64, shape (J, K)
    vectors : Tensor of float64, shape (J, 3, 3F), or 2F without tensors
        In the jets' frames.
    """
    weights, how = folded(model, fold), precision(scalars.device)
    features, jets = int(model.options["features"]), len(offsets) - 1
    padded, thirds = padded_features(features), 3 if model.has_tensors else 2
    settings = {"THIRDS": thirds, "LOGARITHMIC": model.options["scalar_activation"] == "log_relu"}
    counts = offsets.diff()
    x = _load_tracks(
        scalars.detach(), vectors.detach(), frames_J33.detach(), counts, weights.phi[0].weight.shape[1], thirds
    )
    for index, maps in enumerate(weights.phi):
        x = _layer(x, maps, None, settings, products=index > 0, precision=how)
    x = _sums(x, offsets, settings)
    for index, maps in enumerate(weights.f):
        x = _layer(x, maps, None if index else counts.double(), settings, products=index > 0, precision="ieee")
    x = _sums(x, torch.arange(jets + 1, device=x.device), settings)
    x = x.reshape(len(x), jets, thirds, padded)[..., :features].flatten(2)
    square = [plane * plane for plane in x]
    invariants = [x[0], square[1] + square[2] + square[3]]
    if model.has_tensors:
        # added one by one: a reduction's order is the device's choice
        invariants.append(sum(square[5:9], start=square[4]) + 0.5 * sum(square[10:], start=square[9]))
    outputs = torch.cat(invariants, dim=1)
    for index, (matrix, bias) in enumerate(weights.mlp):
        outputs = dense(outputs, matrix, bias, slope=1.0 if index == len(weights.mlp) - 1 else 0.0)
    return outputs, x[1:4].permute(1, 0, 2)


def _load_tracks(scalars: Tensor, vectors: Tensor, frames: Tensor, counts: Tensor, width: int, thirds: int) -> Tensor:
    """Tracks' features in their jets' frames, padded: (planes, N, width)."""
    rows, count = len(scalars), vectors.shape[2]
    frames = torch.repeat_interleave(frames, counts, dim=0, output_size=rows)
    turned = frames[:, :, :1] * vectors[:, :1]
    for k in (1, 2):
        turned = turned + frames[:, :, k : k + 1] * vectors[:, k : k + 1]
    turned = turned.to(scalars.dtype)
    x = scalars.new_zeros(13 if thirds == 3 else 4, rows, width)
    x[0, :, : scalars.shape[1]] = scalars
    x[1:4, :, :count] = turned.permute(1, 0, 2)
    if thirds == 3:
        # T_ab of each two vectors, for each two axes
        t = (turned[:, :, None, :, None] * turned[:, None, :, None, :]).flatten(3).permute(1, 2, 0, 3)
        (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = t
        planes = [zz, zx, zy, xz, yz, xx + yy, yx - xy, xx - yy, xy + yx]
        x[4:, :, : count * count] = torch.stack(planes)
    return x


def _layer(
    x: Tensor, maps: Maps, counts: Tensor | None, settings: dict[str, Any], *, products: bool, precision: str
) -> Tensor:
    """Outputs (planes, rows, 2F) of a layer's maps on features, or on products of the outputs of the maps before."""
    planes, rows, width = x.shape
    out = x.new_empty(planes, rows, maps.weight.shape[2])
    features = out.shape[2] // 2
    tile = _TILES[x.dtype]
    groups = GROUPS[0] + GROUPS[1] if planes > 4 else GROUPS[0]
    for group in groups if rows else ():
        layer_kernel[(triton.cdiv(rows, tile[0]), 2 * features // tile[1])](
            x, maps, x if counts is None else counts, out, rows, GROUP=group, PRODUCTS=products,
            COUNTED=counts is not None, WIDTH=width // 2 if products else width, F=features, PRECISION=precision,
            TILE=tile, num_warps=4, num_stages=1, **settings,
        )  # fmt: skip
    return out


def _sums(x: Tensor, offsets: Tensor, settings: dict[str, Any]) -> Tensor:
    """Products of the outputs of a layer's maps, summed over each jet: (planes, J, 3F) in float64."""
    planes, rows, width = x.shape
    features, jets = width // 2, len(offsets) - 1
    out = x.new_empty(planes, jets, settings["THIRDS"] * features, dtype=torch.float64)
    tile = 32 if features % 32 == 0 else 16
    if jets:
        sums_kernel[(jets, features // tile)](
            x, offsets, out, rows, jets, F=features, ROWS=_ROWS, WIDTH=tile, num_stages=1, **settings
        )
    return out
