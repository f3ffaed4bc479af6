"""Activated products of scalars, vectors and tensors in registers: the end of a layer of a Tensor PFN.

Features lie as [plane][row][feature]: plane 0 scalars; 1 to 3 x, y, z of vectors; 4 to 12 of tensors zz, zx, zy, xz, yz
and xx + yy, yx − xy, xx − yy, xy + yx, which turn about z as complex numbers do (see `so2_linear`). A row holds 2F of
them, halves a and b, which give 3F products: thirds of F each, two thirds without tensors.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["plane", "scalars", "tensors", "vectors"]


@triton.jit
def plane(
    x: tl.tensor, index: tl.constexpr, row: tl.tensor, k: tl.tensor, rows: tl.tensor, WIDTH: tl.constexpr
) -> tl.tensor:
    """Some features of some rows of one plane, 0 beyond the rows."""
    start = x + (index * rows).to(tl.int64) * WIDTH
    return tl.load(start + row[:, None] * WIDTH + k[None, :], mask=(row < rows)[:, None], other=0.0)


@triton.jit
def scalars(
    x: tl.tensor,
    row: tl.tensor,
    f: tl.tensor,
    rows: tl.tensor,
    THIRD: tl.constexpr,
    F: tl.constexpr,
    LOGARITHMIC: tl.constexpr,
) -> tl.tensor:
    """ReLU of s_a s_b, v_a·v_b or tr(T_aᵀ T_b); with LOGARITHMIC 1 + log x beyond 1."""
    if THIRD == 0:
        total = _squares(x, row, f, rows, 0, 1, F)
    elif THIRD == 1:
        total = _squares(x, row, f, rows, 1, 4, F)
    else:
        total = _squares(x, row, f, rows, 4, 9, F) + 0.5 * _squares(x, row, f, rows, 9, 13, F)
    total = tl.where(total < 0, 0.0, total)
    if LOGARITHMIC:
        total = tl.where(total > 1, 1.0 + tl.log(tl.where(total > 1, total, 1.0)), total)
    return total


@triton.jit
def vectors(
    x: tl.tensor, row: tl.tensor, f: tl.tensor, rows: tl.tensor, THIRD: tl.constexpr, F: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """s_a v_b, v_a × v_b or T_a v_b, none longer than 1."""
    b_x, b_y, b_z = _vector(x, row, F + f, rows, 2 * F)
    if THIRD == 0:
        s = plane(x, 0, row, f, rows, 2 * F)
        v_x, v_y, v_z = s * b_x, s * b_y, s * b_z
    elif THIRD == 1:
        a_x, a_y, a_z = _vector(x, row, f, rows, 2 * F)
        v_x, v_y, v_z = a_y * b_z - a_z * b_y, a_z * b_x - a_x * b_z, a_x * b_y - a_y * b_x
    else:
        xx, xy, xz, yx, yy, yz, zx, zy, zz = _tensor(x, row, f, rows, 2 * F)
        v_x = xx * b_x + xy * b_y + xz * b_z
        v_y = yx * b_x + yy * b_y + yz * b_z
        v_z = zx * b_x + zy * b_y + zz * b_z
    cut = _cut(v_x * v_x + v_y * v_y + v_z * v_z)
    return v_x * cut, v_y * cut, v_z * cut


@triton.jit
def tensors(
    x: tl.tensor, row: tl.tensor, f: tl.tensor, rows: tl.tensor, THIRD: tl.constexpr, F: tl.constexpr
) -> tuple[tl.tensor, ...]:
    """The nine planes of s_a T_b, v_a ⊗ v_b or T_a T_b; of norm 1 at most."""
    if THIRD == 1:
        a_x, a_y, a_z = _vector(x, row, f, rows, 2 * F)
        b_x, b_y, b_z = _vector(x, row, F + f, rows, 2 * F)
        xx, xy, xz = a_x * b_x, a_x * b_y, a_x * b_z
        yx, yy, yz = a_y * b_x, a_y * b_y, a_y * b_z
        zx, zy, zz = a_z * b_x, a_z * b_y, a_z * b_z
    else:
        b_xx, b_xy, b_xz, b_yx, b_yy, b_yz, b_zx, b_zy, b_zz = _tensor(x, row, F + f, rows, 2 * F)
        if THIRD == 0:
            s = plane(x, 0, row, f, rows, 2 * F)
            xx, xy, xz = s * b_xx, s * b_xy, s * b_xz
            yx, yy, yz = s * b_yx, s * b_yy, s * b_yz
            zx, zy, zz = s * b_zx, s * b_zy, s * b_zz
        else:
            a_xx, a_xy, a_xz, a_yx, a_yy, a_yz, a_zx, a_zy, a_zz = _tensor(x, row, f, rows, 2 * F)
            xx = a_xx * b_xx + a_xy * b_yx + a_xz * b_zx
            xy = a_xx * b_xy + a_xy * b_yy + a_xz * b_zy
            xz = a_xx * b_xz + a_xy * b_yz + a_xz * b_zz
            yx = a_yx * b_xx + a_yy * b_yx + a_yz * b_zx
            yy = a_yx * b_xy + a_yy * b_yy + a_yz * b_zy
            yz = a_yx * b_xz + a_yy * b_yz + a_yz * b_zz
            zx = a_zx * b_xx + a_zy * b_yx + a_zz * b_zx
            zy = a_zx * b_xy + a_zy * b_yy + a_zz * b_zy
            zz = a_zx * b_xz + a_zy * b_yz + a_zz * b_zz
    square = xx * xx + xy * xy + xz * xz
    square += yx * yx + yy * yy + yz * yz
    square += zx * zx + zy * zy + zz * zz
    cut = _cut(square)
    xx, xy, yx, yy = xx * cut, xy * cut, yx * cut, yy * cut
    return zz * cut, zx * cut, zy * cut, xz * cut, yz * cut, xx + yy, yx - xy, xx - yy, xy + yx


@triton.jit
def _cut(square: tl.tensor) -> tl.tensor:
    """What makes a length 1 if it is more, from its square; NaN stays."""
    return tl.rsqrt(tl.where(square < 1, 1.0, square))


@triton.jit
def _vector(
    x: tl.tensor, row: tl.tensor, k: tl.tensor, rows: tl.tensor, WIDTH: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    return plane(x, 1, row, k, rows, WIDTH), plane(x, 2, row, k, rows, WIDTH), plane(x, 3, row, k, rows, WIDTH)


@triton.jit
def _tensor(x: tl.tensor, row: tl.tensor, k: tl.tensor, rows: tl.tensor, WIDTH: tl.constexpr) -> tuple[tl.tensor, ...]:
    """The nine components, row by row."""
    zz, zx, zy = (
        plane(x, 4, row, k, rows, WIDTH),
        plane(x, 5, row, k, rows, WIDTH),
        plane(x, 6, row, k, rows, WIDTH),
    )
    xz, yz = plane(x, 7, row, k, rows, WIDTH), plane(x, 8, row, k, rows, WIDTH)
    even, odd = 0.5 * plane(x, 9, row, k, rows, WIDTH), 0.5 * plane(x, 10, row, k, rows, WIDTH)
    plus, cross = 0.5 * plane(x, 11, row, k, rows, WIDTH), 0.5 * plane(x, 12, row, k, rows, WIDTH)
    return even + plus, cross - odd, xz, cross + odd, even - plus, yz, zx, zy, zz


@triton.jit
def _squares(
    x: tl.tensor,
    row: tl.tensor,
    f: tl.tensor,
    rows: tl.tensor,
    FIRST: tl.constexpr,
    LAST: tl.constexpr,
    F: tl.constexpr,
) -> tl.tensor:
    """Σ x_a x_b over some planes."""
    total = plane(x, FIRST, row, f, rows, 2 * F) * plane(x, FIRST, row, F + f, rows, 2 * F)
    for index in tl.static_range(FIRST + 1, LAST):
        total += plane(x, index, row, f, rows, 2 * F) * plane(x, index, row, F + f, rows, 2 * F)
    return total
