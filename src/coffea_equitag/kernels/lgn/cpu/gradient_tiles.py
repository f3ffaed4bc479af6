"""Tiles of LGN's backward pass: sums of outer products over nodes or pairs, and products of tensors added to others.

Gradients of weights are kept as one sum for each lane of a vector; lanes are added up once, in their order.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.bilinear_registers import REGISTERS, Register, lanes_of, pointers
from ...common.cpu.bilinear_tile import SMALL_VECTORS, _accumulate, _offset

__all__ = [
    "OUTER_COLUMNS",
    "OUTER_ROWS",
    "PAIR_COLUMNS",
    "PAIR_ROWS",
    "add_products",
    "complex_outer_tile",
    "outer_tile",
]

#: Of the real tile, and of the complex one.
OUTER_ROWS, OUTER_COLUMNS = 4, 4 if REGISTERS == 32 else 2
PAIR_ROWS, PAIR_COLUMNS = 2, 3 if REGISTERS == 32 else 2


@intrinsic
def outer_tile(
    typing_context: Any,
    a: Any,
    a_at: Any,
    a_stride: Any,
    a_step: Any,
    b: Any,
    b_at: Any,
    b_stride: Any,
    b_step: Any,
    depth: Any,
    sums: Any,
    sums_at: Any,
    sums_stride: Any,
) -> Any:
    """Add Σ_k a[r, k] b[q, k] to sums[r, q] lane by lane; rows are strides apart, vectors k steps."""
    n = types.intp
    signature = types.void(a, n, n, n, b, n, n, n, n, sums, n, n)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (a, a_at, a_stride, a_step, b, b_at, b_stride, b_step, depth, sums, sums_at, sums_stride) = pointers(
            context, builder, signature, arguments
        )
        lanes = lanes_of(signature.args[0].dtype.bitwidth // 8)
        a_rows = [_offset(builder, a, a_at, a_stride, r) for r in range(OUTER_ROWS)]
        b_rows = [_offset(builder, b, b_at, b_stride, q) for q in range(OUTER_COLUMNS)]
        places = [
            (_offset(builder, sums, sums_at, sums_stride, r), depth.type(q * lanes))
            for r in range(OUTER_ROWS)
            for q in range(OUTER_COLUMNS)
        ]

        def body(k: Any, carried: list[Register]) -> list[Register]:
            a_k, b_k = builder.mul(k, a_step), builder.mul(k, b_step)
            columns = [Register.load(builder, row, b_k) for row in b_rows]
            following: list[Register] = []
            for row in a_rows:
                value = Register.load(builder, row, a_k)
                for column in columns:
                    following.append(carried[len(following)].plus(value, column))
            return following

        found = _accumulate(builder, depth, [Register.load(builder, *place) for place in places], body)
        for value, place in zip(found, places, strict=True):
            value.store(*place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def complex_outer_tile(
    typing_context: Any,
    a: Any,
    a_at: Any,
    a_term: Any,
    a_row: Any,
    a_imaginary: Any,
    b: Any,
    b_at: Any,
    b_term: Any,
    b_row: Any,
    b_imaginary: Any,
    terms: Any,
    first: Any,
    last: Any,
    sums: Any,
    sums_at: Any,
    sums_row: Any,
) -> Any:
    """Add Σ a[r] b[q], complex, to sums[r, q] lane by lane, for one block of nodes.

    The sum runs over terms `first` to `last`, of which ``terms[t, 0]`` and ``terms[t, 1]`` say where a and b stand, in
    units of `a_term` and `b_term`. Sums lie as [r][q][Re, Im][lane].
    """
    n = types.intp
    signature = types.void(a, n, n, n, n, b, n, n, n, n, terms, n, n, sums, n, n)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (a, a_at, a_term, a_row, a_imaginary, b, b_at, b_term, b_row, b_imaginary, terms, first, last, sums, sums_at,
         sums_row) = pointers(context, builder, signature, arguments)  # fmt: skip
        lanes = lanes_of(8)
        index = first.type
        places = [
            (_offset(builder, sums, sums_at, sums_row, r), index((2 * q + part) * lanes))
            for r in range(PAIR_ROWS)
            for q in range(PAIR_COLUMNS)
            for part in range(2)
        ]

        def complex_at(pointer: Any, imaginary: Any, v: int) -> tuple[Register, Register]:
            place = index(v * lanes)
            return (
                Register.load(builder, pointer, place),
                Register.load(builder, pointer, builder.add(place, imaginary)),
            )

        def body(k: Any, carried: list[Register]) -> list[Register]:
            term = builder.mul(builder.add(first, k), index(2))
            a_of, b_of = (builder.load(builder.gep(terms, [builder.add(term, index(c))])) for c in range(2))
            a_rows = [
                _offset(builder, a, builder.add(a_at, builder.mul(a_of, a_term)), a_row, r) for r in range(PAIR_ROWS)
            ]
            b_rows = [
                _offset(builder, b, builder.add(b_at, builder.mul(b_of, b_term)), b_row, q) for q in range(PAIR_COLUMNS)
            ]
            for v in range(SMALL_VECTORS):
                following: list[Register] = []
                there = [complex_at(row, b_imaginary, v) for row in b_rows]
                for row in a_rows:
                    a_re, a_im = complex_at(row, a_imaginary, v)
                    for b_re, b_im in there:
                        re, im = carried[len(following) : len(following) + 2]
                        following += [re.plus(a_re, b_re).minus(a_im, b_im), im.plus(a_re, b_im).plus(a_im, b_re)]
                carried = following
            return carried

        start = [Register.load(builder, *place) for place in places]
        found = _accumulate(builder, builder.sub(last, first), start, body)
        for value, place in zip(found, places, strict=True):
            value.store(*place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_products(
    typing_context: Any,
    left: Any,
    right: Any,
    factor: Any,
    first: Any,
    last: Any,
    x: Any,
    x_at: Any,
    x_stride: Any,
    x_imaginary: Any,
    y: Any,
    y_at: Any,
    y_stride: Any,
    y_imaginary: Any,
    out: Any,
    out_at: Any,
    out_imaginary: Any,
    adds: Any,
) -> Any:
    """Set out = Σ factor x[left] y[right] over terms, complex, of `NODES` nodes; add to what is there if `adds`."""
    n = types.intp
    signature = types.void(left, right, factor, n, n, x, n, n, n, y, n, n, n, out, n, n, types.boolean)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (left, right, factor, first, last, x, x_at, x_stride, x_imaginary, y, y_at, y_stride, y_imaginary, out, out_at,
         out_imaginary, adds) = pointers(context, builder, signature, arguments)  # fmt: skip
        index, lanes = first.type, lanes_of(8)
        zero = Register.constant(builder, ir.DoubleType(), 0.0)
        places = [
            (out, builder.add(builder.add(out_at, index(v * lanes)), shift))
            for v in range(SMALL_VECTORS)
            for shift in (index(0), out_imaginary)
        ]
        start = [
            Register(builder, builder.select(adds, Register.load(builder, *place).value, zero.value))
            for place in places
        ]

        def complex_at(pointer: Any, at: Any, imaginary: Any, v: int) -> tuple[Register, Register]:
            place = builder.add(at, index(v * lanes))
            return (
                Register.load(builder, pointer, place),
                Register.load(builder, pointer, builder.add(place, imaginary)),
            )

        def body(k: Any, carried: list[Register]) -> list[Register]:
            term = builder.add(first, k)
            a, b = (builder.load(builder.gep(list_, [term])) for list_ in (left, right))
            x_term = builder.add(x_at, builder.mul(a, x_stride))
            y_term = builder.add(y_at, builder.mul(b, y_stride))
            weight = Register.spread(builder, builder.load(builder.gep(factor, [term])))
            following = []
            for v in range(SMALL_VECTORS):
                x_re, x_im = complex_at(x, x_term, x_imaginary, v)
                y_re, y_im = complex_at(y, y_term, y_imaginary, v)
                x_re, x_im = weight * x_re, weight * x_im
                re, im = carried[2 * v : 2 * v + 2]
                following += [re.plus(x_re, y_re).minus(x_im, y_im), im.plus(x_re, y_im).plus(x_im, y_re)]
            return following

        found = _accumulate(builder, builder.sub(last, first), start, body)
        for value, place in zip(found, places, strict=True):
            value.store(*place)
        return context.get_dummy_value()

    return signature, generate
