"""LorentzNet's evaluation, fused: a jet goes through all blocks, and pairs live in chunks that stay in the caches.

Every sum runs over a jet's own nodes in a fixed order, so a jet's logits are the same to the last bit whatever jets
stand beside it and however many threads there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, F8, I8
from ....compiled import inner, njit, over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ...common.cpu.aligned import aligned_rows
from ...common.cpu.dense import dense, dense_narrow
from ...common.cpu.elementary import sigmoid
from ...common.cpu.shapes import NARROW_BLOCK, NARROW_ROWS, WIDE_BLOCK, WIDE_ROWS
from ...common.cpu.sparse import ones
from .clamp import clamped_step, cut_off
from .edge_chunks import CHUNK, add_messages, hidden_rows, list_pairs, make_rows
from .edge_scalars import edge_scalars
from .gram_step import move_forth
from .weights import LANES, LorentzNetWeights, weights_of

__all__ = ["logits"]


#: Share of a chunk's numbers that are not 0 from which on tiles are quicker, and channels from which on it matters.
_DENSE, _MANY = 0.6, 48
#: Where most rows and matrices begin: a plain 0 would be a type of its own, and compiled apart.
_FIRST: Any = np.int64(0)
_RELU, _LINEAR = np.float32(0.0), np.float32(-np.inf)
#: Rows that tiles may write beyond a matrix's own.
_MARGIN = max(WIDE_ROWS, NARROW_ROWS)


def logits(model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor) -> Tensor:
    """Logits of a float32 `LorentzNet` in evaluation mode; arguments as of its ``network``.

    Parameters
    ----------
    model : LorentzNet
        Of classes.
    p4_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) of the nodes, for the clamp.
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
    weights = weights_of(model)
    inputs = np.ascontiguousarray(scalars.detach().numpy(), np.float32)
    bounds = np.ascontiguousarray(offsets.numpy())
    products = np.ascontiguousarray(gram_Q.detach().numpy(), np.float64)
    squares = pair_offsets(bounds)
    p4 = np.ascontiguousarray(p4_N4.detach().numpy(), np.float64)
    c_weight, clamp = float(model.options["c_weight"]), model.options["clamp"]
    limit = np.inf if clamp is None else float(clamp)
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)

    def run(first: int, last: int) -> None:
        _score(weights, p4, inputs, bounds, squares, products, c_weight, limit, logits, first, last)

    over_jets(run, squares, torch.get_num_threads())
    return torch.from_numpy(logits)


@njit
def _score(
    weights: LorentzNetWeights,
    p4: F8,
    scalars: F4,
    offsets: I8,
    squares: I8,
    products: F8,
    c_weight: float,
    clamp: float,
    logits: F4,
    first: int,
    last: int,
) -> None:
    channels, hidden, n_scalar = len(weights.zeros), weights.edge.shape[-2], scalars.shape[1]
    layers = len(weights.gate_bias)
    largest = 1
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    capacity = largest + _MARGIN
    # a node's row: h, then the sum of its messages, then its scalars
    width = 2 * channels + n_scalar
    nodes, spare = np.zeros((capacity, width), np.float32), np.zeros((capacity, channels), np.float32)
    whole = weights.rows.edge.shape[-1]
    from_i, from_j, sums = (aligned_rows(capacity, whole), aligned_rows(capacity, whole), aligned_rows(capacity, whole))
    rows, messages = aligned_rows(CHUNK + _MARGIN, whole), aligned_rows(CHUNK + _MARGIN, whole)
    unused = np.zeros(capacity, np.float32)
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        gram = products[squares[jet] : squares[jet + 1]].reshape(n, n).copy()
        steps = np.zeros(n * n, np.float32)
        x, excess = p4[start : start + n].copy(), np.empty((n, 4))
        psi_norm, psi_product = np.empty((n, n), np.float32), np.empty((n, n), np.float32)
        for i in range(n):
            for s in range(n_scalar):
                nodes[i, 2 * channels + s] = scalars[start + i, s]
        _layer(
            nodes, 2 * channels, weights.embedding, _FIRST, n_scalar, weights.embedding_bias, _FIRST, _LINEAR,
            nodes, n, weights.zeros, _FIRST, unused,
        )  # fmt: skip
        for layer in range(layers):
            at = layer * channels
            _layer(
                nodes, _FIRST, weights.receiver, layer, hidden, weights.receiver_bias, at, _LINEAR,
                from_i, n, weights.zeros, _FIRST, unused,
            )  # fmt: skip
            _layer(
                nodes, _FIRST, weights.sender, layer, hidden, weights.zeros, _FIRST, _LINEAR,
                from_j, n, weights.zeros, _FIRST, unused,
            )  # fmt: skip
            edge_scalars(gram, psi_norm, psi_product)
            sums[:n] = 0
            _edges(weights, layer, layer < layers - 1, from_i, from_j, psi_norm, psi_product, rows, messages, sums, n,
                   steps)  # fmt: skip
            for i in range(n):
                for c in range(channels):
                    nodes[i, channels + c] = sums[i, c]
            _layer(
                nodes, _FIRST, weights.node, layer, width, weights.node_bias, at, _RELU,
                from_i, n, weights.zeros, _FIRST, unused,
            )  # fmt: skip
            _layer(
                from_i, _FIRST, weights.node_out, layer, hidden, weights.node_out_bias, at, _LINEAR,
                spare, n, weights.zeros, _FIRST, unused,
            )  # fmt: skip
            for i in range(n):
                for c in range(channels):
                    nodes[i, c] += spare[i, c]
            if layer < layers - 1:
                cuts = clamp < np.inf and clamped_step(steps, c_weight, clamp, x, excess)
                move_forth(steps, gram, c_weight, gram.ravel())
                if cuts:
                    cut_off(gram, x, excess)
        _classify(weights, nodes, n, spare, from_i, unused, logits[jet])


@inner
def _layer(
    x: F4,
    x_column: int,
    weight: F4,
    layer: int,
    depth: int,
    bias: F4,
    bias_at: int,
    floor: np.float32,
    out: F4,
    n: int,
    seen: F4,
    seen_at: int,
    products: F4,
) -> None:
    """Dense layer of n rows, and the products of its outputs with `seen`, added up; whole tiles are computed."""
    x_stride, out_stride, blocks = x.shape[1], out.shape[1], weight.shape[-3]
    if weight.shape[-1] == WIDE_BLOCK:
        for row in range(0, n, WIDE_ROWS):
            for block in range(blocks):
                column = block * WIDE_BLOCK
                dense(
                    x, row * x_stride + x_column, x_stride, weight, (layer * blocks + block) * depth * WIDE_BLOCK,
                    depth, bias, bias_at + column, floor, out, row * out_stride + column, out_stride,
                    seen, seen_at + column, products, row,
                )  # fmt: skip
    else:
        for row in range(0, n, NARROW_ROWS):
            for block in range(blocks):
                column = block * NARROW_BLOCK
                dense_narrow(
                    x, row * x_stride + x_column, x_stride, weight, (layer * blocks + block) * depth * NARROW_BLOCK,
                    depth, bias, bias_at + column, floor, out, row * out_stride + column, out_stride,
                    seen, seen_at + column, products, row,
                )  # fmt: skip


@inner
def _edges(
    weights: LorentzNetWeights,
    layer: int,
    moves: bool,
    from_i: F4,
    from_j: F4,
    psi_norm: F4,
    psi_product: F4,
    rows: F4,
    messages: F4,
    sums: F4,
    n: int,
    steps: F4,
) -> None:
    """Messages of all pairs, chunk by chunk: their sums a node, and φ_x into `steps` (n²,).

    A chunk most of whose numbers ReLU has made 0 is multiplied number by number, others tile by tile.
    """
    hidden, at, words = weights.edge.shape[-2], layer * len(weights.zeros), rows.shape[1] // LANES
    own = weights.rows
    receiver, sender = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    gate, step = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    bits, message_bits = np.zeros(CHUNK * words + 4, np.uint16), np.zeros(CHUNK * words + 4, np.uint16)
    i, j = 0, 1
    left = n * (n - 1)
    while left > 0:
        count = min(left, CHUNK)
        left -= count
        i, j = list_pairs(i, j, n, count, receiver, sender)
        make_rows(from_i, from_j, own.slopes[layer], psi_norm, psi_product, receiver, sender, count, rows, bits)
        sparse = hidden >= _MANY and ones(bits, count * words) < _DENSE * count * hidden
        gate[:] = weights.gate_bias[layer]
        if sparse:
            hidden_rows(rows, bits, own.edge[layer], own.edge_bias[layer], count, hidden, messages, message_bits, 0,
                        own.gate[layer], gate)  # fmt: skip
        else:
            _layer(
                rows, _FIRST, weights.edge, layer, hidden, weights.edge_bias, at, _RELU,
                messages, count, weights.gate, at, gate,
            )  # fmt: skip
        for row in range(CHUNK):
            gate[row] = sigmoid(gate[row])
        add_messages(messages, gate, receiver, count, sums)
        if moves:
            step[:] = 0
            if sparse:
                hidden_rows(messages, message_bits, own.step[layer], own.step_bias[layer], count, hidden, rows, bits, 0,
                            own.step_out[layer], step)  # fmt: skip
            else:
                _layer(
                    messages, _FIRST, weights.step, layer, hidden, weights.step_bias, at, _RELU,
                    rows, count, weights.step_out, at, step,
                )  # fmt: skip
            for row in range(count):
                steps[receiver[row] * n + sender[row]] = step[row]


@inner
def _classify(weights: LorentzNetWeights, nodes: F4, n: int, mean: F4, hidden: F4, unused: F4, logits: F4) -> None:
    channels, depth = len(weights.zeros), weights.head.shape[-2]
    for c in range(channels):
        mean[0, c] = 0
    for i in range(n):
        for c in range(channels):
            mean[0, c] += nodes[i, c]
    scale, one = np.float32(max(n, 1)), _FIRST + 1
    for c in range(channels):
        mean[0, c] /= scale
    _layer(
        mean, _FIRST, weights.head, _FIRST, depth, weights.head_bias, _FIRST, _RELU,
        hidden, one, weights.zeros, _FIRST, unused,
    )  # fmt: skip
    out = np.empty((_MARGIN, len(weights.head_out_bias)), np.float32)
    zeros = np.zeros(len(weights.head_out_bias), np.float32)
    _layer(
        hidden, _FIRST, weights.head_out, _FIRST, depth, weights.head_out_bias, _FIRST, _LINEAR,
        out, one, zeros, _FIRST, unused,
    )  # fmt: skip
    for k in range(len(logits)):
        logits[k] = out[0, k]
