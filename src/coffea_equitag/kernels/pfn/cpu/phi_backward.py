"""Φ of a training batch, backward: a few constituents at a time, gradients in the place of the values.

Gradients of weights are sums over one group of jets; backward through a ReLU asks for what is left of a^l after it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8, U2, U8
from ....compiled import inner, njit
from ...common.cpu.aligned import empty_rows
from ...common.cpu.batch_norm import Norm, add_projections
from ...common.cpu.sparse import bits_of_row, columns_of_bits
from ...common.cpu.sparse_layer import add_sparse_row, bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, MARGIN, add_rows, layer
from .phi_forward import span
from .phi_rows import CHUNK, Groups, Rows

__all__ = ["Gradients", "Transposed", "backward_layers", "backward_sums"]

#: Numbers of a word of bits, and rows that a number of bits of a column stands for.
_WORD, _ROWS = 16, 64
_ZERO = np.float32(0)


class Transposed(NamedTuple):
    """The layers' matrices, transposed and in blocks: in what comes from the layer before, and in the patch's."""

    own: tuple[F4, ...]
    nodes: tuple[F4, ...]
    zeros: F4


class Gradients(NamedTuple):
    """Gradients that leave."""

    features: F4  # (N, F), or (0, 0) if nobody wants them
    nodes: F4  # (N, E)
    weights: tuple[F4, ...]  # (G inputs, outputs) of each layer
    biases: tuple[F4, ...]  # (G, outputs)


@njit
def backward_sums(grad_sums: F4, norm: Norm, rows: Rows, groups: Groups, sums: F8, first: int, last: int) -> None:
    """From gradients of the sums (J, C) to those of y^L, in the place of a^L.

    With BatchNorm, sums (G, 2, C) of ∂L/∂y and ∂L/∂y ẑ are added up.
    """
    a, z = rows.a[-1], rows.z[-1]
    for group in range(first, last):
        shift = group * MARGIN
        for jet in range(groups.first_jets[group], groups.first_jets[group + 1]):
            source = grad_sums[jet]
            for i in range(groups.offsets[jet] + shift, groups.offsets[jet + 1] + shift):
                target = a[i]
                for c in range(len(source)):
                    target[c] = _ZERO if target[c] <= _ZERO else source[c]
        if len(norm.scale):
            begin, end = span(groups, group)
            add_projections(a[begin:end], z, begin, end - begin, norm, sums[group])


@njit
def backward_layers(
    transposed: Transposed,
    steps: tuple[F4, F4, F4],
    norm: Norm,
    rows: Rows,
    groups: Groups,
    grads: Gradients,
    sums: F8,
    level_first: int,
    level_last: int,
    first: int,
    last: int,
) -> None:
    """From gradients of y of layer ``level_last - 1`` to those before ``level_first``, of groups ``first:last``.

    With BatchNorm, one layer runs at a time: `steps` are ∂L/∂z = a ∂L/∂y + b z + c of its own, `norm` is that of the
    layer before, and sums (G, 2, C) of ∂L/∂y and ∂L/∂y ẑ before are added up. Without, these are empty.
    """
    widest = 0
    for a in rows.a:
        widest = max(widest, a.shape[1])
    bits, columns = bits_for(CHUNK, widest), np.zeros(max(widest, _WORD), np.uint64)
    planes = np.zeros(_ROWS, np.uint16)
    out = empty_rows(CHUNK + MARGIN, _widest(transposed.own))
    of_nodes = empty_rows(CHUNK + MARGIN, _widest(transposed.nodes))
    for group in range(first, last):
        begin, end = span(groups, group)
        for start in range(begin, end, CHUNK):
            count, at = min(CHUNK, end - start), start - group * MARGIN
            for level in range(level_last - 1, level_first - 1, -1):
                x, grad_z = rows.a[level][start : start + count], rows.a[level + 1][start : start + count]
                if len(steps[0]):
                    _through_norm(steps, rows.z[level][start : start + count], grad_z)
                width, depth = grads.biases[level].shape[1], len(grads.weights[level]) // len(grads.biases[level])
                add_rows(grad_z, 0, count, grads.biases[level], group)
                _add_products(x, depth, grad_z, width, grads.weights[level], group * depth, bits, planes, columns)
                if grads.nodes.shape[1]:
                    layer(grad_z, 0, width, transposed.nodes[level], transposed.zeros, LINEAR, of_nodes, 0, count)
                    _add(of_nodes, count, grads.nodes, at)
                if level == 0:
                    if len(grads.features):
                        layer(grad_z, 0, width, transposed.own[0], transposed.zeros, LINEAR, out, 0, count)
                        _add(out, count, grads.features, at)
                    continue
                sparse_layer(grad_z, width, transposed.own[level], transposed.zeros, LINEAR, out, count, bits)
                _through_relu(out, x, grads.biases[level - 1].shape[1])
                if len(norm.scale):
                    add_projections(x, rows.z[level - 1], start, count, norm, sums[group])


@inner
def _widest(matrices: tuple[F4, ...]) -> int:
    widest = 0
    for matrix in matrices:
        widest = max(widest, matrix.shape[0] * matrix.shape[2])
    return widest


@inner
def _through_norm(steps: tuple[F4, F4, F4], z: F4, grad: F4) -> None:
    for row in range(len(grad)):
        value, target = z[row], grad[row]
        for c in range(len(value)):
            target[c] = steps[0][c] * target[c] + (steps[1][c] * value[c] + steps[2][c])


@inner
def _through_relu(grad: F4, a: F4, width: int) -> None:
    """Gradients after a ReLU to those before it, in the place of what it gave."""
    for row in range(len(a)):
        source, target = grad[row], a[row]
        for c in range(width):
            target[c] = _ZERO if target[c] <= _ZERO else source[c]


@inner
def _add(values: F4, count: int, out: F4, at: int) -> None:
    for row in range(count):
        for c in range(out.shape[1]):
            out[at + row, c] += values[row, c]


@inner
def _add_products(
    x: F4, depth: int, grad_z: F4, width: int, out: F4, out_row: int, bits: U2, planes: U2, columns: U8
) -> None:
    """Add xᵀ grad_z to rows of `out`, over the rows whose x is not 0."""
    count, words = len(x), x.shape[1] // _WORD
    for row in range(count):
        bits_of_row(x, row * x.shape[1], words, bits, row * words)
    for word in range(words):
        for row in range(count):
            planes[row] = bits[row * words + word]
        for row in range(count, _ROWS):
            planes[row] = 0
        columns_of_bits(planes, 0, columns, word * _WORD)
    for k in range(depth):
        add_sparse_row(columns, k, x, grad_z, width, out, (out_row + k) * width)
