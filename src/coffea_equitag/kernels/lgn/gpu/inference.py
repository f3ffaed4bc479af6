"""LGN's evaluation on a GPU: what belongs to a pair, and the products of a node's tensors, exist in registers only.

Of all pairs only p_i·p_j are in memory, 8 bytes each. Sums are in float64, as in the layers, if float32 is asked for;
products of a node's tensors always are. Those products are sparse: tables list the few terms of each component, while
torch's matrix products would write all 400 products of two tensors' components, and add them in an order that depends
on the batch.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from ....layers.saturation import FEATURE_BOUND, saturated
from ...common.gpu.arithmetic import precision
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.folding import folded
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from .forward import SENDERS, LevelShape, pair_sums_kernel
from .mixing import NODES, mixing_kernel, products_kernel
from .weights import Level, Terms, fold

__all__ = ["logits"]


@on_its_device
def logits(
    model: Any, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, products_Q: Tensor, scale2: float | None = None
) -> Tensor:
    """Logits of a float32 `LGN` of classes in evaluation mode.

    Parameters
    ----------
    model : LGN
        The network.
    p4_N4 : Tensor of float64, shape (N, 4)
        Scaled (E, px, py, pz) of the nodes.
    scalars : Tensor, shape (N, 1 or 2)
        Node scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries, beams counted.
    products_Q : Tensor of float64, shape (Q,)
        Scaled (p_i − p_j)², jet after jet, n × n; with `scale2` unscaled p_i·p_j.
    scale2 : float, optional
        The square of the scale.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    tables, how, tiles = folded(model, fold), precision(p4_N4.device), Tiles.of(offsets)
    nodes = tiles.num_nodes
    p4 = p4_N4.detach().double()
    momenta = torch.cat([p4.T, p4.new_ones(1, nodes)]).contiguous()
    invariants = p4.new_empty(nodes, len(tables.head[0]))
    first = dense(scalars.detach().double().contiguous(), *tables.input)
    invariants[:, : first.shape[1]] = first
    planes = p4.new_empty(tables.levels[0].channels, tables.levels[0].planes, 2, nodes)
    _set_scalars(planes, first)
    at = first.shape[1]
    if len(tables.vectors):
        planes[:, 1:5] = tables.vectors[:, None, :, None] * p4.T[:, None]
        norms = _vector_norms(tables.vectors, p4)
        invariants[:, at : at + norms.shape[1]] = norms
        at += norms.shape[1]
    for index, level in enumerate(tables.levels):
        last = index == len(tables.levels) - 1
        width = level.components_out if last else tables.levels[index + 1].planes
        following = p4.new_empty(level.channels_out, width, 2, nodes)
        if nodes:
            _sum_pairs(planes, momenta, products_Q.detach().contiguous(), scale2, level, tiles, how)
            _mix(planes, momenta, following, level)
        following[:, : level.components_out].clamp_(-FEATURE_BOUND, FEATURE_BOUND)
        x = following[:, 0].permute(2, 0, 1).reshape(nodes, 2 * level.channels_out).contiguous()
        x = saturated(x)
        for k, (matrix, bias) in enumerate(level.perceptron):
            x = dense(x, matrix, bias, slope=1.0 if k == len(level.perceptron) - 1 else 0.01)
        invariants[:, at : at + x.shape[1]] = x
        at += x.shape[1]
        _set_scalars(following, x)
        norms = invariants[:, at : at + 2 * level.channels_out * (len(level.norms.first) - 1)]
        _multiply(following, following, level.norms, norms, (invariants.stride(0), 1, 2 * level.channels_out, 2), True)
        at += norms.shape[1]
        planes = following
    return dense(saturated(pool(invariants, tiles.offsets)), *tables.head).float()


def _set_scalars(planes: Tensor, scalars: Tensor) -> None:
    """Set the scalars, (Re, Im) of each channel, with which a channel begins."""
    planes[:, 0] = scalars.T.reshape(len(planes), 2, -1)


def _vector_norms(vectors: Tensor, p4: Tensor) -> Tensor:
    """(w p)² of each node, (Re, Im) of each channel."""
    re, im = vectors.unbind(1)
    energy, px, py, pz = p4.unbind(1)
    square = energy * energy - px * px - py * py - pz * pz
    return square[:, None] * torch.stack([re * re - im * im, 2 * re * im], dim=1).flatten()


def _sum_pairs(
    planes: Tensor, momenta: Tensor, pairs_Q: Tensor, factor: float | None, level: Level, tiles: Tiles, how: str
) -> None:
    """Fill in F ⊗ p of each node, and the sums over pairs."""
    nodes = tiles.num_nodes
    features_p = planes[:, level.components :]
    _multiply(planes, momenta, level.times_momentum, features_p, (1, nodes, 2 * nodes, planes.stride(0)), False)
    exact = how in ("ieee", "tf32x3")
    pair_sums_kernel[(len(tiles.jet), level.channels)](
        pairs_Q, planes, level.bells, tiles.arguments,
        LevelShape(level.planes, level.components, level.products, level.bells.weights.shape[1]), nodes,
        1.0 if factor is None else factor, SQUARES=factor is None, EXACT=exact, PRECISION="ieee" if exact else how,
        OWN=_power_of_two(level.components), ALL=_power_of_two(level.components + level.products), RECEIVERS=RECEIVERS,
        SENDERS=SENDERS, num_stages=1,
    )  # fmt: skip


def _multiply(
    planes: Tensor, other: Tensor, terms: Terms, out: Tensor, strides: tuple[int, int, int, int], squares: bool
) -> None:
    """Components of products, see `products_kernel`; strides of nodes, parts, rows and channels."""
    channels, width, _, nodes = planes.shape
    rows = len(terms.first) - 1
    if nodes and rows:
        products_kernel[(triton.cdiv(nodes, NODES), rows, channels)](
            planes, other, terms, out, *strides, nodes, width, SQUARES=squares, NODES=NODES
        )


def _mix(planes: Tensor, momenta: Tensor, out: Tensor, level: Level) -> None:
    nodes = planes.shape[3]
    mixing_kernel[(triton.cdiv(nodes, NODES), level.components_out)](
        planes, momenta, level.rows, level.terms, level.weight, out, nodes, level.planes, out.shape[1],
        level.channels, level.channels_out, OUT=level.weight.shape[3], NODES=NODES,
    )  # fmt: skip


def _power_of_two(width: int) -> int:
    return 1 << (max(width, 16) - 1).bit_length()
