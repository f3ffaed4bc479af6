"""LLoCa-Transformer's parameters for GPUs: matrices with the inputs first, queries, keys and values head by head."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from ....layers.frame_prediction import FramePrediction
from ....layers.tensorial_attention import TensorialAttention, TensorialBlock
from ...common.gpu.row_layers import RowLayer
from .frame_network import pair_parameters, pair_weights
from .pair_network import PairWeights

__all__ = ["BlockWeights", "FrameWeights", "LLoCaWeights", "block_weights", "folded_weights", "frame_weights"]


#: ε of the LayerNorms, which have no parameters.
_EPSILON = 1e-5


class FrameWeights(NamedTuple):
    """The first layer of the perceptron that predicts frames, of the scalars of i and of j."""

    received: RowLayer
    sent: RowLayer


class BlockWeights(NamedTuple):
    """A block's layers: before and after the attention, and the perceptron's two."""

    inputs: RowLayer  # outputs: queries, head by head, keys, values
    outputs: RowLayer
    first: RowLayer
    second: RowLayer


class LLoCaWeights(NamedTuple):
    """All layers, without gradients."""

    frames: FrameWeights
    pairs: PairWeights
    standard: tuple[float, float]  # mean and standard deviation of log m²_ij
    embedding: RowLayer
    blocks: tuple[BlockWeights, ...]
    head: RowLayer


def folded_weights(model: Any) -> LLoCaWeights:
    """Weights of an `LLoCaTransformer`, for `folded`."""
    frames: FramePrediction = model.frames
    return LLoCaWeights(
        frames=frame_weights(frames),
        pairs=pair_weights(pair_parameters(frames)),
        standard=(float(frames.edge_mean), float(frames.edge_std)),
        embedding=_linear(model.embedding),
        blocks=tuple(block_weights(block) for block in model.blocks),
        head=_linear(model.head),
    )


def frame_weights(frames: FramePrediction) -> FrameWeights:
    """Weights of the first layer, with gradients where they are recorded."""
    weight, bias = frames.first.weight, frames.first.bias
    of_i, of_j = (weight[:, k * frames.n_scalars : (k + 1) * frames.n_scalars].T.contiguous() for k in range(2))
    return FrameWeights(RowLayer(of_i, bias), RowLayer(of_j, torch.zeros_like(bias)))


def block_weights(block: TensorialBlock) -> BlockWeights:
    """Weights of a block, with gradients where they are recorded."""
    attention: TensorialAttention = block.attention
    # a head's channels lie `heads` apart in the layer
    weight, bias = (
        torch.unflatten(tensor, 0, (3, -1, attention.heads)).transpose(1, 2).flatten(0, 2)
        for tensor in (attention.qkv.weight, attention.qkv.bias)
    )
    first, second = (layer for layer in block.mlp if isinstance(layer, nn.Linear))
    return BlockWeights(
        RowLayer(weight.T.contiguous(), bias, _EPSILON),
        _linear(attention.out),
        _linear(first, _EPSILON),
        _linear(second),
    )


def _linear(linear: nn.Linear, norm: float | None = None) -> RowLayer:
    return RowLayer(linear.weight.T.contiguous(), linear.bias, norm)
