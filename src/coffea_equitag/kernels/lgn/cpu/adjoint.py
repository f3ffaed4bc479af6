"""Tables and transposed matrices of LGN's backward pass, and gradients of parameters from the sums it makes.

Gradients are carried as complex conjugates, ∂/∂Re − i ∂/∂Im, so that the chain rule is that of holomorphic functions
and backward products have the form of those of the forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ....array_types import F8, I8
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS
from .product_tables import ProductTable, Terms
from .tiles import LANES, OUTER_COLUMNS, OUTER_ROWS, PAIR_COLUMNS, PAIR_ROWS
from .weights import LevelTables, LevelWeights, first_block, level_tables, padded_rows, signed_take

__all__ = ["LevelAdjoint", "gradients_of", "level_adjoint", "padded", "size_of_sums"]


class LevelAdjoint(NamedTuple):
    """What one level's backward pass needs beside its weights.

    The `Terms` are those of the gradients of a factor's components: the other factor is on the right, on the left the
    gradient of the product, counted among the sources of the mixing, or (`norms`, `times_momentum_rows`) by its row.
    """

    mixing: F8  # transposed: matrices (2, K, C') one after another
    places: I8  # (terms, 5): component out, component in, first block, K, where the matrix begins; by component in
    matrices: I8  # (matrices, 5): first term, last term, first block, K, where the sums begin
    terms: I8  # (terms, 2): component out, component in; matrix after matrix
    times_momentum: Terms
    times_momentum_rows: Terms
    squares: Terms
    norms: Terms
    perceptron: F8  # matrices without biases, transposed
    layers: I8  # (layers, 3): where one begins, where its sums begin, and their columns
    bell_sums: I8  # where the sums of bells begin, their columns, and where those of i = j begin


def level_adjoint(tables: LevelTables, weights: LevelWeights, start: int) -> tuple[LevelAdjoint, int]:
    """Tables and transposed matrices of a level whose sums begin at `start`; where they end."""
    layers = tuple(map(tuple, weights.layers.tolist()))
    adjoint, mixing, perceptron, end = _layout(tables.key, layers, len(weights.falloff), start)
    found = adjoint._replace(
        mixing=signed_take(weights.mixing, mixing),
        perceptron=signed_take(weights.perceptron, perceptron),
    )
    return found, end


@cache
def _layout(
    level: tuple[Any, ...], layers: tuple[tuple[int, int, int], ...], bells: int, start: int
) -> tuple[LevelAdjoint, I8, I8, int]:
    """All but matrices, the index of each of their numbers (from 1, 0 for none), and where sums end."""
    tables = level_tables(*level)
    channels, channels_out = (int(count) for count in tables.channels[:2])
    columns = padded(2 * bells + 1, OUTER_COLUMNS)
    bell_sums = [start, columns, start + 4 * channels * columns * LANES]
    at, ends = bell_sums[2] + 4 * channels * LANES, 0
    mixing, matrices, places = [], [], []
    starts = {(component, source): begin for component, source, _, _, begin in tables.places.tolist()}
    by_matrix: dict[tuple[str, int], list[int]] = {}
    for term, (key, sign, _, _) in enumerate(tables.terms):
        by_matrix.setdefault((key, sign), []).append(term)
    for (key, _), terms in by_matrix.items():
        begin, depth = starts[tables.terms[terms[0]][2:]], channels * len(tables.folding[key])
        tall = padded(channels_out, COMPLEX_ROWS)
        numbers = (begin + 1 + np.arange(2 * tall * depth)).reshape(2, tall, depth)[:, :channels_out]
        mixing.append(padded_rows(numbers.transpose(0, 2, 1), COMPLEX_ROWS).ravel())
        block = first_block(tables.given, key)
        matrices.append((terms[0], terms[-1] + 1, block, depth, at))
        places += [(*tables.terms[t][2:], block, depth, ends) for t in terms]
        ends += len(mixing[-1])
        at += padded(channels_out, PAIR_ROWS) * padded(depth, PAIR_COLUMNS) * 2 * LANES
    places.sort(key=lambda place: place[1])
    perceptron, of_layers, end = [], [], 0
    for begin, outputs, depth in layers:
        numbers = (begin + 1 + np.arange(outputs * depth)).reshape(outputs, depth)[:, :-1]
        perceptron.append(padded_rows(numbers.T, SMALL_ROWS).ravel())
        of_layers.append((end, at, padded(depth, OUTER_COLUMNS)))
        end += len(perceptron[-1])
        at += padded(outputs, OUTER_ROWS) * of_layers[-1][2] * LANES
    adjoint = LevelAdjoint(
        np.empty(0),
        np.array(places),
        np.array(matrices),
        np.array([term[2:] for term in tables.terms]),
        *_transposed_tables(*level),
        np.empty(0),
        np.array(of_layers),
        np.array(bell_sums),
    )
    return adjoint, np.concatenate(mixing), np.concatenate(perceptron), at


def gradients_of(
    tables: LevelTables, weights: LevelWeights, adjoint: LevelAdjoint, sums: F8, state: Mapping[str, F8]
) -> dict[str, F8]:
    """Gradients of a level's parameters, from sums without lanes."""
    channels, channels_out = (int(count) for count in tables.channels[:2])
    found = _bell_gradients(channels, adjoint, sums, state)
    mixing: dict[str, F8] = {}
    for first, _, _, depth, at in adjoint.matrices.tolist():
        key, sign = tables.terms[first][:2]
        shape = padded(channels_out, PAIR_ROWS), padded(depth, PAIR_COLUMNS), 2
        begin = at // LANES
        of_matrix = sums[begin : begin + shape[0] * shape[1] * 2].reshape(shape)[:channels_out, :depth]
        mixing[key] = mixing.get(key, 0.0) + sign * of_matrix
    for key, of_matrix in mixing.items():
        conjugate = of_matrix.transpose(2, 0, 1) * np.array([1.0, -1.0])[:, None, None]
        blocks = conjugate.reshape(2, channels_out, -1, channels)
        found[f"mixing.weight.{key}"] = (tables.folding[key].T @ blocks).reshape(2, channels_out, -1)
    names = [name for name in state if name.startswith("mlp.") and name.endswith("weight")]
    names.sort(key=lambda name: int(name.split(".")[1]))
    for name, (_, outputs, depth), (_, at, wide) in zip(
        names, weights.layers.tolist(), adjoint.layers.tolist(), strict=True
    ):
        begin = at // LANES
        of_layer = sums[begin : begin + outputs * wide].reshape(outputs, wide)
        found[name] = of_layer[:, : depth - 1]
        found[name.replace("weight", "bias")] = of_layer[:, depth - 1]
    return found


def padded(count: Any, unit: int) -> Any:
    """The next multiple of a unit, of a number or an array."""
    return -(-count // unit) * unit


def size_of_sums(end: int) -> int:
    """Of all sums, tiles that reach beyond the last counted."""
    return end + OUTER_ROWS * OUTER_COLUMNS * LANES


def _bell_gradients(channels: int, adjoint: LevelAdjoint, sums: F8, state: Mapping[str, F8]) -> dict[str, F8]:
    """The sums are of f's gradient with each falloff, with 1, and with each falloff's derivative by c²."""
    a, b, c = (state[f"bells.{name}"] for name in "abc")
    count = len(a)
    begin, columns, diagonal = adjoint.bell_sums // np.array([LANES, 1, LANES])
    signs = np.tile([1.0, -1.0], channels)
    by_power = sums[begin : begin + 4 * channels * columns].reshape(2, 2 * channels, columns) * signs[:, None]
    own = sums[diagonal : diagonal + 4 * channels].reshape(2, 2 * channels) * signs
    found = {f"bells.{name}": np.zeros(count) for name in "abc"}
    for power, of_f, of_own in zip(("s", "v"), by_power, own, strict=True):
        weight = state[f"bells.linear.{power}.weight"]
        falloff, constant, steepness = of_f[:, :count], of_f[:, count], of_f[:, count + 1 : 2 * count + 1]
        found[f"bells.linear.{power}.weight"] = falloff * b + constant[:, None] * a
        found[f"bells.linear.{power}.bias"] = constant + of_own
        found["bells.a"] += constant @ weight
        found["bells.b"] += (falloff * weight).sum(0)
        found["bells.c"] += 2 * c * b * (steepness * weight).sum(0)
    return found


@cache
def _transposed_tables(*level: Any) -> tuple[Terms, Terms, Terms, Terms]:
    tables = level_tables(*level)
    components, components_out, blocks = (int(count) for count in tables.channels[2:])
    momenta, momenta_rows = _transposed(tables.times_momentum, blocks, components, both=False)
    squares, _ = _transposed(tables.squares, blocks, components, both=True)
    _, norms = _transposed(tables.norms, blocks, components_out, both=True)
    return momenta, momenta_rows, squares, norms


def _transposed(table: ProductTable, blocks: int, components: int, *, both: bool) -> tuple[Terms, Terms]:
    """Terms by left factors, and by right ones too if `both` are the same tensors; by sources, and by rows."""
    terms, twice = table.terms, 1 + both
    rows = np.tile(np.repeat(np.arange(len(table.component)), np.diff(terms.first)), twice)
    factors = np.concatenate([terms.left, terms.right][:twice])
    order = np.argsort(factors, kind="stable")
    first = np.searchsorted(factors[order], np.arange(components + 1))
    row, factor = rows[order], np.tile(terms.factor, twice)[order]
    other = np.concatenate([terms.right, terms.left][:twice])[order]
    source = table.component[row] * blocks + table.block[row]
    return Terms(first, source, other, factor), Terms(first, row, other, factor)
