"""The perceptrons' matrices for a backward pass: as they are and transposed, in blocks of columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....array_types import F4, AnyArray
from ....jet_model import JetModel
from ...common.cpu.folding import double, folded
from ...common.cpu.row_layers import RowLayer, pack
from .activation import coefficients_of
from .gate_tiles import LANES
from .matrices import Linear, block_matrices
from .weights import Layers, together, vectors_of

__all__ = ["PerceptronWeights", "perceptron_weights_of", "whole_parts"]


class PerceptronWeights(NamedTuple):
    """Layers of all blocks, each as it is and transposed.

    Outputs of gates are filled up to whole registers, v, u and w, or s and g, each for itself.
    """

    share: np.float32  # 1 by the number of channels
    coefficients: F4  # (2, 6)
    widths: tuple[int, int]  # channels of vectors and scalars
    hidden: tuple[int, int]  # of the gates, whole registers
    first: tuple[Layers, Layers]  # (L, ...)
    more: tuple[Layers, Layers]  # (gates after the first, L, ...)
    outputs: Layers  # transposed alone


def perceptron_weights_of(model: JetModel) -> PerceptronWeights:
    """Of an `LGATrSlim`; the result is kept until a parameter changes."""
    return folded(model, _fold)


def whole_parts(matrix: AnyArray, parts: int) -> AnyArray:
    """The outputs of a matrix (out, in) filled up with zeros, part by part."""
    rows = matrix.reshape(parts, -1, matrix.shape[1])
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % LANES), (0, 0))).reshape(-1, matrix.shape[1])


def _fold(model: Any) -> PerceptronWeights:
    every = [list(block_matrices(block))[2:] for block in model.blocks]
    *gates, outputs = zip(*every, strict=True)
    first, *more = (_both(layers) for layers in gates)
    gate, options = model.blocks[0].perceptron.gates[0], model.options
    hidden = [options["mlp_ratio"] * options[name] for name in ("vectors", "scalars")]
    return PerceptronWeights(
        np.float32(1 / (options["vectors"] + options["scalars"])),
        np.stack([coefficients_of(gate.vector_activation), coefficients_of(gate.activation)]),
        (options["vectors"], options["scalars"]),
        (hidden[0] + -hidden[0] % LANES, hidden[1] + -hidden[1] % LANES),
        first,
        (_following([forward for forward, _ in more], first[0]), _following([back for _, back in more], first[1])),
        _layers([matrix.T for matrix in vectors_of(outputs)], [double(layer.scalars).T for layer in outputs]),
    )


def _both(gates: tuple[Linear, ...]) -> tuple[Layers, Layers]:
    """One gated layer of all blocks, and transposed."""
    vectors = [whole_parts(matrix, 3) for matrix in vectors_of(gates)]
    scalars = [whole_parts(double(layer.scalars), 2) for layer in gates]
    biases = [whole_parts(double(layer.bias)[:, None], 2)[:, 0] for layer in gates]
    return _layers(vectors, scalars, biases), _layers([v.T for v in vectors], [s.T for s in scalars])


def _layers(vectors: list[AnyArray], scalars: list[AnyArray], biases: list[AnyArray] | None = None) -> Layers:
    begin: list[AnyArray | None] = [None] * len(scalars) if biases is None else [*biases]
    return Layers(
        together([pack(matrix) for matrix in vectors]),
        together([pack(matrix, bias) for matrix, bias in zip(scalars, begin, strict=True)]),
    )


def _following(layers: list[Layers], like: Layers) -> Layers:
    """Together, with one more axis, also if there are none."""
    if not layers:
        return Layers(*(RowLayer(one.weight[None][:0], one.bias[None][:0], one.width) for one in like))
    return Layers(together([one.vectors for one in layers]), together([one.scalars for one in layers]))
