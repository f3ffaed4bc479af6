"""LGN's parameters for its CPU kernel, without the products of a tensor with itself that vanish or repeat others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ....array_types import F4, F8, I8, AnyArray
from ....layers.lgn_level import LGNLevel
from ....layers.lorentz_tensors import DIMENSION, IRREPS, dual_components
from ....layers.tensor_product import TensorProduct
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS, TALL_ROWS
from ...common.cpu.folding import double, folded
from .product_tables import PLACE, ProductTable, components, product_table
from .tuple_table import table_of

__all__ = [
    "LGNWeights",
    "LevelTables",
    "LevelWeights",
    "first_block",
    "level_tables",
    "level_weights",
    "padded_rows",
    "signed_take",
    "tables_of",
    "weights_of",
]


class LevelWeights(NamedTuple):
    """One level, in float64 but for its bells; C channels come in, C' go out, rows of matrices padded to whole tiles.

    The sources of the mixing are blocks of C channels: 0 Σ_j f⁰ F_j, 1 F_i, then Σ_j f¹ F_j ⊗ p_ij, then F_i ⊗ F_i.
    """

    channels: I8  # C, C', components that come in, that go out, and blocks
    falloff: F8  # (bells,): c²
    bells: F4  # (rows, bells + 1): 2 C real parts, then as many imaginary ones; the constant last
    diagonal: F8  # (2, 2 C): the bells of i = j, real and imaginary; power, then channel
    times_momentum: ProductTable  # F ⊗ p; blocks from 2
    squares: ProductTable  # F ⊗ F; blocks after those
    norms: ProductTable  # squared norms of the tensors that go out, for the readout
    mixing: F8  # matrices one after another
    places: I8  # (terms, 5): component out, component in, first block, K, where the matrix (2, rows, K) begins
    perceptron: F8  # matrices (rows, K), the bias last
    layers: I8  # (layers, 3): where one begins, outputs, K


class LGNWeights(NamedTuple):
    """All of an LGN; the head's columns are channels of level after level, scalars first, (Re, Im) each."""

    input: F8  # (2 C, scalars + 1), the bias last
    vectors: F8  # (C, 2): (Re, Im) weights of the momenta that go in, with `pmu_in`; else (0, 2)
    levels: tuple[LevelWeights, ...]
    table: I8  # the `table_of` levels
    head: F8
    head_bias: F8


class LevelTables(NamedTuple):
    """What does not depend on a level's parameters."""

    given: tuple[str, ...]  # tensors that come in
    out: tuple[str, ...]  # tensors that go out
    channels: I8  # as in `LevelWeights`
    times_momentum: ProductTable
    squares: ProductTable
    norms: ProductTable
    folding: dict[str, F8]  # for each matrix of the mixing (blocks here, blocks there)
    terms: tuple[tuple[str, int, int, int], ...]  # matrix, sign, component out, component in; matrix after matrix
    places: I8  # as in `LevelWeights`
    packing: I8  # indices into the folded matrices, counted from 1, negative for −1 times the number

    @property
    def key(self) -> tuple[Any, ...]:
        """The arguments of `level_tables`."""
        return self.given, self.out, tuple(self.folding), *self.channels[:2].tolist()


def weights_of(model: nn.Module) -> LGNWeights:
    """Fold an `LGN`'s parameters; cached until one of them changes."""
    return folded(model, _network)


def tables_of(model: nn.Module) -> tuple[LevelTables, ...]:
    """Tables of an `LGN`'s levels."""
    levels = zip(*(model.get_submodule(name).children() for name in ("levels", "norms")), strict=True)
    return tuple(_tables_of(level, norm) for level, norm in levels)


def level_weights(tables: LevelTables, state: Mapping[str, F8]) -> LevelWeights:
    """Fold one level's parameters."""
    channels_in, channels_out = (int(count) for count in tables.channels[:2])
    mixing = [
        folding @ state[f"mixing.weight.{name}"].reshape(2, channels_out, -1, channels_in)
        for name, folding in tables.folding.items()
    ]
    return LevelWeights(
        tables.channels,
        state["bells.c"] ** 2,
        *_bells(state, channels_in),
        tables.times_momentum,
        tables.squares,
        tables.norms,
        signed_take(np.concatenate([matrix.ravel() for matrix in mixing]), tables.packing),
        tables.places,
        *_perceptron(state),
    )


def _network(model: nn.Module) -> LGNWeights:
    state = {name: double(tensor) for name, tensor in model.state_dict().items()}
    levels = tuple(
        level_weights(tables, {name.split(".", 2)[2]: value for name, value in state.items()
                               if name.startswith(f"levels.{index}.")})
        for index, tables in enumerate(tables_of(model))
    )  # fmt: skip
    return LGNWeights(*_input(state), levels, table_of(levels), state["head.weight"], state["head.bias"])


def _input(state: Mapping[str, F8]) -> tuple[F8, F8]:
    """What acts on scalars and on momenta before the first level."""
    if "input.weight" in state:
        return np.hstack([state["input.weight"], state["input.bias"][:, None]]), np.zeros((0, 2))
    scalars = state["input.weight.s"].swapaxes(0, 1).reshape(-1, state["input.weight.s"].shape[2])
    return np.pad(scalars, ((0, 0), (0, 1))), np.ascontiguousarray(state["input.weight.v"][:, :, 0].T)


def _tables_of(level: nn.Module, norm: nn.Module) -> LevelTables:
    assert isinstance(level, LGNLevel)
    assert isinstance(norm, TensorProduct)
    channels_out, columns = level.mixing.weight["s"].shape[1:]
    channels_in = columns // len(level.sources["s"])
    given = tuple(name for name in IRREPS if any(f"own {name}" in blocks for blocks in level.sources.values()))
    return level_tables(given, level.irreps, tuple(level.mixing.weight), channels_in, channels_out)


@cache
def level_tables(
    given: tuple[str, ...], out: tuple[str, ...], kept: tuple[str, ...], channels_in: int, channels_out: int
) -> LevelTables:
    """Tables of a level with these tensors in and out, matrices of the mixing, and channels."""
    # cached, and perhaps first needed within inference_mode, whose tensors could not be used outside it
    with torch.inference_mode(mode=False), torch.no_grad():
        names = [name for name in IRREPS if name in kept]
        momenta = components(TensorProduct(given, ("v",), names), given, ("v",))
        squares = components(TensorProduct(given, given, names), given, given)
        tensors = tuple(name for name in out if name != "s")
        norms = components(TensorProduct(tensors, tensors, ("s",)), tensors, tensors)["s"] if tensors else None
    folding: dict[str, F8] = {}
    folded_squares: dict[str, F8] = {}
    for name in out:
        blocks, which = _fold(squares[name]) if name in squares else (np.zeros((0, 1, 1, 1)), np.zeros((0, 0)))
        folded_squares[name] = blocks
        before = _reordered(len(momenta.get(name, ())), name in given)
        matrix = np.zeros((len(before) + len(which), len(before) + which.shape[1]))
        matrix[: len(before), : len(before)], matrix[len(before) :, len(before) :] = before, which
        folding |= dict.fromkeys(("F", "dual") if name == "F" else (name,), matrix)
    momentum_table = product_table(momenta, dict.fromkeys(IRREPS, 2))
    square_table = product_table(folded_squares, {name: 2 + len(momenta.get(name, ())) for name in IRREPS})
    blocks_in = 1 + max(1, *momentum_table.block, *square_table.block)
    channels = np.array([channels_in, channels_out, _size(given), _size(out), blocks_in])
    tables = given, out, channels, momentum_table, square_table, _norms(norms), folding, _terms(out)
    return LevelTables(*tables, *_packing(*tables[-2:], given, channels_in, channels_out))


def _size(names: tuple[str, ...]) -> int:
    return sum(DIMENSION[name] for name in names)


def _reordered(products: int, own: bool) -> F8:
    """F_i before the products F ⊗ p, where the layers have it after them; a permutation of blocks."""
    order = [0, products + 1, *range(1, products + 1)] if own else list(range(products))
    found: F8 = np.eye(len(order))[order]
    return found


def _fold(blocks: F8) -> tuple[F8, F8]:
    """Distinct squares, and the share of each in every block: x ⊗ x has no antisymmetric part, and repeats itself."""
    kept: list[F8] = []
    shares: list[tuple[int, int, float]] = []
    for index, block in enumerate(blocks):
        square = np.triu(block + block.swapaxes(1, 2)) - np.eye(block.shape[1]) * block
        if np.abs(square).max() < 1e-12:
            continue
        for known, other in enumerate(kept):
            ratio = float((square * other).sum() / (other * other).sum())
            if np.abs(square - ratio * other).max() < 1e-12:
                shares.append((known, index, ratio))
                break
        else:
            shares.append((len(kept), index, 1.0))
            kept.append(square)
    matrix = np.zeros((len(kept), len(blocks)))
    for known, index, ratio in shares:
        matrix[known, index] = ratio
    return np.array(kept).reshape(-1, *blocks.shape[1:]), matrix


def _terms(out: tuple[str, ...]) -> tuple[tuple[str, int, int, int], ...]:
    found = []
    for name in out:
        for key in ("F", "dual") if name == "F" else (name,):
            swap = dual_components().numpy() if key == "dual" else np.eye(DIMENSION[name])
            for sign in (1, -1):
                at = np.argwhere(np.abs(swap - sign) < 1e-12)
                found += [(key, sign, PLACE[name] + int(d), PLACE[name] + int(source)) for source, d in at]
    return tuple(found)


def first_block(given: tuple[str, ...], key: str) -> int:
    """The first block of sources that a matrix of the mixing acts on."""
    return 0 if ("F" if key == "dual" else key) in given else 2


def signed_take(values: F8, index: I8) -> F8:
    """Numbers by an index that counts from 1, with its sign; 0 where it is 0."""
    found: F8 = np.concatenate([np.zeros(1), values])[np.abs(index)] * np.sign(index)
    return found


def padded_rows(matrix: AnyArray, unit: int) -> AnyArray:
    """With rows, the last axis but one, up to a multiple of a unit."""
    *outer, rows, columns = matrix.shape
    out = np.zeros((*outer, -(-rows // unit) * unit, columns), matrix.dtype)
    out[..., :rows, :] = matrix
    return out


def _packing(
    folding: dict[str, F8],
    terms: tuple[tuple[str, int, int, int], ...],
    given: tuple[str, ...],
    channels_in: int,
    channels_out: int,
) -> tuple[I8, I8]:
    """The matrices from component to component (`places`), and their numbers in the order of the tiles."""
    numbers, count = {}, 0
    for key, matrix in folding.items():
        depth = len(matrix) * channels_in
        numbers[key] = (count + 1 + np.arange(2 * channels_out * depth)).reshape(2, channels_out, depth)
        count += 2 * channels_out * depth
    packed: list[I8] = []
    starts: dict[tuple[str, int], int] = {}
    places: list[tuple[int, ...]] = []
    end = 0
    for key, sign, component, source in terms:
        if (key, sign) not in starts:
            starts[key, sign] = end
            packed.append(padded_rows(sign * numbers[key], COMPLEX_ROWS).ravel())
            end += len(packed[-1])
        places.append((component, source, first_block(given, key), numbers[key].shape[2], starts[key, sign]))
    # a component's first term starts its sum
    places.sort(key=lambda place: place[0])
    return np.array(places), np.concatenate(packed)


def _bells(state: Mapping[str, F8], channels: int) -> tuple[F4, F8]:
    a, b = state["bells.a"], state["bells.b"]
    weight, bias = (
        np.concatenate([state[f"bells.linear.{power}.{part}"].reshape(channels, 2, *shape) for power in ("s", "v")])
        for part, shape in (("weight", (-1,)), ("bias", ()))
    )
    constant = weight @ a + bias
    rows = np.concatenate([weight * b, constant[..., None]], axis=2).swapaxes(0, 1).reshape(4 * channels, -1)
    return padded_rows(rows, TALL_ROWS).astype(np.float32), np.ascontiguousarray(bias.T)


def _norms(blocks: F8 | None) -> ProductTable:
    if blocks is None:
        blocks = np.zeros((0, 1, 1, 1))
    squares = np.triu(blocks + blocks.swapaxes(2, 3)) - np.eye(blocks.shape[-1]) * blocks
    table = product_table({"s": squares}, {"s": 0})
    # components are counted among all, the scalar first
    return table._replace(terms=table.terms._replace(left=table.terms.left + 1, right=table.terms.right + 1))


def _perceptron(state: Mapping[str, F8]) -> tuple[F8, I8]:
    values: list[F8] = []
    layers: list[tuple[int, int, int]] = []
    for name in sorted((name for name in state if name.startswith("mlp.") and name.endswith("weight")),
                       key=lambda name: int(name.split(".")[1])):  # fmt: skip
        matrix = np.concatenate([state[name], state[name.replace("weight", "bias")][:, None]], axis=1)
        layers.append((sum(len(part) for part in values), *matrix.shape))
        values.append(padded_rows(matrix, SMALL_ROWS).ravel())
    return np.concatenate(values), np.array(layers)
