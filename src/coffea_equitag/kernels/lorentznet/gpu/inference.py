"""LorentzNet's evaluation on a GPU: pairs live in registers, tile by tile.

Of all pairs only the Gram matrix is in memory, with room for its next step: 20 bytes a pair, whatever the channels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ....jet_model import JetModel
from ...common.gpu.arithmetic import precision, precision_of_nodes
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.folding import batch_norm, folded, padded
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from .forward import TILES, edges_kernel
from .gram_step import move

__all__ = ["logits"]


class _Block(NamedTuple):
    """One block in float32, inputs first, padded to C channels; BatchNorm folded in."""

    first: Tensor  # (C, 2C): the first edge layer's part of h_i and of h_j
    first_bias: Tensor
    slopes: Tensor  # (2, C): its part of ψ(norm) and ψ(product)
    edge: Tensor
    edge_bias: Tensor
    gate: Tensor
    gate_bias: Tensor
    step: Tensor
    step_bias: Tensor
    step_out: Tensor
    node: Tensor  # (2C + n_scalar, C)
    node_bias: Tensor
    node_out: Tensor
    node_out_bias: Tensor
    c_weight: Tensor


class _Weights(NamedTuple):
    embedding: Tensor
    embedding_bias: Tensor
    blocks: tuple[_Block, ...]
    head: Tensor
    head_bias: Tensor
    head_out: Tensor
    head_out_bias: Tensor


@on_its_device
def logits(model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor) -> Tensor:
    """Logits of a float32 `LorentzNet` without the clamp, in evaluation mode; arguments as of its ``network``.

    Parameters
    ----------
    model : LorentzNet
        Of classes, with at most 96 channels, see `kernels.lorentznet`.
    scalars : Tensor of float32, shape (N, n_scalar)
        Node scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j, jet after jet, n × n.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights, how = folded(model, _fold), precision(gram_Q.device)
    exact = precision_of_nodes(how)
    a, b = parts(model.options["hidden"])
    c = a + b
    receivers, senders, warps = TILES[how]
    tiles = Tiles.of(offsets)
    # a node's row: h, then the sum of its messages, then its scalars
    nodes = scalars.new_empty(tiles.num_nodes, 2 * c + scalars.shape[1])
    h, total = nodes[:, :c], nodes[:, c : 2 * c]
    nodes[:, 2 * c :] = scalars
    first_layer, hidden = nodes.new_empty(tiles.num_nodes, 2 * c), nodes.new_empty(tiles.num_nodes, c)
    gram, spare = gram_Q.detach().clone(), torch.empty_like(gram_Q)
    steps, pushed = gram.new_empty(tiles.num_pairs, dtype=torch.float32), gram.new_empty(tiles.num_nodes)
    dense(nodes[:, 2 * c :], weights.embedding, weights.embedding_bias, out=h, precision=exact)
    for layer, block in enumerate(weights.blocks):
        moves = layer < len(weights.blocks) - 1
        dense(h, block.first, block.first_bias, out=first_layer, precision=exact)
        if len(tiles.jet):
            edges_kernel[(len(tiles.jet),)](
                first_layer, gram, tiles.offsets, tiles.pairs, tiles.jet, tiles.first, block.slopes, block.edge,
                block.edge_bias, block.gate, block.gate_bias, block.step, block.step_bias, block.step_out, total,
                nodes.stride(0), steps, pushed, MOVES=moves, PRECISION=how, A=a, B=b, RECEIVERS=RECEIVERS,
                BI=receivers, BJ=senders, num_warps=warps, num_stages=1,
            )  # fmt: skip
            if moves:
                move(gram, spare, steps, pushed, block.c_weight, tiles)
        dense(nodes, block.node, block.node_bias, out=hidden, slope=0.0, precision=exact)
        dense(hidden, block.node_out, block.node_out_bias, out=h, add=True, precision=exact)
    seen = dense(pool(h, tiles.offsets, mean=True), weights.head, weights.head_bias, slope=0.0, precision=exact)
    return dense(seen, weights.head_out, weights.head_out_bias, precision=exact)


def parts(hidden: int) -> tuple[int, int]:
    """Two powers of two, 16 or more, that hold the channels: 64 and 16 for 72."""
    a = 16
    while 2 * a < hidden:
        a *= 2
    b = 16
    while a + b < hidden:
        b *= 2
    return a, b


def _fold(model: Any) -> _Weights:
    hidden, n_scalar = model.options["hidden"], model.options["n_scalar"]
    c = sum(parts(hidden))
    embedding, first, last = model.embedding, model.head[0], model.head[3]
    return _Weights(
        embedding=padded(embedding.weight.T, n_scalar, c),
        embedding_bias=padded(embedding.bias, c),
        blocks=tuple(_fold_block(block, hidden, n_scalar, c) for block in model.blocks),
        head=padded(first.weight.T, c, c),
        head_bias=padded(first.bias, c),
        head_out=padded(last.weight.T, c, len(last.bias)),
        head_out_bias=padded(last.bias, len(last.bias)),
    )


def _fold_block(block: Any, hidden: int, n_scalar: int, c: int) -> _Block:
    edge_scale, edge_shift = batch_norm(block.phi_e[1])
    node_scale, node_shift = batch_norm(block.phi_h[1])
    first = (block.phi_e[0].weight.double() * edge_scale[:, None]).T
    node = (block.phi_h[0].weight.double() * node_scale[:, None]).T
    own, other, slopes = torch.split(first, [hidden, hidden, 2])
    parts_of_node = torch.split(node, [hidden, hidden, n_scalar])
    nothing = first.new_zeros(0, 0)
    step, step_out = (nothing, nothing[0:0].reshape(-1)) if block.phi_x is None else (
        block.phi_x[0].weight.T, block.phi_x[2].weight[0],
    )  # fmt: skip
    return _Block(
        first=torch.cat([padded(own, c, c), padded(other, c, c)], dim=1),
        first_bias=padded(edge_shift, 2 * c),
        slopes=padded(slopes, 2, c),
        edge=padded(block.phi_e[3].weight.T, c, c),
        edge_bias=padded(block.phi_e[3].bias, c),
        gate=padded(block.phi_m[0].weight[0], c),
        gate_bias=padded(block.phi_m[0].bias, 1),
        step=padded(step, c, c),
        step_bias=padded(nothing.reshape(-1) if block.phi_x is None else block.phi_x[0].bias, c),
        step_out=padded(step_out, c),
        node=torch.cat([padded(part, size, c) for part, size in zip(parts_of_node, (c, c, n_scalar), strict=True)]),
        node_bias=padded(block.phi_h[0].bias.double() * node_scale + node_shift, c),
        node_out=padded(block.phi_h[3].weight.T, c, c),
        node_out_bias=padded(block.phi_h[3].bias, c),
        c_weight=first.new_tensor([block.c_weight]),
    )
