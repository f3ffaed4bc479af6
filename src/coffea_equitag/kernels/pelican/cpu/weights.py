"""PELICAN's parameters as its CPU kernels need them: BatchNorm folded in, channels in blocks of a tile."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....layers.channel_mixing import ChannelMixing
from ....layers.equivariant_1to2 import Equivariant1to2
from ....layers.equivariant_2to2 import Equivariant2to2
from ....layers.equivariant_readout import Equivariant2to1
from ....layers.multiplicity_power import MultiplicityPower
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import batch_norm_of, double, folded
from ..network import PelicanNetwork
from .channel_blocks import HALF, ChannelBlocks, blocks_for

__all__ = ["JET", "NODE", "PelicanWeights", "blocked", "padded", "weights_of"]

#: Coefficients, counted from 0, of diagonal, columns and rows into u, v and d; of trace and total into u and d.
NODE, JET = [[4, 7, 10], [3, 6, 9], [2, 5, 8]], [[11, 13], [12, 14]]
#: Those of a layer without the operations on the diagonal that vanish.
_ON_DIAGONAL = NODE[2] + JET[1]
#: Of the 1→2 layer in the order x_i, x_j, δ x_i, mean, δ mean.
_SCALARS = [2, 1, 0, 4, 3]
#: Of the 2→1 layer in the order total, trace, diagonal, columns, rows.
_OF_NODES = [4, 3, 0, 2, 1]


class PelicanWeights(NamedTuple):
    """Parameters; D and S are the channels of messages and of layers, N and W the same padded, L blocks, B a block.

    Matrices for pairs are float32, (..., N or W / B, K, B): for each block of B channels, one row per summed index k.
    What acts on nodes and jets is float64.
    """

    narrow: ChannelBlocks
    wide: ChannelBlocks
    encoded: ChannelBlocks
    embedding: F4  # (R, W)
    embedding_bias: F4  # (W,)
    power: F4  # the encoder's a, (W,)
    inverse: F4  # 1/a; 0 in channels that are not its own
    scalar: F8  # 1→2: x_i, x_j, δ x_i, mean, δ mean: (5, scalars, W)
    scalar_exponent: F8  # (5, scalars)
    scalar_bias: F8  # (W,)
    message: F4  # (L + 1, N / B, S, B)
    message_bias: F4  # (L + 1, N)
    scale: F8  # of BatchNorm, (L + 1, N)
    shift: F8
    even: F4  # of Y_ij + Y_ji, (W₁ + W₂)/2 with the message's scale in it, (L, W / B, D, B)
    odd: F4  # of Y_ij − Y_ji, (W₁ − W₂)/2
    node: F4  # (L, 3, W / B, 3 N, B): into u, v, d from diagonal, column, row
    node_exponent: F8  # (L, 3, 3, N)
    jet: F4  # (L, 2, W / B, 2 N, B): trace and total into u, then into d
    jet_exponent: F8  # (L, 2, 2, N)
    bias: F4  # (L, 2, W): of all pairs, the message's shift in it, and of the diagonal
    readout: F8  # total, trace: (2, D, S); of nodes besides diagonal, column, row: (5, D, S)
    readout_exponent: F8  # (2, N) or (5, N)
    readout_bias: F8  # (S,)
    head: F8  # (outputs, S)
    head_bias: F8


def weights_of(model: PelicanNetwork) -> PelicanWeights:
    """Fold a `PELICAN` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def _fold(model: PelicanNetwork) -> PelicanWeights:
    linears = [message.linear for message in model.messages]
    depth, channels = linears[0].weight.shape
    narrow, wide = blocks_for(depth), blocks_for(channels)
    norms = [batch_norm_of(message.norm) for message in model.messages]
    scale, shift = (np.stack([norm[side] for norm in norms]) for side in (0, 1))
    parts = [_fold_block(block, *norms[k]) for k, block in enumerate(model.blocks)]
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    head: Any = model.head[1]
    readout = mixing_of(model.readout.mixing)
    readout_exponent = _exponent(model.readout.power, len(readout), depth)
    if isinstance(model.readout, Equivariant2to1):
        readout, readout_exponent = readout[_OF_NODES], readout_exponent[_OF_NODES]
    return PelicanWeights(
        narrow=narrow,
        wide=wide,
        message=aligned(blocked(np.stack([double(linear.weight).T for linear in linears]), narrow)),
        message_bias=aligned(padded(np.stack([double(linear.bias) for linear in linears]), narrow)),
        scale=padded(scale, narrow),
        shift=padded(shift, narrow),
        even=aligned(blocked(stacked["even"], wide)),
        odd=aligned(blocked(stacked["odd"], wide)),
        node=_below(stacked["node"], narrow, wide),
        node_exponent=padded(stacked["node_exponent"], narrow),
        jet=_below(stacked["jet"], narrow, wide),
        jet_exponent=padded(stacked["jet_exponent"], narrow),
        bias=aligned(padded(stacked["bias"], wide)),
        readout=readout,
        readout_exponent=padded(readout_exponent, narrow),
        readout_bias=double(model.readout.bias),
        head=double(head.weight),
        head_bias=double(head.bias),
        **_fold_encoder(model, wide),
        **_fold_scalars(model.scalars_to_pairs, channels, wide),
    )


def _fold_encoder(model: PelicanNetwork, wide: ChannelBlocks) -> dict[str, Any]:
    power = 1e-6 + double(model.encoder.alpha) ** 2
    return {
        "encoded": blocks_for(len(power)),
        "embedding": aligned(padded(double(model.embedding.weight).T, wide)),
        "embedding_bias": aligned(padded(double(model.embedding.bias), wide)),
        "power": aligned(padded(power, wide)),
        "inverse": aligned(padded(1 / power, wide)),
    }


def _fold_scalars(layer: Equivariant1to2 | None, channels: int, wide: ChannelBlocks) -> dict[str, Any]:
    """The 1→2 layer, whose outputs are the last channels; without one, no scalars."""
    if layer is None:
        scalar, exponent, bias = np.zeros((5, 0, channels)), np.zeros((5, 0)), np.zeros(channels)
    else:
        coefficients = mixing_of(layer.mixing)[_SCALARS]
        _, scalars, outputs = coefficients.shape
        scalar, bias = np.zeros((5, scalars, channels)), np.zeros(channels)
        scalar[:, :, channels - outputs :], bias[channels - outputs :] = coefficients, double(layer.bias)
        if not layer.diagonal:
            scalar[[2, 4]] = 0
        exponent = _exponent(layer.power, 5, scalars)[_SCALARS]
    return {
        "scalar": padded(scalar, wide),
        "scalar_exponent": np.ascontiguousarray(exponent),
        "scalar_bias": padded(bias, wide),
    }


def _fold_block(block: Equivariant2to2, scale: F8, shift: F8) -> dict[str, F8]:
    """A 2→2 layer with the BatchNorm of the messages that enter."""
    w = mixing_of(block.mixing)
    # the first five operations have no powers of n/n̄
    exponent = np.concatenate([np.zeros((5, len(scale))), _exponent(block.power, 10, len(scale))])
    if not block.diagonal:
        w[_ON_DIAGONAL] = 0
    return {
        "even": scale[:, None] * (w[0] + w[1]) / 2,
        "odd": scale[:, None] * (w[0] - w[1]) / 2,
        "node": w[NODE],
        "node_exponent": exponent[NODE],
        "jet": w[JET],
        "jet_exponent": exponent[JET],
        "bias": np.stack([double(block.bias) + shift @ (w[0] + w[1]), double(block.diagonal_bias) * block.diagonal]),
    }


def mixing_of(mixing: ChannelMixing) -> F8:
    """Its coefficients in float64, operation first: (operations, D, S)."""
    if not mixing.factorize:
        return np.ascontiguousarray(double(mixing.coefficients).transpose(2, 0, 1))
    by_input = double(mixing.operation_of_input).T[:, :, None] * double(mixing.channels_by_input)
    by_output = double(mixing.operation_of_output).T[:, None, :] * double(mixing.channels_by_output)
    return by_input + by_output


def _exponent(power: MultiplicityPower | None, operations: int, channels: int) -> F8:
    """Exponents of n/n̄, operation first; zeros without any."""
    return np.zeros((operations, channels)) if power is None else np.ascontiguousarray(double(power.exponent).T)


def _below(matrices: F8, narrow: ChannelBlocks, wide: ChannelBlocks) -> F4:
    """Matrices (L, targets, sources, D, S) with those of a target's sources below each other, D padded."""
    rows = padded(matrices.swapaxes(3, 4), narrow).swapaxes(3, 4)
    return aligned(blocked(rows.reshape(*rows.shape[:2], -1, rows.shape[4]), wide))


def _block(channels: ChannelBlocks) -> int:
    return len(channels[0]) * HALF


def padded(values: Any, channels: ChannelBlocks) -> Any:
    """The last axis, channels, padded with zeros to whole blocks."""
    # np.pad takes ten times as long
    out = np.zeros((*values.shape[:-1], _block(channels) * len(channels)))
    out[..., : values.shape[-1]] = values
    return out


def blocked(matrix: F8, channels: ChannelBlocks) -> F8:
    """Matrices (..., in, out) as (..., blocks of channels, in, block), padded with zeros."""
    rows = padded(matrix, channels)
    *batch, depth, _ = rows.shape
    return np.moveaxis(rows.reshape(*batch, depth, len(channels), _block(channels)), -2, -3)
