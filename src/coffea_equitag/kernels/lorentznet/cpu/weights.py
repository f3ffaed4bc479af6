"""LorentzNet's parameters as the CPU's kernels take them: folded for inference, or one block's edges for training."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8, I4
from ...common.cpu.aligned import aligned
from ...common.cpu.bf16 import pairs_of
from ...common.cpu.folding import batch_norm_of, double, folded
from ...common.cpu.shapes import BF16_HALF, NARROW_BLOCK, WIDE_BLOCK, block_for
from ..scalar_kinds import weights_of_scalars
from .batch_norm import Statistics

__all__ = [
    "WORD",
    "Bf16Dense",
    "Bf16Weights",
    "Dense",
    "EdgeWeights",
    "LorentzNetWeights",
    "TrainingWeights",
    "bf16_weights_of",
    "training_weights",
    "weights_of",
]

#: Rows of edges are whole words of this many numbers.
WORD = 16


class Dense(NamedTuple):
    """Layers of nodes or pairs by tiles; L is one entry per block of the network, or 1."""

    weight: F4  # (L, C / B, K, B): for each block of B columns, one row per summed index k
    bias: F4  # (L, C), C the channels in whole blocks


class Bf16Dense(NamedTuple):
    """The same in bf16."""

    weight: I4  # (L, C / B, ⌈K / 2⌉, B), pairs of rows
    bias: F4


class EdgeWeights(NamedTuple):
    """What acts on edges of which only the numbers that are not 0 are multiplied; C channels in whole words.

    Matrices are inputs first. All may have a leading L, one entry per block of the network.
    """

    scalar_weights: F4  # (2, C): a and b, the first layer's columns for ν and π, times BatchNorm's scale
    phi_e: F4  # (C, C): φ_e's second layer
    phi_e_bias: F4  # (C,)
    phi_m: F4  # (C,)
    phi_m_bias: Any  # float32
    phi_x: F4  # (C, C): φ_x's first layer; zeros in a block without φ_x
    phi_x_bias: F4  # (C,)
    phi_x_out: F4  # (C,): its last


class LorentzNetWeights(NamedTuple):
    """A network in float32, BatchNorm folded in."""

    patch: Dense  # of nodes, on friend groups; no columns without a patch
    patch_out: Dense
    embedding: Dense
    phi_e_receiver: Dense  # the first edge layer's part of h_i, and its bias
    phi_e_sender: Dense  # its part of h_j
    phi_e: Dense  # the second edge layer
    phi_x: Dense
    phi_h: Dense  # summed over [h, Σm, scalars]
    phi_h_out: Dense
    head: Dense
    head_out: Dense
    phi_m: F4  # (L, C)
    phi_x_out: F4  # (L, C)
    edges: EdgeWeights  # the edges' part once more, (L, …)
    zeros: F4  # (C,), for tiles whose dot products are not used


class Bf16Weights(NamedTuple):
    """The layers of pairs in bf16, (L, …)."""

    phi_e: Bf16Dense  # the second edge layer
    phi_x: Bf16Dense


class TrainingWeights(NamedTuple):
    """A block's edges in training; C channels in whole words."""

    scale: F8  # (hidden,): BatchNorm's weight / σ; U_i and V_j are multiplied by it
    mean: F8  # (hidden,): subtracted from U_i before
    bias: F8  # (hidden,): added to U_i after
    edges: EdgeWeights
    phi_e_transposed: F4  # (C, C): outputs first
    phi_x_transposed: F4  # (C, C): outputs first, times the last layer
    zeros: F4  # (C,)
    updates_vectors: bool
    c_weight: float


def weights_of(model: nn.Module) -> LorentzNetWeights:
    """Fold a network in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def bf16_weights_of(model: nn.Module) -> Bf16Weights:
    """Its layers of pairs in bf16, kept likewise."""
    return folded(model, _fold_bf16)


def training_weights(
    statistics: Statistics, scalar_weights: F8, parameters: list[F4], c_weight: float
) -> TrainingWeights:
    """A block's edges with the batch normalisation that `statistics` make.

    Parameters
    ----------
    statistics : Statistics
        Of this block's pairs.
    scalar_weights : ndarray of float64, shape (2, hidden)
        a and b.
    parameters : list of ndarray
        BatchNorm's weight and bias; matrix and bias of φ_e's second layer and of φ_m; those of φ_x's first layer and
        the matrix of its last, unless the block has none.
    c_weight : float
        Step of the vectors.
    """
    norm_weight, norm_bias, phi_e, phi_e_bias, phi_m, phi_m_bias, *rest = (p.astype(np.float64) for p in parameters)
    hidden = len(phi_e)
    phi_x, phi_x_bias, phi_x_out = rest or (np.zeros((hidden, hidden)), np.zeros(hidden), np.zeros((1, hidden)))
    scale = norm_weight * statistics.inverse
    return TrainingWeights(
        scale=scale,
        mean=statistics.mean,
        bias=norm_bias,
        edges=EdgeWeights(
            scalar_weights=_in_words(scalar_weights * scale),
            phi_e=_square_in_words(phi_e.T),
            phi_e_bias=_in_words(phi_e_bias),
            phi_m=_in_words(phi_m[0]),
            phi_m_bias=np.float32(phi_m_bias[0]),
            phi_x=_square_in_words(phi_x.T),
            phi_x_bias=_in_words(phi_x_bias),
            phi_x_out=_in_words(phi_x_out[0]),
        ),
        phi_e_transposed=_square_in_words(phi_e),
        phi_x_transposed=_square_in_words(phi_x_out.T * phi_x),
        zeros=_in_words(np.zeros(hidden)),
        updates_vectors=bool(rest),
        c_weight=float(c_weight),
    )


def _fold(model: Any) -> LorentzNetWeights:
    hidden, n_scalar = model.options["hidden"], model.embedding.in_features
    block = block_for(hidden)
    layers = [_fold_block(part, hidden, block) for part in model.blocks]
    edges = [_fold_edges(part, hidden) for part in model.blocks]

    def stacked(name: str) -> Any:
        values = [layer[name] for layer in layers]
        if isinstance(values[0], Dense):
            return Dense(*(aligned(np.stack(parts)) for parts in zip(*values, strict=True)))
        return aligned(np.stack(values))

    patch, patch_out = _fold_patch(getattr(model, "node_patch", None), block)
    return LorentzNetWeights(
        patch=patch,
        patch_out=patch_out,
        embedding=_single(model.embedding, n_scalar, block),
        head=_single(model.head[0], hidden, block),
        head_out=_single(model.head[3], hidden, block),
        edges=EdgeWeights(*(aligned(np.stack(parts)) for parts in zip(*edges, strict=True))),
        zeros=aligned(np.zeros(-(-hidden // block) * block)),
        **{name: stacked(name) for name in layers[0]},
    )


def _fold_bf16(model: Any) -> Bf16Weights:
    hidden = model.options["hidden"]
    block = block_for(hidden, (WIDE_BLOCK, BF16_HALF.block, NARROW_BLOCK))
    phi_e = [(double(part.phi_e[3].weight), double(part.phi_e[3].bias)) for part in model.blocks]
    phi_x = [_phi_x(part, hidden)[:2] for part in model.blocks]
    return Bf16Weights(
        *(_bf16_dense([_in_blocks(*layer, hidden, block) for layer in found]) for found in (phi_e, phi_x))
    )


def _bf16_dense(layers: list[tuple[F8, F8]]) -> Bf16Dense:
    weights, biases = zip(*layers, strict=True)
    return Bf16Dense(pairs_of(np.stack(weights)), aligned(np.stack(biases)))


def _fold_patch(patch: Any, block: int) -> tuple[Dense, Dense]:
    if patch is None:
        nothing = Dense(aligned(np.zeros((1, 0, 0, block))), aligned(np.zeros((1, 0))))
        return nothing, nothing
    first, last = patch.layers[0], patch.layers[2]
    return _single(first, first.in_features, block), _single(last, last.in_features, block)


def _fold_block(part: Any, hidden: int, block: int) -> dict[str, Any]:
    channels = -(-hidden // block) * block
    phi_e_scale, phi_e_shift = batch_norm_of(part.phi_e[1])
    phi_h_scale, phi_h_shift = batch_norm_of(part.phi_h[1])
    first = double(part.phi_e[0].weight) * phi_e_scale[:, None]
    phi_h = double(part.phi_h[0].weight) * phi_h_scale[:, None]
    gap = np.zeros((hidden, channels - hidden))
    phi_x, phi_x_bias, phi_x_out = _phi_x(part, hidden)
    return {
        "phi_e_receiver": _dense(first[:, :hidden], phi_e_shift, hidden, block),
        "phi_e_sender": _dense(first[:, hidden : 2 * hidden], np.zeros(hidden), hidden, block),
        "phi_e": _dense(double(part.phi_e[3].weight), double(part.phi_e[3].bias), hidden, block),
        "phi_m": _padded(double(part.phi_m[0].weight)[0], channels),
        "phi_x": _dense(phi_x, phi_x_bias, hidden, block),
        "phi_x_out": _padded(phi_x_out, channels),
        "phi_h": _dense(
            np.hstack([phi_h[:, :hidden], gap, phi_h[:, hidden : 2 * hidden], gap, phi_h[:, 2 * hidden :]]),
            double(part.phi_h[0].bias) * phi_h_scale + phi_h_shift,
            2 * channels + phi_h.shape[1] - 2 * hidden,
            block,
        ),
        "phi_h_out": _dense(double(part.phi_h[3].weight), double(part.phi_h[3].bias), hidden, block),
    }


def _fold_edges(part: Any, hidden: int) -> EdgeWeights:
    scale, _ = batch_norm_of(part.phi_e[1])
    phi_x, phi_x_bias, phi_x_out = _phi_x(part, hidden)
    return EdgeWeights(
        scalar_weights=_in_words(double(weights_of_scalars(part)).T * scale),
        phi_e=_square_in_words(double(part.phi_e[3].weight).T),
        phi_e_bias=_in_words(double(part.phi_e[3].bias)),
        phi_m=_in_words(double(part.phi_m[0].weight)[0]),
        phi_m_bias=double(part.phi_m[0].bias)[0],
        phi_x=_square_in_words(phi_x.T),
        phi_x_bias=_in_words(phi_x_bias),
        phi_x_out=_in_words(phi_x_out),
    )


def _phi_x(part: Any, hidden: int) -> tuple[F8, F8, F8]:
    """φ_x's first matrix and bias, and its last layer; zeros where a block has none."""
    if part.phi_x is None:
        return np.zeros((hidden, hidden)), np.zeros(hidden), np.zeros(hidden)
    return double(part.phi_x[0].weight), double(part.phi_x[0].bias), double(part.phi_x[2].weight)[0]


def _single(layer: Any, depth: int, block: int) -> Dense:
    weight, bias = _dense(double(layer.weight), double(layer.bias), depth, block)
    return Dense(aligned(weight[None]), aligned(bias[None]))


def _dense(matrix: F8, bias: F8, depth: int, block: int) -> Dense:
    weight, start = _in_blocks(matrix, bias, depth, block)
    return Dense(weight.astype(np.float32), start.astype(np.float32))


def _in_blocks(matrix: F8, bias: F8, depth: int, block: int) -> tuple[F8, F8]:
    """A layer's matrix (out, in) and bias in blocks of columns, filled up with zeros."""
    width, given = matrix.shape
    columns = -(-width // block) * block
    rows = np.pad(matrix.T, ((0, depth - given), (0, columns - width)))
    weight = rows.reshape(depth, columns // block, block).transpose(1, 0, 2)
    return weight, _padded(bias, columns)


def _padded(values: F8, length: int) -> F8:
    """The last axis filled up with zeros to this length."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, length - values.shape[-1])])


def _in_words(values: F8) -> F4:
    """The last axis filled up with zeros to whole words."""
    return aligned(_padded(values, -(-values.shape[-1] // WORD) * WORD))


def _square_in_words(matrix: F8) -> F4:
    return aligned(np.pad(matrix, (0, -len(matrix) % WORD)))
