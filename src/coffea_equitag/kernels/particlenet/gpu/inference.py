"""ParticleNet's evaluation on a GPU: graphs, edges and sums without leaving it, and no array of edge features."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor, nn

from ....jet_model import JetModel
from ...common.gpu.arithmetic import precision, precision_of_nodes
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.folding import batch_norm, folded
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from .forward import EDGES, edge_conv_kernel
from .nearest import nearest

__all__ = ["logits"]

_CHUNK = 32


class _Convolution(NamedTuple):
    """An edge convolution in float32, inputs first; BatchNorm folded in."""

    first: Tensor  # (inputs, 2C): of the receiver, of the sender
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    third: Tensor
    third_bias: Tensor
    shortcut: Tensor | None
    shortcut_bias: Tensor


class _Weights(NamedTuple):
    input_scale: Tensor
    input_shift: Tensor
    blocks: tuple[_Convolution, ...]
    head: Tensor
    head_bias: Tensor
    head_out: Tensor
    head_out_bias: Tensor


@on_its_device
def logits(
    model: JetModel,
    features_N7: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    nodes_NP: Tensor | None,
    edges_of: None = None,
) -> Tensor:
    """Logits (J, n_classes) of a float32 `ParticleNet` without a pairwise patch, in evaluation mode.

    Parameters
    ----------
    model : ParticleNet
        With at most 64 neighbours.
    features_N7, points_N2, offsets, priority
        As of its ``network``.
    nodes_NP : Tensor of float32, shape (N, P), or None
        What the node-wise patch gives each constituent.
    """
    weights, how, tiles = folded(model, _fold), precision(features_N7.device), Tiles.of(offsets)
    exact = precision_of_nodes(how)
    k = int(model.options["k"])
    largest = int((offsets[1:] - offsets[:-1]).max()) if tiles.num_jets else 0
    first = points_N2.new_zeros(tiles.num_nodes) if priority is None else priority.detach().double().contiguous()
    x = (features_N7 * weights.input_scale + weights.input_shift).contiguous()
    for layer, block in enumerate(weights.blocks):
        points = points_N2.detach().contiguous() if layer == 0 else x
        senders = nearest(points, first, k, largest, tiles)
        x = _convolve(x if nodes_NP is None else torch.cat([x, nodes_NP], dim=1), senders, block, tiles, how)
    mean = pool(x, tiles.offsets, mean=True)
    hidden = dense(mean, weights.head, weights.head_bias, slope=0.0, precision=exact)
    return dense(hidden, weights.head_out, weights.head_out_bias, precision=exact)


def _convolve(x: Tensor, senders: Tensor, block: _Convolution, tiles: Tiles, how: str) -> Tensor:
    exact = precision_of_nodes(how)
    k, channels = senders.shape[1], block.second.shape[0]
    first_layer = dense(x, block.first, block.first_bias, precision=exact)
    shortcut = x if block.shortcut is None else dense(x, block.shortcut, block.shortcut_bias, precision=exact)
    out = x.new_empty(tiles.num_nodes, channels)
    edges = triton.next_power_of_2(k)
    if len(tiles.jet):
        edge_conv_kernel[(len(tiles.jet),)](
            first_layer, senders, shortcut, shortcut.stride(0), block.second, block.second_bias, block.third,
            block.third_bias, tiles.offsets, tiles.jet, tiles.first, out, NEIGHBOURS=k, PRECISION=how,
            CHANNELS=channels, CHUNK=_CHUNK, RECEIVERS=RECEIVERS, BI=max(1, min(EDGES[how] // edges, RECEIVERS)),
            BK=edges, num_warps=8 if channels > 128 else 4, num_stages=1,
        )  # fmt: skip
    return out


def _fold(model: Any) -> _Weights:
    scale, shift = batch_norm(model.input_norm)
    first, last = model.head[0], model.head[3]
    return _Weights(
        input_scale=scale.float(),
        input_shift=shift.float(),
        blocks=tuple(_convolution(block) for block in model.blocks),
        head=first.weight.T.contiguous(),
        head_bias=first.bias.clone(),
        head_out=last.weight.T.contiguous(),
        head_out_bias=last.bias.clone(),
    )


def _convolution(block: Any) -> _Convolution:
    (first, first_bias), *rest = (_layer(linear, norm) for linear, norm in zip(block.linears, block.norms, strict=True))
    own, step = first.chunk(2)
    (second, second_bias), (third, third_bias) = rest
    shortcut, shortcut_bias = None, third_bias
    if not isinstance(block.shortcut, nn.Identity):
        shortcut, shortcut_bias = _layer(*block.shortcut)
    return _Convolution(
        first=torch.cat([own - step, step], dim=1).float(),
        first_bias=nn.functional.pad(first_bias, (0, len(first_bias))).float(),
        second=second.float(),
        second_bias=second_bias.float(),
        third=third.float(),
        third_bias=third_bias.float(),
        shortcut=None if shortcut is None else shortcut.float(),
        shortcut_bias=shortcut_bias.float(),
    )


def _layer(linear: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Matrix (inputs, outputs) and bias, float64, of a layer and the BatchNorm behind it."""
    scale, shift = batch_norm(norm)
    return (linear.weight.double() * scale[:, None]).T.contiguous(), shift
