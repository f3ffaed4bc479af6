"""L-GATr-slim forward on the CPU: a few jets at a time through all blocks, a few nodes at a time through each layer."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from ...common.cpu.ragged_attention import attend_rows, largest_jet
from ...common.cpu.row_layers import LINEAR, RowLayer, row_layer, row_layer_add
from .gate_tiles import gate_scalars, gate_vectors
from .heads import pack_heads, unpack_heads
from .invariants import norm_rows
from .weights import Layers, SlimWeights
from .workspace import CHUNK, Rows, Workspace, whole_tiles, workspace

__all__ = ["forward"]

#: Nodes of a group of jets, whose activations stay in cache.
_GROUP = 256


@njit
def forward(
    weights: SlimWeights, vectors: F4, scalars: F4, offsets: I8, states: tuple[F4, F4], out_v: F4, out_s: F4,
    first: int, last: int,
) -> None:  # fmt: skip
    """Features after the last block, of jets ``first:last``.

    Parameters
    ----------
    weights : SlimWeights
        The network.
    vectors, scalars : ndarray, shapes (N, 4) and (N, F)
        What its nodes begin with.
    offsets : ndarray, shape (J + 1,)
        Jet boundaries.
    states : tuple of two ndarray, shapes (L, 4N, V) and (L, N, S), whole registers, or L = 0
        What each block begins with, for a backward pass.
    out_v, out_s : ndarray, shapes (4N, V), V = 0 where the last block keeps no vectors, and (N, S)
        What is written.
    """
    room = workspace(weights, max(_GROUP, largest_jet(offsets, first, last)))
    jet, blocks = first, len(weights.heads.vectors.weight)
    while jet < last:
        end = jet + 1
        while end < last and offsets[end + 1] - offsets[jet] <= _GROUP:
            end += 1
        begin, bounds = offsets[jet], offsets[jet : end + 1] - offsets[jet]
        nodes = bounds[-1]
        _embed(weights.embedding, vectors, scalars, begin, nodes, room)
        for b in range(blocks):
            if len(states[0]):
                _copy(room.state.vectors, 4 * nodes, states[0][b], 4 * begin)
                _copy(room.state.scalars, nodes, states[1][b], begin)
            _attend(weights, b, bounds, room)
            _perceive(weights, b, weights.sizes.keeps_vectors or b < blocks - 1, nodes, room)
        _copy(room.state.vectors, 4 * nodes, out_v, 4 * begin)
        _copy(room.state.scalars, nodes, out_s, begin)
        jet = end


@inner
def _of(layers: RowLayer, b: int) -> RowLayer:
    """The layer of one block."""
    return RowLayer(layers.weight[b], layers.bias[b], layers.width)


@inner
def _linear(x: Rows, layers: Layers, b: int, out: Rows, nodes: int) -> None:
    row_layer(x.vectors, 0, _of(layers.vectors, b), LINEAR, out.vectors, 0, 4 * nodes)
    row_layer(x.scalars, 0, _of(layers.scalars, b), LINEAR, out.scalars, 0, nodes)


@inner
def _add_linear(x: Rows, layers: Layers, b: int, keeps: bool, out: Rows, first: int, nodes: int) -> None:
    if keeps:
        row_layer_add(x.vectors, 0, _of(layers.vectors, b), out.vectors, 4 * first, 4 * nodes)
    row_layer_add(x.scalars, 0, _of(layers.scalars, b), out.scalars, first, nodes)


@inner
def _embed(layers: Layers, vectors: F4, scalars: F4, begin: int, nodes: int, room: Workspace) -> None:
    """The first layer, of nodes from `begin` on."""
    vector, scalar = _of(layers.vectors, 0), _of(layers.scalars, 0)
    for start in range(0, nodes, CHUNK):
        count, x = min(CHUNK, nodes - start), room.here
        for i in range(count):
            for c in range(4):
                x.vectors[4 * i + c, 0] = vectors[begin + start + i, c]
            for c in range(scalars.shape[1]):
                x.scalars[i, c] = scalars[begin + start + i, c]
        row_layer(x.vectors, 0, vector, LINEAR, room.state.vectors, 4 * start, 4 * whole_tiles(count))
        row_layer(x.scalars, 0, scalar, LINEAR, room.state.scalars, start, whole_tiles(count))


@inner
def _attend(weights: SlimWeights, b: int, bounds: I8, room: Workspace) -> None:
    """Attention of a group of jets, added to the state."""
    sizes, nodes, state = weights.sizes, bounds[-1], room.state
    head = (sizes.head_vectors, sizes.head_scalars)
    for start in range(0, nodes, CHUNK):
        count = min(CHUNK, nodes - start)
        norm_rows(state, start, count, sizes.share, room.normed, 0)
        _linear(room.normed, weights.heads, b, room.projected, whole_tiles(count))
        pack_heads(room.projected, 0, count, sizes.heads, head, sizes.head_share, (room.q, room.k, room.v), start)
    none = np.empty((0, sizes.heads), np.float32)
    attend_rows(
        room.q, room.k, room.v, bounds, 0, len(bounds) - 1, sizes.heads, sizes.scale, none, 0, room.attended
    )  # fmt: skip
    for start in range(0, nodes, CHUNK):
        count = min(CHUNK, nodes - start)
        unpack_heads(room.attended, start, count, sizes.heads, head, room.unpacked)
        _add_linear(room.unpacked, weights.attended, b, True, state, start, whole_tiles(count))


@inner
def _perceive(weights: SlimWeights, b: int, keeps: bool, nodes: int, room: Workspace) -> None:
    """The perceptron of each node, added to the state."""
    for start in range(0, nodes, CHUNK):
        count = min(CHUNK, nodes - start)
        norm_rows(room.state, start, count, weights.sizes.share, room.normed, 0)
        first, more = weights.gates
        _gate(
            room.normed,
            first.vectors[b],
            first.scalars[b],
            first.bias[b],
            weights.coefficients,
            keeps,
            room.here,
            count,
        )
        x, out = room.here, room.there
        for i in range(len(more.vectors)):
            _gate(x, more.vectors[i, b], more.scalars[i, b], more.bias[i, b], weights.coefficients, keeps, out, count)
            x, out = out, x
        _add_linear(x, weights.outputs, b, keeps, room.state, start, whole_tiles(count))


@inner
def _gate(
    x: Rows, vectors: F4, scalars: F4, bias: F4, coefficients: F4, keeps: bool, out: Rows, nodes: int
) -> None:  # fmt: skip
    if keeps:
        gate_vectors(x.vectors, vectors, coefficients[0], out.vectors, nodes)
    gate_scalars(x.scalars, scalars, bias, coefficients[1], out.scalars, nodes)


@inner
def _copy(rows: F4, count: int, out: F4, first: int) -> None:
    for row in range(count):
        for c in range(out.shape[1]):
            out[first + row, c] = rows[row, c]
