"""Products of matrices whose C columns are worked on in two parts, A and B: C need not be a power of 2."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.tf32_split import halves, product_of_halves

__all__ = ["add_layer", "add_outer", "store_parts"]


@triton.jit
def add_layer(
    x_a: tl.tensor,
    x_b: tl.tensor,
    matrix: tl.tensor,
    total_a: tl.tensor,
    total_b: tl.tensor,
    A: tl.constexpr,
    B: tl.constexpr,
    PRECISION: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """The sum total + x · matrix, (A + B) × (A + B), of rows in two parts."""
    high, low = halves(x_a, PRECISION)
    total_a = product_of_halves(high, low, *halves(_part(matrix, 0, 0, A, A, A + B), PRECISION), total_a, PRECISION)
    total_b = product_of_halves(high, low, *halves(_part(matrix, 0, A, A, B, A + B), PRECISION), total_b, PRECISION)
    high, low = halves(x_b, PRECISION)
    total_a = product_of_halves(high, low, *halves(_part(matrix, A, 0, B, A, A + B), PRECISION), total_a, PRECISION)
    total_b = product_of_halves(high, low, *halves(_part(matrix, A, A, B, B, A + B), PRECISION), total_b, PRECISION)
    return total_a, total_b


@triton.jit
def add_outer(
    x_a: tl.tensor,
    x_b: tl.tensor,
    y_a: tl.tensor,
    y_b: tl.tensor,
    total_aa: tl.tensor,
    total_ab: tl.tensor,
    total_ba: tl.tensor,
    total_bb: tl.tensor,
    WIDE: tl.constexpr,
    PRECISION: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """The sum total + xᵀ · y in four parts, of which `ba` is transposed and `bb` has WIDE rows for one: see there."""
    high_a, low_a = halves(x_a, PRECISION)
    high_b, low_b = halves(x_b, PRECISION)
    high, low = halves(y_a, PRECISION)
    total_aa = product_of_halves(tl.trans(high_a), tl.trans(low_a), high, low, total_aa, PRECISION)
    total_ba = product_of_halves(tl.trans(high), tl.trans(low), high_b, low_b, total_ba, PRECISION)
    high, low = halves(y_b, PRECISION)
    total_ab = product_of_halves(tl.trans(high_a), tl.trans(low_a), high, low, total_ab, PRECISION)
    high_b, low_b = tl.trans(_spaced(high_b, WIDE)), tl.trans(_spaced(low_b, WIDE))
    total_bb = product_of_halves(high_b, low_b, high, low, total_bb, PRECISION)
    return total_aa, total_ab, total_ba, total_bb


@triton.jit
def _spaced(x: tl.tensor, WIDE: tl.constexpr) -> tl.tensor:
    """Columns, each followed by WIDE − 1 of zeros; WIDE is 1, 2 or 4."""
    if WIDE >= 2:
        x = tl.reshape(tl.join(x, tl.zeros_like(x)), (x.shape[0], 2 * x.shape[1]))
    if WIDE == 4:
        x = tl.reshape(tl.join(x, tl.zeros_like(x)), (x.shape[0], 2 * x.shape[1]))
    return x


@triton.jit
def _part(
    matrix: tl.tensor,
    row: tl.constexpr,
    column: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    C: tl.constexpr,
) -> tl.tensor:
    """Some rows and columns of a matrix of C columns."""
    rows, columns = row + tl.arange(0, ROWS), column + tl.arange(0, COLUMNS)
    return tl.load(matrix + rows[:, None] * C + columns[None, :])


@triton.jit
def store_parts(
    matrix: tl.tensor,
    aa: tl.tensor,
    ab: tl.tensor,
    ba: tl.tensor,
    bb: tl.tensor,
    A: tl.constexpr,
    B: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    """A matrix from its four parts, of which `ba` is transposed and `bb` has rows of zeros in between."""
    C: tl.constexpr = A + B
    a, b = tl.arange(0, A), A + tl.arange(0, B)
    tl.store(matrix + a[:, None] * C + a[None, :], aa)
    tl.store(matrix + a[:, None] * C + b[None, :], ab)
    tl.store(matrix + b[None, :] * C + a[:, None], ba)
    row = tl.arange(0, B * WIDE)[:, None]
    tl.store(matrix + (A + row // WIDE) * C + b[None, :], bb, mask=row % WIDE == 0)
