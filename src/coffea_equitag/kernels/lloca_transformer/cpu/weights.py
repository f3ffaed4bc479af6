"""LLoCa-Transformer's weights, in tiles and in the kernels' order of channels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8, I8
from ....jet_model import JetModel
from ....layers.frame_prediction import FramePrediction
from ....layers.tensorial_attention import TensorialAttention, TensorialBlock
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import double
from ...common.cpu.row_layers import RowLayer, pack
from ...common.folding import folded
from .pair_rows import TILE

__all__ = ["BlockWeights", "LLoCaWeights", "PairWeights", "head_order", "stacked", "weights_of", "whole"]


class PairWeights(NamedTuple):
    """The perceptron of pairs after the nodes' parts, W channels wide, filled up to whole tiles."""

    of_edge: F4  # (W,)
    hidden: F4  # (L, blocks, W, block): layers W → W, one or more, as in `RowLayer`; one form for any number
    hidden_bias: F4  # (L, W)
    last: F4  # (3, W)
    last_bias: F4  # (3,)
    mean: float  # of log m²_ij
    std: float


class BlockWeights(NamedTuple):
    """One block."""

    qkv: RowLayer
    out: RowLayer
    up: RowLayer
    down: RowLayer


class LLoCaWeights(NamedTuple):
    """The network."""

    received: RowLayer  # S → W: what constituents have in the first layer of pairs, with the bias
    sent: RowLayer  # S → W: what nodes have
    pairs: PairWeights
    embedding: RowLayer
    blocks: tuple[BlockWeights, ...]
    head: RowLayer


def weights_of(model: JetModel) -> LLoCaWeights:
    """Of a `LLoCaTransformer`; kept until a parameter or statistic changes."""
    return folded(model, _fold)


def whole(channels: int) -> int:
    """The next multiple of a tile's columns."""
    return -(-channels // TILE) * TILE


def _fold(model: Any) -> LLoCaWeights:
    frames: FramePrediction = model.frames
    scalars, matrix = frames.n_scalars, double(frames.first.weight)
    width, depth = whole(len(matrix)), max(scalars, 1)
    linears = [module for module in frames.rest if isinstance(module, nn.Linear)]
    layers = [
        pack(_filled(double(linear.weight), width, width), _long(double(linear.bias), width)) for linear in linears[:-1]
    ]
    pairs = PairWeights(
        aligned(_long(matrix[:, -1], width)),
        *stacked(layers),
        aligned(_filled(double(linears[-1].weight), 3, width)),
        aligned(double(linears[-1].bias)),
        float(frames.edge_mean),
        float(frames.edge_std),
    )
    return LLoCaWeights(
        pack(_filled(matrix[:, :scalars], width, depth), _long(double(frames.first.bias), width)),
        pack(_filled(matrix[:, scalars : 2 * scalars], width, depth)),
        pairs,
        _packed(model.embedding),
        tuple(map(_block, model.blocks)),
        _packed(model.head),
    )


def _block(block: TensorialBlock) -> BlockWeights:
    order = head_order(block.attention)
    size = len(order)
    three = np.concatenate([order, size + order, 2 * size + order])
    qkv, out = block.attention.qkv, block.attention.out  # the latter takes heads in their order
    linears = [module for module in block.mlp if isinstance(module, nn.Linear)]
    return BlockWeights(
        pack(double(qkv.weight)[three], double(qkv.bias)[three]),
        _packed(out),
        *map(_packed, linears),
    )


def stacked(layers: list[RowLayer]) -> tuple[F4, F4]:
    """Weights and biases of layers of one width, as in `PairWeights`."""
    return aligned(np.stack([layer.weight for layer in layers])), aligned(np.stack([layer.bias for layer in layers]))


def head_order(attention: TensorialAttention) -> I8:
    """Where each of the kernels' channels of queries, keys or values, head by head, is in the layer's order."""
    size = sum(attention.sizes)
    return np.arange(size * attention.heads).reshape(size, attention.heads).T.ravel()


def _packed(linear: nn.Linear) -> RowLayer:
    return pack(double(linear.weight), double(linear.bias))


def _filled(matrix: F8, rows: int, columns: int) -> F8:
    return np.pad(matrix, ((0, rows - len(matrix)), (0, columns - matrix.shape[1])))


def _long(values: F8, width: int) -> F8:
    return np.pad(values, (0, width - len(values)))
