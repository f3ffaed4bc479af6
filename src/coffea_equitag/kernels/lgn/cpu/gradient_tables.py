"""Tables and matrices of LGN's backward pass, and the way from its sums to gradients of parameters.

Gradients are carried as complex conjugates, ∂/∂Re − i ∂/∂Im, so that the chain rule is that of holomorphic functions
and the products of the forward pass do for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ....array_types import F4, F8, I8
from ...common.cpu.bilinear_registers import lanes_of
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS
from .gradient_tiles import OUTER_COLUMNS, OUTER_ROWS, PAIR_COLUMNS, PAIR_ROWS
from .products import ProductTable
from .weights import LevelTables, LevelWeights, first_block, level_tables, padded_rows, taken

__all__ = ["LANES", "LevelGradients", "TurnedTable", "gradients_of", "level_gradients", "padded", "size_of_sums"]


#: Each sum is kept as so many.
LANES = lanes_of(8)


class TurnedTable(NamedTuple):
    """For each component of a factor, the products it is part of: the row, the other factor, the coefficient."""

    first: I8  # (components + 1,): the terms of each
    row: I8
    place: I8  # the row's component out and block, among what the mixing sees
    other: I8
    factor: F8


class LevelGradients(NamedTuple):
    """What one level's backward pass needs beside its weights."""

    turned: F8  # the mixing, transposed: matrices (2, K, C') one after another
    places: I8  # (terms, 5): component out, component in, first block, K, where the matrix begins; by component in
    matrices: I8  # (matrices, 5): first term, last term, first block, K, where the sums begin
    terms: I8  # (terms, 2): component out, component in; matrix after matrix
    moments: TurnedTable
    squares: TurnedTable
    norms: TurnedTable
    perceptron: F8  # matrices without biases, transposed
    layers: I8  # (layers, 3): where one begins, where its sums begin, and their columns
    bells: I8  # where the sums of bells begin, their columns, and where those of i = j begin
    bell_rows: F4  # as `LevelWeights.bells`


def level_gradients(tables: LevelTables, weights: LevelWeights, start: int) -> tuple[LevelGradients, int]:
    """Tables and transposed matrices of a level whose sums begin at `start`; where they end."""
    layers = tuple(map(tuple, weights.layers.tolist()))
    made, turned, perceptron, end = _layout(tables.key, layers, len(weights.falloff), start)
    found = made._replace(
        turned=taken(weights.mixing, turned),
        perceptron=taken(weights.perceptron, perceptron),
        bell_rows=weights.bells.astype(np.float32),
    )
    return found, end


@cache
def _layout(
    level: tuple[Any, ...], layers: tuple[tuple[int, int, int], ...], bells: int, start: int
) -> tuple[LevelGradients, I8, I8, int]:
    """All but matrices, which number stands where in those (counted from 1, 0 for none), and where sums end."""
    tables = level_tables(*level)
    channels, channels_out = (int(count) for count in tables.channels[:2])
    columns = padded(2 * bells + 1, OUTER_COLUMNS)
    of_bells = [start, columns, start + 4 * channels * columns * LANES]
    at, ends = of_bells[2] + 4 * channels * LANES, 0
    turned, matrices, places = [], [], []
    starts = {(component, source): begin for component, source, _, _, begin in tables.places.tolist()}
    by_matrix: dict[tuple[str, int], list[int]] = {}
    for term, (key, sign, _, _) in enumerate(tables.terms):
        by_matrix.setdefault((key, sign), []).append(term)
    for (key, _), terms in by_matrix.items():
        begin, depth = starts[tables.terms[terms[0]][2:]], channels * len(tables.folding[key])
        tall = padded(channels_out, COMPLEX_ROWS)
        numbers = (begin + 1 + np.arange(2 * tall * depth)).reshape(2, tall, depth)[:, :channels_out]
        turned.append(padded_rows(numbers.transpose(0, 2, 1), COMPLEX_ROWS).ravel())
        block = first_block(tables.given, key)
        matrices.append((terms[0], terms[-1] + 1, block, depth, at))
        places += [(*tables.terms[t][2:], block, depth, ends) for t in terms]
        ends += len(turned[-1])
        at += padded(channels_out, PAIR_ROWS) * padded(depth, PAIR_COLUMNS) * 2 * LANES
    places.sort(key=lambda place: place[1])
    perceptron, of_layers, end = [], [], 0
    for begin, outputs, depth in layers:
        numbers = (begin + 1 + np.arange(outputs * depth)).reshape(outputs, depth)[:, :-1]
        perceptron.append(padded_rows(numbers.T, SMALL_ROWS).ravel())
        of_layers.append((end, at, padded(depth, OUTER_COLUMNS)))
        end += len(perceptron[-1])
        at += padded(outputs, OUTER_ROWS) * of_layers[-1][2] * LANES
    made = LevelGradients(
        np.empty(0),
        np.array(places),
        np.array(matrices),
        np.array([term[2:] for term in tables.terms]),
        *_turned(*level),
        np.empty(0),
        np.array(of_layers),
        np.array(of_bells),
        np.empty((0, 0, 0), np.float32),
    )
    return made, np.concatenate(turned), np.concatenate(perceptron), at


def gradients_of(
    tables: LevelTables, weights: LevelWeights, made: LevelGradients, sums: F8, state: Mapping[str, F8]
) -> dict[str, F8]:
    """Gradients of a level's parameters, from sums without lanes."""
    channels, channels_out = (int(count) for count in tables.channels[:2])
    found = _bell_gradients(channels, made, sums, state)
    mixing: dict[str, F8] = {}
    for first, _, _, depth, at in made.matrices.tolist():
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
        names, weights.layers.tolist(), made.layers.tolist(), strict=True
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


def _bell_gradients(channels: int, made: LevelGradients, sums: F8, state: Mapping[str, F8]) -> dict[str, F8]:
    """The sums are of f's gradient with each falloff, with 1, and with each falloff's derivative by c²."""
    a, b, c = (state[f"bells.{name}"] for name in "abc")
    count = len(a)
    begin, columns, diagonal = made.bells[0] // LANES, made.bells[1], made.bells[2] // LANES
    signs = np.tile([1.0, -1.0], channels)
    by_power = sums[begin : begin + 4 * channels * columns].reshape(2, 2 * channels, columns) * signs[:, None]
    own = sums[diagonal : diagonal + 4 * channels].reshape(2, 2 * channels) * signs
    found = {f"bells.{name}": np.zeros(count) for name in "abc"}
    for power, of_f, of_own in zip(("s", "v"), by_power, own, strict=True):
        weight = state[f"bells.linear.{power}.weight"]
        falloff, constant, slope = of_f[:, :count], of_f[:, count], of_f[:, count + 1 : 2 * count + 1]
        found[f"bells.linear.{power}.weight"] = falloff * b + constant[:, None] * a
        found[f"bells.linear.{power}.bias"] = constant + of_own
        found["bells.a"] += constant @ weight
        found["bells.b"] += (falloff * weight).sum(0)
        found["bells.c"] += 2 * c * b * (slope * weight).sum(0)
    return found


@cache
def _turned(*level: Any) -> tuple[TurnedTable, TurnedTable, TurnedTable]:
    tables = level_tables(*level)
    blocks = int(tables.channels[4])
    return (
        _turn(tables.moments, blocks, int(tables.channels[2]), both=False),
        _turn(tables.squares, blocks, int(tables.channels[2]), both=True),
        _turn(tables.norms, blocks, int(tables.channels[3]), both=True),
    )


def _turn(table: ProductTable, blocks: int, components: int, *, both: bool) -> TurnedTable:
    """By left factors, and by right ones too if the factors are the same tensors."""
    twice = 1 + both
    rows = np.tile(np.repeat(np.arange(len(table.component)), np.diff(table.first)), twice)
    left = np.concatenate([table.left, table.right][:twice])
    order = np.argsort(left, kind="stable")
    row, left, factor = rows[order], left[order], np.tile(table.factor, twice)[order]
    right = np.concatenate([table.right, table.left][:twice])[order]
    place = table.component[row] * blocks + table.block[row]
    return TurnedTable(np.searchsorted(left, np.arange(components + 1)), row, place, right, factor)
