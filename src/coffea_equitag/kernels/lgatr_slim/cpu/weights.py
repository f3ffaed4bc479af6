"""L-GATr-slim's weights for the CPU: matrices in blocks of columns, those of all blocks of the network together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ....array_types import F4, AnyArray
from ....jet_model import JetModel
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import double, folded
from ...common.cpu.row_layers import RowLayer, pack
from .activation import coefficients_of
from .gate_tiles import LANES, SCALAR_BLOCK
from .matrices import Linear, block_matrices, embedding_matrices, head_sizes

__all__ = ["Gates", "Layers", "Sizes", "SlimWeights", "gate_blocks", "sizes_of", "together", "vectors_of", "weights_of"]


class Sizes(NamedTuple):
    """What the kernels know about a network besides its weights."""

    vectors: int
    scalars: int
    heads: int
    head_vectors: int  # whole fours
    head_scalars: int
    share: np.float32  # 1 by the number of channels
    head_share: np.float32
    scale: float  # of the products of queries and keys
    keeps_vectors: bool  # in the last block


class Layers(NamedTuple):
    """A layer of each of L blocks: `RowLayer`s whose arrays have an axis L before the others."""

    vectors: RowLayer
    scalars: RowLayer


class Gates(NamedTuple):
    """A gated layer of each of L blocks: (L, blocks, in, columns), and biases (L, columns); see `gate_tiles`."""

    vectors: F4
    scalars: F4
    bias: F4


class SlimWeights(NamedTuple):
    """A network's weights; the embedding has L = 1."""

    sizes: Sizes
    coefficients: F4  # (2, 6), of the gates of vectors and of scalars
    embedding: Layers
    heads: Layers
    attended: Layers
    gates: tuple[Gates, Gates]  # the first of each perceptron, and (M, L, ...) M that follow
    outputs: Layers


def weights_of(model: JetModel) -> SlimWeights:
    """Pack an `LGATrSlim`; the result is kept until a parameter changes."""
    return folded(model, _fold)


def sizes_of(model: Any) -> Sizes:
    """The sizes of an `LGATrSlim`."""
    attention, options = model.blocks[0].attention, model.options
    v, s = attention.head_channels
    return Sizes(
        options["vectors"],
        options["scalars"],
        attention.heads,
        *head_sizes(attention),
        np.float32(1 / (options["vectors"] + options["scalars"])),
        np.float32(1 / (v + s)),
        (4 * v + s) ** -0.5,
        model.blocks[-1].keeps_vectors,
    )


def gate_blocks(matrix: AnyArray, parts: int, block: int) -> F4:
    """The matrix (parts · out, in) of a gated layer as (blocks, in, parts · block), columns filled up with zeros."""
    rows = matrix.reshape(parts, -1, matrix.shape[1])
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % block), (0, 0)))
    found: F4 = rows.reshape(parts, -1, block, matrix.shape[1]).transpose(1, 3, 0, 2)
    return found.reshape(len(found), matrix.shape[1], parts * block)


def _fold(model: Any) -> SlimWeights:
    every = [list(block_matrices(block)) for block in model.blocks]
    heads, attended, *gates, outputs = zip(*every, strict=True)
    gate, first = model.blocks[0].perceptron.gates[0], _stacked_gates(gates[0])
    return SlimWeights(
        sizes_of(model),
        np.stack([coefficients_of(gate.vector_activation), coefficients_of(gate.activation)]),
        _stacked([embedding_matrices(model)]),
        _stacked(heads),
        _stacked(attended),
        (first, _following([_stacked_gates(layers) for layers in gates[1:]], first)),
        _stacked(outputs),
    )


def _stacked(layers: Any) -> Layers:
    return Layers(
        together([pack(matrix) for matrix in vectors_of(layers)]),
        together([pack(double(layer.scalars), double(layer.bias)) for layer in layers]),
    )


def together(layers: list[RowLayer]) -> RowLayer:
    """Layers of equal sizes, with an axis before the others."""
    weights, biases, widths = zip(*layers, strict=True)
    return RowLayer(aligned(np.stack(weights)), aligned(np.stack(biases)), widths[0])


def _stacked_gates(layers: Any) -> Gates:
    biases = [gate_blocks(double(layer.bias)[:, None], 2, SCALAR_BLOCK).reshape(-1) for layer in layers]
    return Gates(
        aligned(np.stack([gate_blocks(matrix, 3, LANES) for matrix in vectors_of(layers)])),
        aligned(np.stack([gate_blocks(double(layer.scalars), 2, SCALAR_BLOCK) for layer in layers])),
        aligned(np.stack(biases)),
    )


def _following(gates: list[Gates], like: Gates) -> Gates:
    """Together, with one more axis, also if there are none."""
    if not gates:
        return Gates(*(np.zeros((0, *array.shape), np.float32) for array in like))
    return Gates(*(aligned(np.stack(arrays)) for arrays in zip(*gates, strict=True)))


def vectors_of(layers: tuple[Linear, ...]) -> list[AnyArray]:
    """The vectors' matrices; zeros where there are none, in the last block of a classifier."""
    found: list[Tensor | None] = [layer.vectors for layer in layers]
    like = next((matrix for matrix in found if matrix is not None), None)
    if like is None:
        return [np.zeros((3, 1))] * len(found)  # three, as a gate has
    return [double(like) * 0 if matrix is None else double(matrix) for matrix in found]
