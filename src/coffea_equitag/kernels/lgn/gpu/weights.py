"""LGN's parameters for its GPU kernels, from the CPU's, in which products that vanish or repeat are left out."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ....array_types import AnyArray
from ...common.cpu.bilinear_tile import COMPLEX_ROWS
from ..cpu.product_tables import ProductTable
from ..cpu.product_tables import Terms as HostTerms
from ..cpu.weights import LevelWeights, weights_of

__all__ = ["Bells", "LGNTables", "Level", "Terms", "fold"]


class Terms(NamedTuple):
    """Components as sums of products, see `products_kernel`."""

    first: Tensor
    left: Tensor
    right: Tensor
    factor: Tensor


class Bells(NamedTuple):
    """Parameters of the bells, see `pair_sums_kernel`."""

    weights: Tensor
    constants: Tensor


class Level(NamedTuple):
    """One level.

    The planes of a channel are: the `components` of F, the `products` F ⊗ p, Σ_j f⁰ F_j, Σ_j f¹ F_j, Σ_j f¹ F_j ⊗ p_j.
    """

    channels: int
    channels_out: int
    components: int
    components_out: int
    products: int
    bells: Bells
    times_momentum: Terms
    rows: Tensor
    terms: Terms
    weight: Tensor
    norms: Terms
    perceptron: tuple[tuple[Tensor, Tensor], ...]

    @property
    def planes(self) -> int:
        """Planes of a channel."""
        return 3 * self.components + 2 * self.products


class LGNTables(NamedTuple):
    """All of an LGN in float64, layers as matrices (inputs, outputs) and biases."""

    input: tuple[Tensor, Tensor]
    vectors: Tensor  # (C, 2): (Re, Im) weights of the momenta that go in, or (0, 2)
    levels: tuple[Level, ...]
    head: tuple[Tensor, Tensor]


def fold(model: nn.Module) -> LGNTables:
    """Tables on the network's device."""
    device = next(model.parameters()).device
    weights = weights_of(copy.deepcopy(model).cpu())

    def layer(matrix: AnyArray) -> tuple[Tensor, Tensor]:
        values = torch.tensor(matrix, dtype=torch.float64, device=device)
        return values[:, :-1].T.contiguous(), values[:, -1].contiguous()

    head = np.hstack([weights.head, weights.head_bias[:, None]])
    return LGNTables(
        layer(weights.input),
        torch.tensor(weights.vectors, dtype=torch.float64, device=device),
        tuple(_level(level, layer, device) for level in weights.levels),
        layer(head),
    )


def _level(weights: LevelWeights, layer: Any, device: torch.device) -> Level:
    channels, channels_out, components, components_out, _ = (int(number) for number in weights.channels)
    count = weights.bells.shape[1] - 1
    # (part, power, channel, bell) -> (channel, bell, power, part)
    parts = weights.bells[: 4 * channels].reshape(2, 2, channels, count + 1)
    bells = parts.transpose(2, 3, 1, 0).reshape(channels, count + 1, 4)
    falloff = np.broadcast_to(weights.falloff[None, :, None], (channels, count, 1))
    own = weights.diagonal.reshape(2, 2, channels).transpose(2, 1, 0).reshape(channels, 4)

    def floats(values: AnyArray, kind: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor(np.ascontiguousarray(values), dtype=kind, device=device)

    rows, terms, weight = _mixing(weights)
    return Level(
        channels,
        channels_out,
        components,
        components_out,
        len(weights.times_momentum.component),
        Bells(
            floats(np.concatenate([falloff, bells[:, :count]], axis=2)),
            floats(np.stack([bells[:, count], own], axis=1)),
        ),
        _terms(weights.times_momentum.terms, device),
        torch.tensor(rows, dtype=torch.int32, device=device),
        _terms(terms, device),
        floats(weight, torch.float64),
        _terms(weights.norms.terms, device),
        tuple(
            layer(weights.perceptron[start : start + outputs * depth].reshape(outputs, depth))
            for start, outputs, depth in weights.layers
        ),
    )


def _terms(terms: HostTerms, device: torch.device) -> Terms:
    first, left, right = (torch.tensor(values, dtype=torch.int32, device=device) for values in terms[:3])
    return Terms(first, left, right, torch.tensor(terms.factor, dtype=torch.float64, device=device))


def _mixing(weights: LevelWeights) -> tuple[AnyArray, HostTerms, AnyArray]:
    """Rows of each component that comes out, their terms, and their weights (rows, C, 2, OUT)."""
    channels, channels_out, components, components_out, _ = (int(number) for number in weights.channels)
    padded = -(-channels_out // COMPLEX_ROWS) * COMPLEX_ROWS
    products = len(weights.times_momentum.component)
    f0_sums = components + products
    f1_sums, f1_p_sums = f0_sums + components, f0_sums + 2 * components
    # the second factor is (p, 1): a plane by itself is multiplied by the latter
    one = 4
    bounds: list[tuple[int, int, int]] = []
    terms: list[AnyArray] = []
    matrices: list[AnyArray] = []
    for component in range(components_out):
        real: list[tuple[AnyArray, AnyArray]] = []
        squares: list[tuple[AnyArray, AnyArray]] = []

        def linear(plane: int, matrix: AnyArray, rows: list[tuple[AnyArray, AnyArray]] = real) -> None:
            rows.append((np.array([[plane, one, 1.0]]), matrix))

        for _, source, first, depth, start in weights.places[weights.places[:, 0] == component]:
            values = weights.mixing[start : start + 2 * padded * depth].reshape(2, padded, -1, channels)
            for block, matrix in enumerate(values[:, :channels_out].transpose(2, 3, 0, 1), start=first):
                if block < 2:
                    linear(source if block else f0_sums + source, matrix)
                elif (row := _row(weights.times_momentum, source, block)) is not None:
                    linear(f1_p_sums + row, -matrix)
                    real.append((_terms_of(weights.times_momentum, row, f1_sums), matrix))
                elif (row := _row(weights.squares, source, block)) is not None:
                    squares.append((_terms_of(weights.squares, row, 0), matrix))
        bounds.append((len(terms), len(terms) + len(real), len(terms) + len(real) + len(squares)))
        for term, matrix in real + squares:
            terms.append(term)
            matrices.append(matrix)
    listed = np.concatenate(terms)
    ends = np.cumsum([0, *map(len, terms)])
    stacked = np.stack(matrices)
    out = 1 << (channels_out - 1).bit_length()
    return (
        np.array(bounds),
        HostTerms(ends, listed[:, 0], listed[:, 1], listed[:, 2]),
        np.pad(stacked, ((0, 0), (0, 0), (0, 0), (0, out - channels_out))),
    )


def _row(table: ProductTable, component: int, block: int) -> int | None:
    found = np.nonzero((table.component == component) & (table.block == block))[0]
    return int(found[0]) if len(found) else None


def _terms_of(table: ProductTable, row: int, shift: int) -> AnyArray:
    """A row's terms (left, right, factor), the left ones counted from `shift`."""
    terms = table.terms
    of_row = slice(terms.first[row], terms.first[row + 1])
    return np.stack([terms.left[of_row] + shift, terms.right[of_row], terms.factor[of_row]], axis=1)
