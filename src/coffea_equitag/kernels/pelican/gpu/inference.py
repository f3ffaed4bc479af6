"""PELICAN's evaluation on a GPU, a block in two passes.

The first computes the messages and sums their rows, the second sums their columns. Between them a pair has only the
channels of a message: two arrays of 4 bytes per channel, beside the float64 products. What is made of the sums costs
little, and is float64 as in the layers.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ....layers.aggregates import Aggregates, Aggregation
from ....layers.equivariant_1to2 import Equivariant1to2
from ....layers.equivariant_2to2 import Equivariant2to2
from ....layers.equivariant_readout import Equivariant2to0
from ....layers.multiplicity_power import MultiplicityPower
from ...common.folding import folded
from ...common.gpu.arithmetic import precision, precision_of_nodes
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from ..network import PelicanNetwork
from .blocks import TILES, block_kernel, columns_kernel, encoder_kernel
from .kernel_arguments import Encoder
from .weights import Block, NodeTerms, PelicanWeights, fold, shape_of

__all__ = ["logits"]

#: Rows that `columns_kernel` adds at once.
_ROWS = 4


@on_its_device
def logits(model: PelicanNetwork, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """Logits of a float32 `PELICAN` for classes that is not IRC-safe, in evaluation mode.

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
    Tensor of float32, shape (J, n_classes)
    """
    weights, how, tiles = folded(model, fold), precision(products_QR.device), Tiles.of(offsets)
    depth, jets, grid = model.message_channels, tiles.arguments, (len(tiles.jet),)
    receivers, senders, warps = TILES[how]
    shape = replace(shape_of(model, how, senders), depth=depth, receivers=receivers)
    now = products_QR.new_empty(tiles.num_pairs, depth, dtype=torch.float32)
    following = torch.empty_like(now)
    row, column = (products_QR.new_empty(tiles.num_nodes, depth) for _ in range(2))

    def aggregates() -> Aggregates:
        if tiles.num_pairs:
            columns_kernel[grid](
                now, jets, column, DEPTH=depth, NARROW=shape.narrow, COLUMNS=RECEIVERS, ROWS=_ROWS
            )  # fmt: skip
        return _aggregates(model.readout.aggregation, row, column, now[tiles.diagonal].double(), tiles)

    terms = None
    if model.scalars_to_pairs is not None and scalars_NS is not None:
        terms = _from_scalars(model.scalars_to_pairs, weights, scalars_NS, tiles)
    if tiles.num_pairs:
        encoder = Encoder(
            products_QR.contiguous(), weights.embedding, weights.embedding_bias, weights.exponent
        )  # fmt: skip
        encoder_kernel[grid](
            encoder, terms or NodeTerms(*[weights.embedding_bias] * 3), weights.messages[0], jets, now, row,
            SCALARS=terms is not None, SHAPE=shape, num_warps=warps, num_stages=1,
        )  # fmt: skip
    for layer, block, message in zip(model.blocks, weights.blocks, weights.messages[1:], strict=True):
        terms = _from_aggregates(layer, block, aggregates(), weights.zeros, tiles)
        if tiles.num_pairs:
            block_kernel[grid](
                now, block.plain, block.turned, terms, message, jets, following, row, SHAPE=shape, num_warps=warps,
                num_stages=1,
            )  # fmt: skip
        now, following = following, now
    assert isinstance(model.readout, Equivariant2to0)
    hidden = _read_out(model.readout, weights, aggregates(), tiles)
    return dense(hidden, weights.head, weights.head_bias, slope=0.01, precision=precision_of_nodes(how))


def _aggregates(aggregation: Aggregation, row: Tensor, column: Tensor, diagonal: Tensor, tiles: Tiles) -> Aggregates:
    norm = aggregation.norm(tiles.offsets.diff())
    norm_N = norm[tiles.node_jet] if isinstance(norm, Tensor) else norm
    row, column = row / norm_N, column / norm_N
    return Aggregates(
        row=row,
        column=column,
        diagonal=diagonal,
        trace=pool(diagonal, tiles.offsets) / norm,
        total=pool(row, tiles.offsets) / norm,
    )


def _from_aggregates(layer: Equivariant2to2, block: Block, a: Aggregates, zeros: Tensor, tiles: Tiles) -> NodeTerms:
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
    return NodeTerms(u.float(), v.float(), d.float())


def _from_scalars(layer: Equivariant1to2, weights: PelicanWeights, scalars_NS: Tensor, tiles: Tiles) -> NodeTerms:
    w = weights.scalars
    assert w is not None
    jet, x = tiles.node_jet, scalars_NS.double()
    mean = pool(x, tiles.offsets) / layer.aggregation.norm(tiles.offsets.diff())
    factors = _factors(layer.power, tiles)
    f1, f2, f3 = (1.0,) * 3 if factors is None else factors[jet, :, :3].unbind(2)
    f4, f5 = (1.0,) * 2 if factors is None else factors[:, :, 3:].unbind(2)
    u = dense(x * f3, w.row, weights.zeros) + dense(mean * f5, w.jet, w.bias)[jet]
    v = dense(x * f2, w.column, weights.zeros)
    d = torch.zeros_like(u)
    if layer.diagonal:
        d = dense(x * f1, w.diagonal, weights.zeros) + dense(mean * f4, w.jet_diagonal, weights.zeros)[jet]
    return NodeTerms(u.float(), v.float(), d.float())


def _read_out(layer: Equivariant2to0, weights: PelicanWeights, a: Aggregates, tiles: Tiles) -> Tensor:
    """The readout before the head, (J, S) in float32."""
    factors = _factors(layer.power, tiles)
    operations = torch.stack([a.total, a.trace], dim=2)
    if factors is not None:
        operations = operations * factors
    operations = nn.functional.leaky_relu(operations).flatten(1)
    return dense(operations, weights.readout, weights.readout_bias).float()


def _factors(power: MultiplicityPower | None, tiles: Tiles) -> Tensor | None:
    if power is None:
        return None
    factors: Tensor = power(tiles.offsets.diff())
    return factors
