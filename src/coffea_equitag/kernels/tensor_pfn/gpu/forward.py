"""A layer of a Vector or Tensor PFN from the products before it to its linear maps; and sums of the last products.

A layer is stored as the outputs of its linear maps, 2F features; the 3F products of these are computed in registers
where they are needed, as the left side of the next matrix products or as the terms of the sum over a jet.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import product
from .bilinear import plane, scalars, tensors, vectors
from .weights import Maps

__all__ = ["GROUPS", "layer_kernel", "sums_kernel"]

#: Matrices of one program, one real and one complex (-1: none): on scalars and on vectors; on tensors.
GROUPS = ((0, -1), (3, 1)), ((4, 5), (-1, 7), (-1, 9), (-1, 11))


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def layer_kernel(
    x: tl.tensor,
    maps: Maps,
    counts: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    GROUP: tl.constexpr,
    PRODUCTS: tl.constexpr,
    THIRDS: tl.constexpr,
    COUNTED: tl.constexpr,
    LOGARITHMIC: tl.constexpr,
    WIDTH: tl.constexpr,
    F: tl.constexpr,
    PRECISION: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Some outputs of some of a layer's matrices, for some rows; float32, or float64 throughout.

    Parameters
    ----------
    x : (planes, rows, 2 WIDTH), or (planes, rows, WIDTH) without PRODUCTS
        Outputs of the maps of the layer before; or features themselves.
    maps : Maps
        weight (13, K, 2F): matrices, inputs first, of K = THIRDS · WIDTH products. Each acts on the plane of its
        number, or, (Re, Im), on two planes as a complex number: x + iy of vectors, zx + i zy and so on of tensors.
        bias (2, 13, 2F): with COUNTED the first, times `counts` (rows,), is added as well as the second.
    out : (planes, rows, 2F)
        Outputs of the maps.
    GROUP
        One of `GROUPS`.
    TILE
        Rows, outputs, and inputs multiplied at once, a divisor of WIDTH.
    """
    REAL: tl.constexpr = GROUP[0]
    COMPLEX: tl.constexpr = GROUP[1]
    ROWS: tl.constexpr = TILE[0]
    OUT: tl.constexpr = TILE[1]
    DEPTH: tl.constexpr = TILE[2]
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    o = tl.program_id(1) * OUT + tl.arange(0, OUT)
    count = tl.zeros((ROWS,), x.dtype.element_ty)
    if COUNTED:
        count = tl.load(counts + row, mask=row < rows, other=0.0)
    STEPS: tl.constexpr = THIRDS if PRODUCTS else 1
    K: tl.constexpr = STEPS * WIDTH
    zeros = tl.zeros((ROWS, OUT), x.dtype.element_ty)
    # a matrix that a group lacks is neither used nor compiled
    y = _start(maps.bias, count, REAL, o, COUNTED, F) if REAL >= 0 else zeros
    re = _start(maps.bias, count, COMPLEX, o, COUNTED, F) if COMPLEX >= 0 else zeros
    im = _start(maps.bias, count, COMPLEX + 1, o, COUNTED, F) if COMPLEX >= 0 else zeros
    for third in tl.static_range(STEPS):
        for first in range(0, WIDTH, DEPTH):
            f = first + tl.arange(0, DEPTH)
            k = third * WIDTH + f
            if PRODUCTS:
                a, a_re, a_im = _products(x, row, f, rows, third, REAL, COMPLEX, LOGARITHMIC, WIDTH)
            else:
                a = plane(x, max(REAL, 0), row, f, rows, WIDTH)
                a_re = plane(x, max(COMPLEX, 0), row, f, rows, WIDTH)
                a_im = plane(x, max(COMPLEX, 0) + 1, row, f, rows, WIDTH)
            if REAL >= 0:
                y = product(a, _matrix(maps.weight, REAL, k, o, K, F), y, PRECISION)
            if COMPLEX >= 0:
                w_re, w_im = _matrix(maps.weight, COMPLEX, k, o, K, F), _matrix(maps.weight, COMPLEX + 1, k, o, K, F)
                re = product(-a_im, w_im, product(a_re, w_re, re, PRECISION), PRECISION)
                im = product(a_im, w_re, product(a_re, w_im, im, PRECISION), PRECISION)
    if REAL >= 0:
        _store(out, REAL, y, row, o, rows, F)
    if COMPLEX >= 0:
        _store(out, COMPLEX, re, row, o, rows, F)
        _store(out, COMPLEX + 1, im, row, o, rows, F)


@triton.jit
def _products(
    x: tl.tensor,
    row: tl.tensor,
    f: tl.tensor,
    rows: tl.tensor,
    THIRD: tl.constexpr,
    REAL: tl.constexpr,
    COMPLEX: tl.constexpr,
    LOGARITHMIC: tl.constexpr,
    F: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """The planes of products that a group of matrices acts on."""
    if REAL == 0:
        s = scalars(x, row, f, rows, THIRD, F, LOGARITHMIC)
        return s, s, s
    elif REAL == 3:  # noqa: RET505 (without it, Triton would compile the code after the if too)
        v_x, v_y, v_z = vectors(x, row, f, rows, THIRD, F)
        return v_z, v_x, v_y
    else:
        zz, zx, zy, xz, yz, even, odd, plus, cross = tensors(x, row, f, rows, THIRD, F)
        if COMPLEX == 5:
            re, im = zx, zy
        elif COMPLEX == 7:
            re, im = xz, yz
        elif COMPLEX == 9:
            re, im = even, odd
        else:
            re, im = plus, cross
        return zz, re, im


@triton.jit(do_not_specialize=["rows", "jets"])
def sums_kernel(
    x: tl.tensor,
    offsets: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    jets: tl.tensor,
    THIRDS: tl.constexpr,
    LOGARITHMIC: tl.constexpr,
    F: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Products summed over the rows of a jet, in float64; WIDTH features of each third.

    Parameters
    ----------
    x : (planes, rows, 2F)
        Outputs of a layer's maps.
    offsets : (jets + 1,)
        Where the rows of each jet begin.
    out : (planes, jets, THIRDS · F), float64
        The sums.
    """
    jet = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    begin, end = tl.load(offsets + jet), tl.load(offsets + jet + 1)
    zero = tl.zeros((WIDTH,), tl.float64)
    for third in tl.static_range(THIRDS):
        place = out + jet * (THIRDS * F) + third * F + f
        size = (jets * (THIRDS * F)).to(tl.int64)
        s, v_x, v_y, v_z = zero, zero, zero, zero
        for first in range(begin, end, ROWS):
            row = first + tl.arange(0, ROWS)
            real = (row < end)[:, None]
            s += _total(scalars(x, row, f, rows, third, F, LOGARITHMIC), real)
            x_, y_, z_ = vectors(x, row, f, rows, third, F)
            v_x += _total(x_, real)
            v_y += _total(y_, real)
            v_z += _total(z_, real)
        tl.store(place, s)
        tl.store(place + size, v_x)
        tl.store(place + 2 * size, v_y)
        tl.store(place + 3 * size, v_z)
        if THIRDS == 3:
            zz, zx, zy, xz, yz, even, odd, plus, cross = zero, zero, zero, zero, zero, zero, zero, zero, zero
            for first in range(begin, end, ROWS):
                row = first + tl.arange(0, ROWS)
                real = (row < end)[:, None]
                zz_, zx_, zy_, xz_, yz_, even_, odd_, plus_, cross_ = tensors(x, row, f, rows, third, F)
                zz += _total(zz_, real)
                zx += _total(zx_, real)
                zy += _total(zy_, real)
                xz += _total(xz_, real)
                yz += _total(yz_, real)
                even += _total(even_, real)
                odd += _total(odd_, real)
                plus += _total(plus_, real)
                cross += _total(cross_, real)
            tl.store(place + 4 * size, zz)
            tl.store(place + 5 * size, zx)
            tl.store(place + 6 * size, zy)
            tl.store(place + 7 * size, xz)
            tl.store(place + 8 * size, yz)
            tl.store(place + 9 * size, even)
            tl.store(place + 10 * size, odd)
            tl.store(place + 11 * size, plus)
            tl.store(place + 12 * size, cross)


@triton.jit
def _total(values: tl.tensor, real: tl.tensor) -> tl.tensor:
    """Sum over rows, those of other jets left out."""
    return tl.sum(tl.where(real, values, 0.0).to(tl.float64), axis=0)


@triton.jit
def _start(
    bias: tl.tensor, count: tl.tensor, index: tl.constexpr, o: tl.tensor, COUNTED: tl.constexpr, F: tl.constexpr
) -> tl.tensor:
    """The biases that a matrix product is added to."""
    total = tl.load(bias + (13 + index) * 2 * F + o)[None, :] + tl.zeros_like(count)[:, None]
    if COUNTED:
        total += count[:, None] * tl.load(bias + index * 2 * F + o)[None, :]
    return total


@triton.jit
def _matrix(
    weight: tl.tensor, index: tl.constexpr, k: tl.tensor, o: tl.tensor, K: tl.constexpr, F: tl.constexpr
) -> tl.tensor:
    """Some rows and columns of one of a layer's matrices."""
    return tl.load(weight + (index * K + k)[:, None] * (2 * F) + o[None, :])


@triton.jit
def _store(
    out: tl.tensor,
    index: tl.constexpr,
    values: tl.tensor,
    row: tl.tensor,
    o: tl.tensor,
    rows: tl.tensor,
    F: tl.constexpr,
) -> None:
    """Some outputs of some rows of one plane."""
    place = out + (index * rows).to(tl.int64) * (2 * F) + row[:, None] * (2 * F) + o[None, :]
    tl.store(place, values, mask=(row < rows)[:, None])
