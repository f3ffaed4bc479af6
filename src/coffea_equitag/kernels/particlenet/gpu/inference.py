"""ParticleNet's evaluation on a GPU: graphs, edges and sums without leaving it, and no array of edge features."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from ....jet_model import JetModel
from ...common.gpu.arithmetic import precision, precision_of_nodes
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.patch import patch_features
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from .edge_scalars import edge_scalars
from .forward import EDGES, edge_conv_kernel
from .nearest import nearest
from .weights import ConvolutionWeights, weights_of

__all__ = ["logits"]

_CHUNK = 32


@on_its_device
def logits(
    model: JetModel,
    features_NF: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    groups_NG: Tensor | None,
    p4_N4: Tensor | None,
    gram_Q: Tensor | None,
) -> Tensor:
    """Logits (J, n_classes) of a float32 `ParticleNet` in evaluation mode.

    Parameters
    ----------
    model : ParticleNet
        With at most 64 neighbours.
    features_NF, points_N2, offsets, priority
        As of its ``network``.
    groups_NG, p4_N4, gram_Q
        What the patches see.
    """
    weights, how, tiles = weights_of(model), precision(features_NF.device), Tiles.of(offsets)
    network: Any = model
    exact, phantoms = precision_of_nodes(how), bool(model.options["phantom_neighbours"])
    largest = int((offsets[1:] - offsets[:-1]).max()) if tiles.num_jets else 0
    first = points_N2.new_zeros(tiles.num_nodes) if priority is None else priority.detach().double().contiguous()
    nodes = None if groups_NG is None else patch_features(weights.node_patch, groups_NG, exact)
    x, found = (features_NF * weights.input_scale + weights.input_shift).contiguous(), []
    for layer, (block, k) in enumerate(zip(weights.convolutions, network.neighbours, strict=True)):
        points = points_N2.detach().contiguous() if layer == 0 else x
        senders = nearest(points, first, k, largest, tiles)
        inputs = x if nodes is None else torch.cat([x, nodes], dim=1)
        pairs = x
        if weights.pair_patches:
            scalars = edge_scalars(model.options["pairwise"], p4_N4, gram_Q, senders, tiles)
            pairs = patch_features(weights.pair_patches[layer], scalars.view(-1, 1), exact)
        x = _convolve(inputs, pairs, senders, block, tiles, how, phantoms)
        found.append(x)
    if weights.fusion is not None:
        x = dense(torch.cat(found, dim=1), *weights.fusion, slope=0.0, precision=exact)
    hidden = pool(x, tiles.offsets, mean=True)
    for matrix, bias in weights.head[:-1]:
        hidden = dense(hidden, matrix, bias, slope=0.0, precision=exact)
    return dense(hidden, *weights.head[-1], precision=exact)


def _convolve(
    x: Tensor, pairs: Tensor, senders: Tensor, weights: ConvolutionWeights, tiles: Tiles, how: str, phantoms: bool
) -> Tensor:
    exact = precision_of_nodes(how)
    k, channels, extra = senders.shape[1], weights.edge.second.shape[0], len(weights.pair)
    first_layer = dense(x, weights.first, weights.first_bias, precision=exact)
    shortcut = x if weights.shortcut is None else dense(x, weights.shortcut, weights.shortcut_bias, precision=exact)
    out = x.new_empty(tiles.num_nodes, channels)
    edges = triton.next_power_of_2(k)
    if len(tiles.jet):
        edge_conv_kernel[(len(tiles.jet),)](
            first_layer, senders, shortcut, shortcut.stride(0), pairs, weights.pair, weights.edge, tiles.arguments, out,
            NEIGHBOURS=k, PHANTOMS=phantoms, PRECISION=how, CHANNELS=channels, CHUNK=_CHUNK,
            EXTRA=extra, BE=max(16, triton.next_power_of_2(extra)), RECEIVERS=RECEIVERS,
            BI=max(1, min(EDGES[how] // edges, RECEIVERS)), BK=edges,
            num_warps=8 if channels > 128 else 4, num_stages=1,
        )  # fmt: skip
    return out
