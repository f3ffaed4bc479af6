"""PELICAN's evaluation on a GPU, a block in two passes.

The first makes the messages and sums their rows, the second sums their columns. Between them a pair has the channels of
a message alone: twice 4 bytes a channel, beside the float64 products. What is made of the sums costs little, and is
float64 as in the layers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....layers.aggregates import Aggregates, Aggregation
from ....layers.equivariant_2to2 import Equivariant2to2
from ....layers.equivariant_readout import Equivariant2to0, Equivariant2to1
from ....layers.multiplicity_power import MultiplicityPower
from ...common.gpu.arithmetic import precision, precision_of_nodes
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.folding import folded
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from .blocks import TILES, block_kernel, columns_kernel, encoder_kernel
from .weights import Block, PelicanWeights, fold, power_of_two, wide_channels

__all__ = ["logits"]

#: Rows that `columns_kernel` adds at once.
_ROWS = 4


class _Nodes(NamedTuple):
    """u, v, d of u_i + v_j + δ_ij d_i, float32, (N, WIDE)."""

    u: Tensor
    v: Tensor
    d: Tensor


@on_its_device
def logits(model: Any, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """What a float32 `PELICAN` that is not IRC safe gives in evaluation mode; arguments as of its ``network``.

    Parameters
    ----------
    model : PELICAN
        With at most 128 channels in a message.
    products_QR : Tensor of float64, shape (Q, R)
        Pair channels.
    scalars_NS : Tensor of float32, shape (N, S), or None
        Node scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries, spurions counted.

    Returns
    -------
    Tensor of float32, shape (J, n_classes), or (N, B) for a momentum
    """
    weights, how, tiles = folded(model, fold), precision(products_QR.device), Tiles.of(offsets)
    layers: Any = model  # whose types torch does not know
    wide, chunk = wide_channels(model)
    narrow: int = layers.messages[0].linear.out_features
    padded_narrow = power_of_two(narrow)
    receivers, senders, warps = TILES[how]
    geometry = {
        "PRECISION": how, "NARROW": padded_narrow, "WIDE": wide, "CHUNK": chunk, "RECEIVERS": RECEIVERS,
        "BI": receivers, "BJ": senders, "num_warps": warps, "num_stages": 1,
    }  # fmt: skip
    where = (tiles.offsets, tiles.pairs, tiles.jet, tiles.first)
    grid = (len(tiles.jet),)
    now = products_QR.new_empty(tiles.num_pairs, narrow, dtype=torch.float32)
    following = torch.empty_like(now)
    row, column = (products_QR.new_empty(tiles.num_nodes, narrow) for _ in range(2))

    def aggregates() -> Aggregates:
        if tiles.num_pairs:
            columns_kernel[grid](now, *where, column, narrow, NARROW=padded_narrow, COLUMNS=RECEIVERS, ROWS=_ROWS)
        return _aggregates(aggregation, row, column, now[tiles.diagonal].double(), tiles)

    nodes = None if weights.scalars is None else _from_scalars(model, weights, scalars_NS, tiles)
    aggregation = model.readout.aggregation
    if tiles.num_pairs:
        encoder_kernel[grid](
            products_QR.contiguous(), weights.embedding, weights.embedding_bias, weights.exponent,
            *(nodes or [weights.embedding_bias] * 3), *weights.messages[0], *where, now, row, narrow,
            len(model.encoder.alpha), INPUTS=products_QR.shape[1], SCALARS=nodes is not None, **geometry,
        )  # fmt: skip
    for layer, block, message in zip(layers.blocks, weights.blocks, weights.messages[1:], strict=True):
        nodes = _from_aggregates(layer, block, aggregates(), weights.zeros, tiles)
        if tiles.num_pairs:
            block_kernel[grid](
                now, block.plain, block.turned, *nodes, *message, *where, following, row, narrow, **geometry
            )  # fmt: skip
        now, following = following, now
    seen = _read_out(model.readout, weights, aggregates(), tiles)
    return dense(seen, weights.head, weights.head_bias, slope=0.01, precision=precision_of_nodes(how))


def _aggregates(aggregation: Aggregation, row: Tensor, column: Tensor, diagonal: Tensor, tiles: Tiles) -> Aggregates:
    counts = tiles.offsets[1:] - tiles.offsets[:-1]
    norm = aggregation.norm(counts)
    norm_N = norm[tiles.node_jet] if isinstance(norm, Tensor) else norm
    row, column = row / norm_N, column / norm_N
    return Aggregates(
        row=row,
        column=column,
        diagonal=diagonal,
        trace=pool(diagonal, tiles.offsets) / norm,
        total=pool(row, tiles.offsets) / norm,
    )


def _from_aggregates(layer: Equivariant2to2, block: Block, a: Aggregates, zeros: Tensor, tiles: Tiles) -> _Nodes:
    jet = tiles.node_jet
    factors = _factors(layer.power, tiles)
    f6, f7, f8, f9, f10, f11 = (1.0,) * 6 if factors is None else factors[jet, :, :6].unbind(2)
    f12, f13, f14, f15 = (1.0,) * 4 if factors is None else factors[:, :, 6:].unbind(2)

    def nodes(matrix: Tensor, column: Tensor | float, row: Tensor | float) -> Tensor:
        return dense(torch.cat([a.diagonal, a.column * column, a.row * row], dim=1), matrix, zeros)

    def jets(matrix: Tensor, bias: Tensor, trace: Tensor | float, total: Tensor | float) -> Tensor:
        return dense(torch.cat([a.trace * trace, a.total * total], dim=1), matrix, bias)

    u = nodes(block.row, f8, f11) + jets(block.jet, block.bias, f12, f14)[jet]
    v = nodes(block.column, f7, f10)
    d = torch.zeros_like(u)
    if layer.diagonal:
        d = nodes(block.diagonal, f6, f9) + jets(block.jet_diagonal, block.diagonal_bias, f13, f15)[jet]
    return _Nodes(u.float(), v.float(), d.float())


def _from_scalars(model: Any, weights: PelicanWeights, scalars_NS: Tensor | None, tiles: Tiles) -> _Nodes:
    layer, w = model.scalars_to_pairs, weights.scalars
    assert layer is not None
    assert w is not None
    assert scalars_NS is not None
    jet, x = tiles.node_jet, scalars_NS.double()
    mean = pool(x, tiles.offsets) / layer.aggregation.norm(tiles.offsets[1:] - tiles.offsets[:-1])
    factors = _factors(layer.power, tiles)
    f1, f2, f3 = (1.0,) * 3 if factors is None else factors[jet, :, :3].unbind(2)
    f4, f5 = (1.0,) * 2 if factors is None else factors[:, :, 3:].unbind(2)
    u = dense(x * f3, w.row, weights.zeros) + dense(mean * f5, w.jet, w.bias)[jet]
    v = dense(x * f2, w.column, weights.zeros)
    d = torch.zeros_like(u)
    if layer.diagonal:
        d = dense(x * f1, w.diagonal, weights.zeros) + dense(mean * f4, w.jet_diagonal, weights.zeros)[jet]
    return _Nodes(u.float(), v.float(), d.float())


def _read_out(layer: Equivariant2to0 | Equivariant2to1, weights: PelicanWeights, a: Aggregates, tiles: Tiles) -> Tensor:
    """The readout before the head, float32: of jets, or of nodes for a momentum."""
    factors = _factors(layer.power, tiles)
    if isinstance(layer, Equivariant2to0):
        operations = torch.stack([a.total, a.trace], dim=2)
    else:
        jet = tiles.node_jet
        operations = torch.stack([a.diagonal, a.row, a.column, a.trace[jet], a.total[jet]], dim=2)
        factors = None if factors is None else factors[jet]
    if factors is not None:
        operations = operations * factors
    operations = nn.functional.leaky_relu(operations).flatten(1)
    return dense(operations, weights.readout, weights.readout_bias).float()


def _factors(power: MultiplicityPower | None, tiles: Tiles) -> Tensor | None:
    if power is None:
        return None
    factors: Tensor = power(tiles.offsets[1:] - tiles.offsets[:-1])
    return factors
