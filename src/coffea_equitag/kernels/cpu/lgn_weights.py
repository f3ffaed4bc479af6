"""LGN's parameters for its CPU kernel; what a square of one tensor makes twice, or not at all, folded away."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ...layers.lgn_level import LgnLevel
from ...layers.lorentz_tensors import DIMENSION, IRREPS, dual_components
from ...layers.tensor_product import TensorProduct
from .bilinear_tile import COMPLEX_ROWS, SMALL_ROWS
from .folding import double, folded
from .lgn_products import PLACE, ProductTable, components, product_table

__all__ = ["LevelWeights", "LgnWeights", "weights_of"]

_Floats = np.ndarray[Any, Any]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]


class LevelWeights(NamedTuple):
    """One level, all in float64; C channels come in, C' go out, rows of matrices padded to whole tiles.

    The mixing sees blocks of C channels: 0 the features summed over pairs, 1 themselves, then their moments with p,
    then their squares.
    """

    channels: _I8  # C, C', components that come in, that go out, and blocks
    falloff: _F8  # (bells,): c²
    bells: _F8  # (rows of 2 C real parts, then as many imaginary ones, bells + 1), constant last
    diagonal: _F8  # (2, 2 C): what i = j sees, real and imaginary; power, then channel
    moments: ProductTable  # features times momentum; blocks from 2
    squares: ProductTable  # blocks after those
    norms: ProductTable  # scalars of what comes out, for the readout
    mixing: _F8  # matrices one after another
    places: _I8  # (terms, 5): component out, component in, first block, K, where the matrix (2, rows, K) begins
    perceptron: _F8  # matrices (rows, K), the bias last
    layers: _I8  # (layers, 3): where one begins, outputs, K


class LgnWeights(NamedTuple):
    """All of an LGN; the head's columns are channels of level after level, scalars first, (Re, Im) each."""

    input: _F8  # (2 C, scalars + 1), the bias last
    levels: tuple[LevelWeights, ...]
    head: _F8
    head_bias: _F8


def weights_of(model: nn.Module) -> LgnWeights:
    """Fold an `Lgn`'s parameters; kept until one of them changes."""
    return folded(model, _network)


def _network(model: nn.Module) -> LgnWeights:
    state = {name: double(tensor) for name, tensor in model.state_dict().items()}
    levels = [
        _level(level, norm, {name.split(".", 2)[2]: value for name, value in state.items()
                             if name.startswith(f"levels.{index}.")})
        for index, (level, norm) in enumerate(zip(model.get_submodule("levels").children(),
                                                  model.get_submodule("norms").children(), strict=True))
    ]  # fmt: skip
    return LgnWeights(
        np.hstack([state["input.weight"], state["input.bias"][:, None]]),
        tuple(levels),
        state["head.weight"],
        state["head.bias"],
    )


def _level(level: nn.Module, norm: nn.Module, state: dict[str, _F8]) -> LevelWeights:
    assert isinstance(level, LgnLevel)
    assert isinstance(norm, TensorProduct)
    out = level.irreps
    kept = tuple(level.mixing.weight)
    channels_out, columns = state["mixing.weight.s"].shape[1:]
    channels_in = columns // len(level.sources["s"])
    given = _irreps_in(level)
    moments = components(level.times_momentum, given, ("v",))
    real = TensorProduct(given, given, [name for name in IRREPS if name in kept])
    squares = components(real, given, given)
    mixing = {}
    for name in kept:
        irrep = "F" if name == "dual" else name
        found = len(moments.get(irrep, ()))
        mixing[name] = _by_blocks(state[f"mixing.weight.{name}"], channels_in, found if irrep in given else None)
    folded = {name: _fold(squares[name], _square_blocks(mixing, name, given, moments)) for name in squares}
    matrices, places = _matrices(mixing, folded, given, moments, out)
    tensors = tuple(name for name in out if name != "s")
    moment_table = product_table(moments, dict.fromkeys(IRREPS, 2))
    square_table = product_table(
        {name: blocks for name, (blocks, _) in folded.items()},
        {name: 2 + len(moments.get(name, ())) for name in IRREPS},
    )
    blocks = 1 + max(1, *moment_table.block, *square_table.block)
    return LevelWeights(
        np.array([channels_in, channels_out, _size(given), _size(out), blocks]),
        state["bells.c"] ** 2,
        *_bells(state, channels_in),
        moment_table,
        square_table,
        _norms(norm, tensors),
        matrices,
        places,
        *_perceptron(state),
    )


def _size(names: tuple[str, ...]) -> int:
    return sum(DIMENSION[name] for name in names)


def _irreps_in(level: LgnLevel) -> tuple[str, ...]:
    return tuple(name for name in IRREPS if any(f"own {name}" in blocks for blocks in level.sources.values()))


def _by_blocks(weight: _F8, channels: int, moments: int | None) -> _Floats:
    """As complex numbers (C', blocks, C); the block of the features themselves moved before those of moments."""
    matrix: _Floats = (weight[0] + 1j * weight[1]).reshape(weight.shape[1], -1, channels)
    if moments is None:
        return matrix
    order = [0, moments + 1, *range(1, moments + 1), *range(moments + 2, matrix.shape[1])]
    ordered: _Floats = matrix[:, order]
    return ordered


def _square_blocks(
    mixing: dict[str, _Floats], name: str, given: tuple[str, ...], moments: dict[str, _F8]
) -> dict[str, _Floats]:
    """The mixing of squares that give this tensor, and of their duals for F."""
    first = 2 * (name in given) + len(moments.get(name, ()))
    return {key: mixing[key][:, first:] for key in (("F", "dual") if name == "F" else (name,))}


def _fold(blocks: _F8, mixing: dict[str, _Floats]) -> tuple[_F8, dict[str, _Floats]]:
    """Squares that differ, and the mixing of them: x ⊗ x has no antisymmetric part, and much of it twice."""
    kept: list[_F8] = []
    weights: dict[str, list[_Floats]] = {key: [] for key in mixing}
    for index, block in enumerate(blocks):
        square = np.triu(block + block.swapaxes(1, 2)) - np.eye(block.shape[1]) * block
        if np.abs(square).max() < 1e-12:
            continue
        for known, other in enumerate(kept):
            ratio = float((square * other).sum() / (other * other).sum())
            if np.abs(square - ratio * other).max() < 1e-12:
                for key, matrix in mixing.items():
                    weights[key][known] = weights[key][known] + ratio * matrix[:, index]
                break
        else:
            kept.append(square)
            for key, matrix in mixing.items():
                weights[key].append(matrix[:, index])
    shape = next(iter(mixing.values()))[:, :1].shape
    return (
        np.array(kept).reshape(-1, *blocks.shape[1:]),
        {
            key: np.stack(found, axis=1) if found else np.zeros((shape[0], 0, shape[2]))
            for key, found in weights.items()
        },
    )


def _matrices(
    mixing: dict[str, _Floats],
    folded: dict[str, tuple[_F8, dict[str, _Floats]]],
    given: tuple[str, ...],
    moments: dict[str, _F8],
    out: tuple[str, ...],
) -> tuple[_F8, _I8]:
    """Each tensor's matrix as the tiles want it, and which component goes where through which."""
    values: list[_F8] = []
    places: list[tuple[int, ...]] = []

    def add(matrix: _Floats) -> tuple[int, int]:
        rows = -(-len(matrix) // COMPLEX_ROWS) * COMPLEX_ROWS
        padded = np.pad(matrix, ((0, rows - len(matrix)), (0, 0)))
        values.append(np.stack([padded.real, padded.imag]).ravel())
        return padded.shape[1], sum(len(part) for part in values[:-1])

    for name in out:
        found = len(moments.get(name, ()))
        own = 2 * (name in given)
        for key in ("F", "dual") if name == "F" else (name,):
            head = mixing[key][:, : own + found]
            rows = len(head)
            squares = folded[name][1][key] if name in folded else head[:, :0]
            matrix = np.concatenate([head, squares], axis=1).reshape(rows, -1)
            swap = dual_components().numpy() if key == "dual" else np.eye(DIMENSION[name])
            for sign in (1, -1):
                at = np.argwhere(np.abs(swap - sign) < 1e-12)
                if len(at):
                    depth, start = add(sign * matrix)
                    places += [(PLACE[name] + d, PLACE[name] + source, 2 - own, depth, start) for source, d in at]
    # a component's first term starts its sum
    places.sort(key=lambda place: place[0])
    return np.concatenate(values), np.array(places)


def _bells(state: dict[str, _F8], channels: int) -> tuple[_F8, _F8]:
    a, b = state["bells.a"], state["bells.b"]
    weight, bias = (
        np.concatenate([state[f"bells.linear.{power}.{part}"].reshape(channels, 2, *shape) for power in ("s", "v")])
        for part, shape in (("weight", (-1,)), ("bias", ()))
    )
    constant = weight @ a + bias
    rows = np.concatenate([weight * b, constant[..., None]], axis=2).swapaxes(0, 1)
    padded = -(-2 * channels // SMALL_ROWS) * SMALL_ROWS
    rows = np.pad(rows, ((0, 0), (0, padded - 2 * channels), (0, 0)))
    return np.ascontiguousarray(rows), np.ascontiguousarray(bias.T)


def _norms(norm: TensorProduct, tensors: tuple[str, ...]) -> ProductTable:
    real = TensorProduct(tensors, tensors, ("s",))
    blocks = components(real, tensors, tensors)["s"] if tensors else np.zeros((0, 1, 1, 1))
    assert norm.names("s") == real.names("s")
    squares = np.triu(blocks + blocks.swapaxes(2, 3)) - np.eye(blocks.shape[-1]) * blocks
    table = product_table({"s": squares}, {"s": 0})
    # components are counted among all, the scalar first
    return table._replace(left=table.left + 1, right=table.right + 1)


def _perceptron(state: dict[str, _F8]) -> tuple[_F8, _I8]:
    values: list[_F8] = []
    layers: list[tuple[int, int, int]] = []
    for name in sorted((name for name in state if name.startswith("mlp.") and name.endswith("weight")),
                       key=lambda name: int(name.split(".")[1])):  # fmt: skip
        matrix = np.hstack([state[name], state[name.replace("weight", "bias")][:, None]])
        rows = -(-len(matrix) // SMALL_ROWS) * SMALL_ROWS
        layers.append((sum(len(part) for part in values), len(matrix), matrix.shape[1]))
        values.append(np.pad(matrix, ((0, rows - len(matrix)), (0, 0))).ravel())
    return np.concatenate(values), np.array(layers)
