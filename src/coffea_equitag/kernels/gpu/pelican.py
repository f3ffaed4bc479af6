"""PELICAN's evaluation on a GPU, a block in two passes.

The first makes the messages and sums their rows, the second sums their columns. Between them a pair has the channels of
a message alone: twice 4 bytes a channel, beside the float64 products. What is made of the sums costs little, and is
float64 as in the layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ...layers.aggregates import Aggregates, Aggregation
from ...layers.equivariant_1to2 import Equivariant1to2
from ...layers.equivariant_2to2 import Equivariant2to2
from ...layers.equivariant_readout import Equivariant2to0, Equivariant2to1
from ...layers.multiplicity_power import MultiplicityPower
from ...layers.pair_message import PairMessage
from .arithmetic import precision
from .dense import dense
from .folded import batch_norm, folded, padded
from .pair_blocks import TILES, block_kernel, columns_kernel, encoder_kernel
from .pool import pool
from .tiles import RECEIVERS, Tiles

if TYPE_CHECKING:
    from ...models.pelican import Pelican

__all__ = ["pelican_outputs"]

#: Rows that `columns_kernel` adds at once.
_ROWS = 4


class _Message(NamedTuple):
    """A message layer, inputs first, padded; its BatchNorm as scale and shift."""

    matrix: Tensor
    bias: Tensor
    scale: Tensor
    shift: Tensor


class _Block(NamedTuple):
    """A 2→2 layer: the full matrices in float32, padded; those of nodes and jets in float64."""

    plain: Tensor
    turned: Tensor
    row: Tensor  # (3 narrow, WIDE): of X_ii, col_i and row_i
    column: Tensor
    diagonal: Tensor
    jet: Tensor  # (2 narrow, WIDE): of tr and tot
    jet_diagonal: Tensor
    bias: Tensor
    diagonal_bias: Tensor


class _Scalars(NamedTuple):
    """A 1→2 layer, float64, its outputs behind the encoded channels."""

    diagonal: Tensor
    column: Tensor
    row: Tensor
    jet_diagonal: Tensor
    jet: Tensor
    bias: Tensor


class _Weights(NamedTuple):
    embedding: Tensor
    embedding_bias: Tensor
    exponent: Tensor
    scalars: _Scalars | None
    messages: tuple[_Message, ...]
    blocks: tuple[_Block, ...]
    readout: Tensor
    readout_bias: Tensor
    head: Tensor
    head_bias: Tensor
    zeros: Tensor


class _Nodes(NamedTuple):
    """u, v, d of u_i + v_j + δ_ij d_i, float32, (N, WIDE)."""

    u: Tensor
    v: Tensor
    d: Tensor


def pelican_outputs(model: Pelican, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """What a float32 `Pelican` that is not IRC safe gives in evaluation mode; arguments as of its ``network``.

    Parameters
    ----------
    model : Pelican
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
    weights, how, tiles = folded(model, lambda: _fold(model)), precision(), Tiles.of(offsets)
    wide, chunk = _wide(model)
    narrow = model.messages[0].linear.out_features
    padded_narrow = _power_of_two(narrow)
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
    for layer, block, message in zip(model.blocks, weights.blocks, weights.messages[1:], strict=True):
        nodes = _from_aggregates(layer, block, aggregates(), weights.zeros, tiles)
        if tiles.num_pairs:
            block_kernel[grid](
                now, block.plain, block.turned, *nodes, *message, *where, following, row, narrow, **geometry
            )  # fmt: skip
        now, following = following, now
    seen = _read_out(model.readout, weights, aggregates(), tiles)
    return dense(seen, weights.head, weights.head_bias, slope=0.01, precision=how)


def _aggregates(
    aggregation: Aggregation, row: Tensor, column: Tensor, diagonal: Tensor, tiles: Tiles
) -> Aggregates:
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


def _from_aggregates(
    layer: Equivariant2to2, block: _Block, a: Aggregates, zeros: Tensor, tiles: Tiles
) -> _Nodes:
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


def _from_scalars(model: Pelican, weights: _Weights, scalars_NS: Tensor | None, tiles: Tiles) -> _Nodes:
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


def _read_out(layer: Equivariant2to0 | Equivariant2to1, weights: _Weights, a: Aggregates, tiles: Tiles) -> Tensor:
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


def _power_of_two(channels: int) -> int:
    return max(16, 1 << (channels - 1).bit_length())


def _wide(model: Pelican) -> tuple[int, int]:
    """The wide channels, padded, and how many of them are worked on at once."""
    wide = model.messages[0].linear.in_features
    return (16, 16) if wide <= 16 else (-(-wide // 32) * 32, 32)


def _fold(model: Pelican) -> _Weights:
    wide, _ = _wide(model)
    encoded = len(model.encoder.alpha)
    exponent = torch.ones(wide, device=model.device)
    exponent[:encoded] = 1e-6 + model.encoder.alpha**2
    mixing = model.readout.mixing().double().permute(1, 0, 2).flatten(0, 1).contiguous()
    head = model.head[1]
    return _Weights(
        embedding=padded(model.embedding.weight.T, model.embedding.in_features, wide),
        embedding_bias=padded(model.embedding.bias, wide),
        exponent=exponent,
        scalars=_fold_scalars(model.scalars_to_pairs, encoded, wide),
        messages=tuple(_fold_message(message, wide) for message in model.messages),
        blocks=tuple(_fold_block(block, wide) for block in model.blocks),
        readout=mixing,
        readout_bias=model.readout.bias.double(),
        head=head.weight.T.contiguous(),
        head_bias=head.bias.clone(),
        zeros=mixing.new_zeros(wide),
    )


def _fold_message(message: PairMessage, wide: int) -> _Message:
    narrow = _power_of_two(message.linear.out_features)
    scale, shift = batch_norm(message.norm)
    return _Message(
        padded(message.linear.weight.T, wide, narrow),
        padded(message.linear.bias, narrow),
        padded(scale, narrow),
        padded(shift, narrow),
    )


def _fold_block(block: Equivariant2to2, wide: int) -> _Block:
    w = block.mixing()
    narrow = _power_of_two(w.shape[1])

    def stacked(*operations: int) -> Tensor:
        """Operations, counted from 1 as in `Equivariant2to2`, one below the other."""
        rows = torch.cat([w[operation - 1] for operation in operations]).double()
        return nn.functional.pad(rows, (0, wide - rows.shape[1]))

    return _Block(
        plain=padded(w[0], narrow, wide),
        turned=padded(w[1], narrow, wide),
        row=stacked(5, 8, 11),
        column=stacked(4, 7, 10),
        diagonal=stacked(3, 6, 9),
        jet=stacked(12, 14),
        jet_diagonal=stacked(13, 15),
        bias=padded(block.bias, wide).double(),
        diagonal_bias=padded(block.diagonal_bias, wide).double(),
    )


def _fold_scalars(layer: Equivariant1to2 | None, encoded: int, wide: int) -> _Scalars | None:
    if layer is None:
        return None

    def placed(values: Tensor) -> Tensor:
        return nn.functional.pad(values.double(), (encoded, wide - encoded - values.shape[-1]))

    return _Scalars(*(placed(w) for w in layer.mixing()), bias=placed(layer.bias))
