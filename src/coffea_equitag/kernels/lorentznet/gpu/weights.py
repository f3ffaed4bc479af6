"""LorentzNet's parameters as the GPU's kernels take them: folded for inference, or one block's edges for training."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.folding import batch_norm, folded, padded
from ..scalar_kinds import weights_of_scalars

__all__ = [
    "BlockWeights",
    "EdgeWeights",
    "LorentzNetWeights",
    "TransposedWeights",
    "pack_kernel",
    "parts",
    "training_weights",
    "weights_of",
]

_ROWS = 16


class EdgeWeights(NamedTuple):
    """What acts on edges, in float32, filled up with zeros to C channels; matrices are inputs first."""

    scalar_weights: Tensor  # (2, C): a and b, the first layer's columns for ν and π, times BatchNorm's scale
    phi_e: Tensor  # (C, C): φ_e's second layer
    phi_e_bias: Tensor  # (C,)
    phi_m: Tensor  # (C,)
    phi_m_bias: Tensor  # (1,)
    phi_x: Tensor  # (C, C): φ_x's first layer; of no use in a block without φ_x
    phi_x_bias: Tensor  # (C,)
    phi_x_out: Tensor  # (C,): its last


class TransposedWeights(NamedTuple):
    """The same matrices outputs first, (C, C); φ_x's times its last layer."""

    phi_e: Tensor
    phi_x: Tensor


class BlockWeights(NamedTuple):
    """One block in inference, BatchNorm folded in."""

    phi_e_nodes: Tensor  # (C, 2C): the first edge layer's part of h_i and of h_j
    phi_e_nodes_bias: Tensor
    edges: EdgeWeights
    phi_h: Tensor  # (2C + n_scalar, C): over [h, Σm, scalars]
    phi_h_bias: Tensor
    phi_h_out: Tensor
    phi_h_out_bias: Tensor
    c_weight: Tensor  # (1,), float64


class LorentzNetWeights(NamedTuple):
    """A network in float32, inputs first, filled up with zeros to C channels."""

    patch: tuple[tuple[Tensor, Tensor], ...]  # matrix and bias of the node-wise patch's layers, as they are
    embedding: Tensor
    embedding_bias: Tensor
    blocks: tuple[BlockWeights, ...]
    head: Tensor
    head_bias: Tensor
    head_out: Tensor
    head_out_bias: Tensor


def weights_of(model: Any) -> LorentzNetWeights:
    """Fold a network in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, _fold)


def parts(hidden: int) -> tuple[int, int]:
    """Two powers of two, 16 or more, that hold the channels: 64 and 16 for 72."""
    a = 16
    while 2 * a < hidden:
        a *= 2
    b = 16
    while a + b < hidden:
        b *= 2
    return a, b


def _fold(model: Any) -> LorentzNetWeights:
    hidden, n_scalar = model.options["hidden"], model.embedding.in_features
    c, patch = sum(parts(hidden)), getattr(model, "node_patch", None)
    layers = () if patch is None else (patch.layers[0], patch.layers[2])
    embedding, first, last = model.embedding, model.head[0], model.head[3]
    return LorentzNetWeights(
        patch=tuple((padded(layer.weight.T, *layer.weight.T.shape), layer.bias.detach()) for layer in layers),
        embedding=padded(embedding.weight.T, n_scalar, c),
        embedding_bias=padded(embedding.bias, c),
        blocks=tuple(_fold_block(block, hidden, c) for block in model.blocks),
        head=padded(first.weight.T, c, c),
        head_bias=padded(first.bias, c),
        head_out=padded(last.weight.T, c, len(last.bias)),
        head_out_bias=padded(last.bias, len(last.bias)),
    )


def _fold_block(block: Any, hidden: int, c: int) -> BlockWeights:
    phi_e_scale, phi_e_shift = batch_norm(block.phi_e[1])
    phi_h_scale, phi_h_shift = batch_norm(block.phi_h[1])
    first = (block.phi_e[0].weight.double() * phi_e_scale[:, None]).T
    phi_h = (block.phi_h[0].weight.double() * phi_h_scale[:, None]).T
    receiver, sender, n_scalar = first[:hidden], first[hidden : 2 * hidden], len(phi_h) - 2 * hidden
    scalar_weights = weights_of_scalars(block).double().T * phi_e_scale
    parts_of_node = torch.split(phi_h, [hidden, hidden, n_scalar])
    return BlockWeights(
        phi_e_nodes=torch.cat([padded(receiver, c, c), padded(sender, c, c)], dim=1),
        phi_e_nodes_bias=padded(phi_e_shift, 2 * c),
        edges=_fold_edges(block, scalar_weights, c),
        phi_h=torch.cat([padded(part, size, c) for part, size in zip(parts_of_node, (c, c, n_scalar), strict=True)]),
        phi_h_bias=padded(block.phi_h[0].bias.double() * phi_h_scale + phi_h_shift, c),
        phi_h_out=padded(block.phi_h[3].weight.T, c, c),
        phi_h_out_bias=padded(block.phi_h[3].bias, c),
        c_weight=first.new_tensor([block.c_weight]),
    )


def _fold_edges(block: Any, scalar_weights: Tensor, c: int) -> EdgeWeights:
    nothing = scalar_weights.new_zeros(0)
    phi_x, phi_x_bias, phi_x_out = (nothing.reshape(0, 0), nothing, nothing) if block.phi_x is None else (
        block.phi_x[0].weight.T, block.phi_x[0].bias, block.phi_x[2].weight[0],
    )  # fmt: skip
    return EdgeWeights(
        scalar_weights=padded(scalar_weights, 2, c),
        phi_e=padded(block.phi_e[3].weight.T, c, c),
        phi_e_bias=padded(block.phi_e[3].bias, c),
        phi_m=padded(block.phi_m[0].weight[0], c),
        phi_m_bias=padded(block.phi_m[0].bias, 1),
        phi_x=padded(phi_x, c, c),
        phi_x_bias=padded(phi_x_bias, c),
        phi_x_out=padded(phi_x_out, c),
    )


@triton.jit
def pack_kernel(
    phi_e: tl.tensor,
    phi_e_bias: tl.tensor,
    phi_m: tl.tensor,
    phi_x: tl.tensor,
    phi_x_bias: tl.tensor,
    phi_x_out: tl.tensor,
    out: tl.tensor,
    hidden: tl.tensor,
    UPDATES_VECTORS: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Some rows of φ_e, φ_eᵀ, φ_x and φ_xᵀ times its last layer; and the vectors: (4 CHANNELS + 4, CHANNELS)."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, WIDTH)
    known = (row < hidden)[:, None] & (column < hidden)[None, :]
    inside = (row < CHANNELS)[:, None] & (column < CHANNELS)[None, :]
    here, transposed = row[:, None] * hidden + column[None, :], column[None, :] * hidden + row[:, None]
    place = out + row[:, None] * CHANNELS + column[None, :]
    size: tl.constexpr = CHANNELS * CHANNELS
    tl.store(place, tl.load(phi_e + transposed, mask=known, other=0.0), mask=inside)
    tl.store(place + size, tl.load(phi_e + here, mask=known, other=0.0), mask=inside)
    if UPDATES_VECTORS:
        last = tl.load(phi_x_out + row, mask=row < hidden, other=0.0)
        tl.store(place + 2 * size, tl.load(phi_x + transposed, mask=known, other=0.0), mask=inside)
        back = tl.load(phi_x + here, mask=known, other=0.0) * last[:, None]
        tl.store(place + 3 * size, back, mask=inside)
    if tl.program_id(0) == 0:
        vectors, filled, real = out + 4 * size + column, column < CHANNELS, column < hidden
        tl.store(vectors, tl.load(phi_e_bias + column, mask=real, other=0.0), mask=filled)
        tl.store(vectors + CHANNELS, tl.load(phi_m + column, mask=real, other=0.0), mask=filled)
        if UPDATES_VECTORS:
            tl.store(vectors + 2 * CHANNELS, tl.load(phi_x_bias + column, mask=real, other=0.0), mask=filled)
            tl.store(vectors + 3 * CHANNELS, tl.load(phi_x_out + column, mask=real, other=0.0), mask=filled)


def training_weights(
    channels: int, scalar_weights: Tensor, parameters: tuple[Tensor, ...]
) -> tuple[EdgeWeights, TransposedWeights]:
    """A block's edges.

    Parameters
    ----------
    channels : int
        C, a multiple of 16.
    scalar_weights : Tensor, shape (2, C)
        a and b, times BatchNorm's scale.
    parameters : tuple of Tensor
        Matrix and bias of φ_e's second layer and of φ_m; those of φ_x's first layer and the matrix of its last,
        unless the block has none.
    """
    phi_e, phi_e_bias, phi_m, phi_m_bias, *rest = (tensor.contiguous() for tensor in parameters)
    phi_x, phi_x_bias, phi_x_out = rest or (phi_e, phi_e_bias, phi_m)
    out = phi_e.new_empty(4 * channels + 4, channels)
    pack_kernel[(channels // _ROWS,)](
        phi_e, phi_e_bias, phi_m, phi_x, phi_x_bias, phi_x_out, out, len(phi_e_bias), UPDATES_VECTORS=bool(rest),
        CHANNELS=channels, ROWS=_ROWS, WIDTH=triton.next_power_of_2(channels),
    )  # fmt: skip
    e, e_transposed, x, x_transposed = (out[k * channels : (k + 1) * channels] for k in range(4))
    e_bias, m, x_bias, x_out = out[4 * channels :]
    return EdgeWeights(scalar_weights, e, e_bias, m, phi_m_bias, x, x_bias, x_out), TransposedWeights(
        e_transposed, x_transposed
    )
