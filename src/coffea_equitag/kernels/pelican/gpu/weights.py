"""PELICAN's weights as its GPU kernels need them: inputs first, padded, BatchNorm folded into scale and shift."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....layers.equivariant_1to2 import Equivariant1to2
from ....layers.equivariant_2to2 import Equivariant2to2
from ....layers.pair_message import PairMessage
from ...common.folding import batch_norm
from ...common.gpu.folding import padded
from ..network import PelicanNetwork
from .kernel_arguments import Shape

__all__ = ["Block", "Message", "NodeTerms", "PelicanWeights", "Scalars", "fold", "shape_of"]


class NodeTerms(NamedTuple):
    """u, v, d of u_i + v_j + δ_ij d_i, float32, (N, WIDE)."""

    u: Tensor
    v: Tensor
    d: Tensor


class Message(NamedTuple):
    """A message layer, inputs first, padded; its BatchNorm as scale and shift."""

    matrix: Tensor  # (WIDE, NARROW)
    bias: Tensor  # (NARROW,)
    scale: Tensor
    shift: Tensor


class Block(NamedTuple):
    """A 2→2 layer: the full matrices in float32, padded; those of nodes and jets in float64."""

    plain: Tensor  # W₁, (NARROW, WIDE)
    turned: Tensor  # W₂
    row: Tensor  # into u: of X_ii, col_i and row_i, (3 D, WIDE)
    column: Tensor  # into v
    diagonal: Tensor  # into d
    jet: Tensor  # into u: of tr and tot, (2 D, WIDE)
    jet_diagonal: Tensor
    bias: Tensor
    diagonal_bias: Tensor


class Scalars(NamedTuple):
    """A 1→2 layer, float64, its outputs behind the encoded channels."""

    diagonal: Tensor
    column: Tensor
    row: Tensor
    jet_diagonal: Tensor
    jet: Tensor
    bias: Tensor


class PelicanWeights(NamedTuple):
    """A whole network. WIDE is the padded number of channels of a block's outputs, NARROW of a message's."""

    embedding: Tensor
    embedding_bias: Tensor
    exponent: Tensor
    scalars: Scalars | None
    messages: tuple[Message, ...]
    blocks: tuple[Block, ...]
    readout: Tensor
    readout_bias: Tensor
    head: Tensor
    head_bias: Tensor
    zeros: Tensor


def shape_of(model: PelicanNetwork, precision: str, senders: int) -> Shape:
    """The sizes that kernels are compiled for, with messages padded to whole vectors of 16 bytes."""
    depth, (wide, chunk) = model.message_channels, _wide(model)
    return Shape(
        precision=precision,
        depth=-(-depth // 4) * 4,
        narrow=_power_of_two(depth),
        wide=wide,
        chunk=chunk,
        inputs=model.embedding.in_features,
        encoded=len(model.encoder.alpha),
        senders=senders,
    )


def _power_of_two(channels: int) -> int:
    """The channels as a matrix product wants them: a power of two, 16 or more."""
    return max(16, 1 << (channels - 1).bit_length())


def _wide(model: PelicanNetwork) -> tuple[int, int]:
    """The wide channels, padded, and how many of them are worked on at once."""
    wide = model.messages[0].linear.in_features
    return (16, 16) if wide <= 16 else (-(-wide // 32) * 32, 32)


def fold(model: PelicanNetwork) -> PelicanWeights:
    """Weights of a `PELICAN` in evaluation mode."""
    wide, _ = _wide(model)
    encoded = len(model.encoder.alpha)
    exponent = torch.ones(wide, device=model.device)
    exponent[:encoded] = 1e-6 + model.encoder.alpha**2
    mixing = model.readout.mixing().double().permute(1, 0, 2).flatten(0, 1).contiguous()
    head: Any = model.head[1]
    return PelicanWeights(
        embedding=padded(model.embedding.weight.T, model.embedding.in_features, wide),
        embedding_bias=padded(model.embedding.bias, wide),
        exponent=exponent,
        scalars=_scalars(model.scalars_to_pairs, encoded, wide),
        messages=tuple(_message(message, wide) for message in model.messages),
        blocks=tuple(_block(block, wide) for block in model.blocks),
        readout=mixing,
        readout_bias=model.readout.bias.double(),
        head=head.weight.T.contiguous(),
        head_bias=head.bias.clone(),
        zeros=mixing.new_zeros(wide),
    )


def _message(message: PairMessage, wide: int) -> Message:
    narrow = _power_of_two(message.linear.out_features)
    scale, shift = batch_norm(message.norm)
    return Message(
        padded(message.linear.weight.T, wide, narrow),
        padded(message.linear.bias, narrow),
        padded(scale, narrow),
        padded(shift, narrow),
    )


def _block(block: Equivariant2to2, wide: int) -> Block:
    w = block.mixing()
    narrow = _power_of_two(w.shape[1])

    def stacked(*operations: int) -> Tensor:
        """Operations, counted from 1 as in `Equivariant2to2`, one below the other."""
        rows = torch.cat([w[operation - 1] for operation in operations]).double()
        return nn.functional.pad(rows, (0, wide - rows.shape[1]))

    return Block(
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


def _scalars(layer: Equivariant1to2 | None, encoded: int, wide: int) -> Scalars | None:
    if layer is None:
        return None

    def placed(values: Tensor) -> Tensor:
        return nn.functional.pad(values.double(), (encoded, wide - encoded - values.shape[-1]))

    return Scalars(*map(placed, (*layer.mixing(), layer.bias)))
