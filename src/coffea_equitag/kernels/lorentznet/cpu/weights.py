"""LorentzNet's parameters as its CPU kernel wants them: BatchNorm folded in, columns in blocks of a tile."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import double, folded
from ...common.cpu.shapes import block_for

__all__ = ["LANES", "EdgeRows", "LorentzNetWeights", "weights_of"]


#: Rows of edges are whole vectors of this many numbers.
LANES = 16

_EPSILON = nn.BatchNorm1d(1).eps


class EdgeRows(NamedTuple):
    """A block's edge parameters for rows of which only what is not 0 is multiplied; C in whole vectors of 16."""

    slopes: F4  # (L, 2, C): the first layer's part of ψ(norm) and ψ(product)
    edge: F4  # (L, C, C): input by output
    edge_bias: F4  # (L, C)
    gate: F4
    step: F4
    step_bias: F4
    step_out: F4


class LorentzNetWeights(NamedTuple):
    """Parameters in float32; L is one entry a block of the network (1 of what there is once), C the padded channels.

    Matrices are (L, C / B, K, B): for each block of B columns, one row a summed index k. Vectors stand one after
    the other, (L·C,), so that all layers are of the same types and compiled once.
    """

    embedding: F4
    embedding_bias: F4
    receiver: F4  # the first edge layer's part of h_i, and its bias
    receiver_bias: F4
    sender: F4  # its part of h_j
    edge: F4  # the second edge layer
    edge_bias: F4
    gate: F4
    gate_bias: F4  # (L,)
    step: F4  # φ_x; zeros for a block that does not move the vectors
    step_bias: F4
    step_out: F4
    node: F4  # φ_h, summed over [h, Σm, scalars]
    node_bias: F4
    node_out: F4
    node_out_bias: F4
    head: F4
    head_bias: F4
    head_out: F4
    head_out_bias: F4
    rows: EdgeRows
    zeros: F4  # (C,), for layers without a bias and tiles whose products nobody wants


def weights_of(model: nn.Module) -> LorentzNetWeights:
    """Fold a `LorentzNet` in evaluation mode; the result is kept until a parameter or statistic changes."""
    return folded(model, lambda model: _fold({name: double(tensor) for name, tensor in model.state_dict().items()}))


def _fold(state: dict[str, F8]) -> LorentzNetWeights:
    hidden, n_scalar = state["embedding.weight"].shape
    block = block_for(hidden)
    channels = -(-hidden // block) * block
    layers: list[dict[str, F8]] = []
    while f"blocks.{len(layers)}.phi_h.0.weight" in state:
        prefix = f"blocks.{len(layers)}."
        part = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        layers.append(_fold_block(part, hidden, n_scalar, block))
    stacked = {name: aligned(np.stack([layer[name] for layer in layers])) for name in layers[0]}
    rows = {name: stacked.pop(f"rows.{name}") for name in EdgeRows._fields}
    stacked = {name: values if values.ndim == 4 else values.reshape(-1) for name, values in stacked.items()}
    return LorentzNetWeights(
        embedding=aligned(_blocks(state["embedding.weight"], n_scalar, block)[None]),
        embedding_bias=aligned(_padded(state["embedding.bias"], channels)),
        head=aligned(_blocks(state["head.0.weight"], hidden, block)[None]),
        head_bias=aligned(_padded(state["head.0.bias"], channels)),
        head_out=aligned(_blocks(state["head.3.weight"], hidden, block)[None]),
        head_out_bias=aligned(_padded(state["head.3.bias"], -(-len(state["head.3.bias"]) // block) * block)),
        rows=EdgeRows(**rows),
        zeros=aligned(np.zeros(channels)),
        **stacked,
    )


def _fold_block(part: dict[str, F8], hidden: int, n_scalar: int, block: int) -> dict[str, F8]:
    channels = -(-hidden // block) * block
    edge_scale, edge_shift = _batch_norm(part, "phi_e.1")
    node_scale, node_shift = _batch_norm(part, "phi_h.1")
    first = part["phi_e.0.weight"] * edge_scale[:, None]
    node = part["phi_h.0.weight"] * node_scale[:, None]
    gap = np.zeros((hidden, channels - hidden))
    moves = "phi_x.0.weight" in part
    square = np.zeros((hidden, hidden))
    edge, edge_bias, gate = part["phi_e.3.weight"], part["phi_e.3.bias"], part["phi_m.0.weight"][0]
    step = part["phi_x.0.weight"] if moves else square
    step_bias = part["phi_x.0.bias"] if moves else square[0]
    step_out = part["phi_x.2.weight"][0] if moves else square[0]
    slopes = first[:, 2 * hidden :].T
    whole = -(-hidden // LANES) * LANES
    wide = {
        "slopes": np.stack([_padded(column, whole) for column in slopes]),
        "edge": _blocks(edge, whole, whole)[0],
        "step": _blocks(step, whole, whole)[0],
    } | {
        name: _padded(values, whole)
        for name, values in (("edge_bias", edge_bias), ("gate", gate), ("step_bias", step_bias), ("step_out", step_out))
    }
    return {f"rows.{name}": values for name, values in wide.items()} | {
        "receiver": _blocks(first[:, :hidden], hidden, block),
        "receiver_bias": _padded(edge_shift, channels),
        "sender": _blocks(first[:, hidden : 2 * hidden], hidden, block),
        "edge": _blocks(edge, hidden, block),
        "edge_bias": _padded(edge_bias, channels),
        "gate": _padded(gate, channels),
        "gate_bias": part["phi_m.0.bias"][0],
        "step": _blocks(step, hidden, block),
        "step_bias": _padded(step_bias, channels),
        "step_out": _padded(step_out, channels),
        "node": _blocks(
            np.hstack([node[:, :hidden], gap, node[:, hidden : 2 * hidden], gap, node[:, 2 * hidden :]]),
            2 * channels + n_scalar,
            block,
        ),
        "node_bias": _padded(part["phi_h.0.bias"] * node_scale + node_shift, channels),
        "node_out": _blocks(part["phi_h.3.weight"], hidden, block),
        "node_out_bias": _padded(part["phi_h.3.bias"], channels),
    }


def _batch_norm(part: dict[str, F8], name: str) -> tuple[F8, F8]:
    """The scale and shift that running statistics make of a BatchNorm."""
    scale = part[f"{name}.weight"] / np.sqrt(part[f"{name}.running_var"] + _EPSILON)
    return scale, part[f"{name}.bias"] - part[f"{name}.running_mean"] * scale


def _padded(values: F8, length: int) -> F8:
    return np.pad(values, (0, length - len(values)))


def _blocks(matrix: F8, depth: int, block: int) -> F8:
    """A layer's matrix (out, in) as (blocks of columns, depth, block), padded with zeros."""
    width, given = matrix.shape
    columns = -(-width // block) * block
    rows = np.pad(matrix.T, ((0, depth - given), (0, columns - width)))
    return rows.reshape(depth, columns // block, block).transpose(1, 0, 2)
