"""LLVM tiles of LGN's kernels: products of tensors, copies, and sums of outer products for gradients of weights.

Complex numbers lie with their imaginary parts ``_imaginary`` numbers after the real ones. The arguments of an intrinsic
are flat: an array, where the tile's part of it begins (``_at``) and the distances in it. To make tuples of them in the
compiled code that calls would cost more compile time than the tiles themselves.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.bilinear_tile import SMALL_VECTORS
from ...common.cpu.llvm import pointers, row_at
from ...common.cpu.registers import REGISTERS, Register, accumulate, lanes_of

__all__ = [
    "LANES",
    "NODES",
    "OUTER_COLUMNS",
    "OUTER_ROWS",
    "PAIR_COLUMNS",
    "PAIR_ROWS",
    "SINGLES",
    "complex_outer_tile",
    "copy_block",
    "outer_tile",
    "sum_products",
]


#: Numbers in a register: a gradient of a weight is kept as one sum per lane, and lanes are added once, in their order.
LANES = lanes_of(8)
#: Its numbers in float32.
SINGLES = lanes_of(4)
#: Nodes worked on at once.
NODES = LANES * SMALL_VECTORS
#: Of the real tile of outer products, and of the complex one.
OUTER_ROWS, OUTER_COLUMNS = 4, 4 if REGISTERS == 32 else 2
PAIR_ROWS, PAIR_COLUMNS = 2, 3 if REGISTERS == 32 else 2


@intrinsic
def sum_products(
    typing_context: Any,
    terms: Any,
    row: Any,
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
    """Set out = Σ factor x[left] y[right] over a row of `Terms`, complex, for `NODES` nodes; `adds` to what is there.

    Components of x and of y are a stride apart.
    """
    n = types.intp
    signature = types.void(terms, n, x, n, n, n, y, n, n, n, out, n, n, types.boolean)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ((first, left, right, factor), row, x, x_at, x_stride, x_imaginary, y, y_at, y_stride, y_imaginary, out, out_at,
         out_imaginary, adds) = pointers(context, builder, signature, arguments)  # fmt: skip
        index, zero = row.type, Register.constant(builder, ir.DoubleType(), 0.0)
        begin, end = (builder.load(builder.gep(first, [builder.add(row, index(k))])) for k in range(2))
        places = [
            (out, builder.add(builder.add(out_at, index(v * LANES)), shift))
            for v in range(SMALL_VECTORS)
            for shift in (index(0), out_imaginary)
        ]
        start = [
            Register(builder, builder.select(adds, Register.load(builder, *place).value, zero.value))
            for place in places
        ]

        def body(k: Any, sums: list[Register]) -> list[Register]:
            term = builder.add(begin, k)
            a, b = (builder.load(builder.gep(side, [term])) for side in (left, right))
            x_term = builder.add(x_at, builder.mul(a, x_stride))
            y_term = builder.add(y_at, builder.mul(b, y_stride))
            weight = Register.spread(builder, builder.load(builder.gep(factor, [term])))
            following = []
            for v in range(SMALL_VECTORS):
                x_re, x_im = _complex_at(builder, x, x_term, x_imaginary, v)
                y_re, y_im = _complex_at(builder, y, y_term, y_imaginary, v)
                x_re, x_im = weight * x_re, weight * x_im
                re, im = sums[2 * v : 2 * v + 2]
                following += [re.plus(x_re, y_re).minus(x_im, y_im), im.plus(x_re, y_im).plus(x_im, y_re)]
            return following

        _store(accumulate(builder, builder.sub(end, begin), start, body), places)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def copy_block(typing_context: Any, source: Any, source_at: Any, out: Any, out_at: Any, minus: Any) -> Any:
    """Copy the numbers of `NODES` nodes, to another precision if need be; with the other sign if `minus`."""
    signature = types.void(source, types.intp, out, types.intp, types.boolean)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, source_at, out, out_at, minus = pointers(context, builder, signature, arguments)
        kinds = [ir.VectorType(pointer.type.pointee, LANES) for pointer in (source, out)]
        places = [(source, source_at, kinds[0]), (out, out_at, kinds[1])]
        for v in range(SMALL_VECTORS):
            read, write = (
                builder.bitcast(builder.gep(pointer, [builder.add(at, at.type(v * LANES))]), kind.as_pointer())
                for pointer, at, kind in places
            )
            value = builder.load(read, align=4)
            if kinds[0] != kinds[1]:
                convert = builder.fptrunc if kinds[0].element == ir.DoubleType() else builder.fpext
                value = convert(value, kinds[1])
            builder.store(builder.select(minus, builder.fneg(value), value), write, align=4)
        return context.get_dummy_value()

    return signature, generate


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
        a_rows = [row_at(builder, a, a_at, a_stride, r) for r in range(OUTER_ROWS)]
        b_rows = [row_at(builder, b, b_at, b_stride, q) for q in range(OUTER_COLUMNS)]
        places = [
            (row_at(builder, sums, sums_at, sums_stride, r), depth.type(q * lanes))
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

        _store(accumulate(builder, depth, [Register.load(builder, *place) for place in places], body), places)
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
        index = first.type
        places = [
            (row_at(builder, sums, sums_at, sums_row, r), index((2 * q + part) * LANES))
            for r in range(PAIR_ROWS)
            for q in range(PAIR_COLUMNS)
            for part in range(2)
        ]

        def rows(pointer: Any, at: Any, term: Any, distance: Any, stride: Any, count: int) -> list[Any]:
            begin = builder.add(at, builder.mul(term, distance))
            return [row_at(builder, pointer, begin, stride, row) for row in range(count)]

        def body(k: Any, carried: list[Register]) -> list[Register]:
            term = builder.mul(builder.add(first, k), index(2))
            a_of, b_of = (builder.load(builder.gep(terms, [builder.add(term, index(c))])) for c in range(2))
            a_rows = rows(a, a_at, a_of, a_term, a_row, PAIR_ROWS)
            b_rows = rows(b, b_at, b_of, b_term, b_row, PAIR_COLUMNS)
            for v in range(SMALL_VECTORS):
                following: list[Register] = []
                columns = [_complex_at(builder, row, index(0), b_imaginary, v) for row in b_rows]
                for row in a_rows:
                    a_re, a_im = _complex_at(builder, row, index(0), a_imaginary, v)
                    for b_re, b_im in columns:
                        re, im = carried[len(following) : len(following) + 2]
                        following += [re.plus(a_re, b_re).minus(a_im, b_im), im.plus(a_re, b_im).plus(a_im, b_re)]
                carried = following
            return carried

        start = [Register.load(builder, *place) for place in places]
        _store(accumulate(builder, builder.sub(last, first), start, body), places)
        return context.get_dummy_value()

    return signature, generate


def _complex_at(builder: Any, pointer: Any, at: Any, imaginary: Any, vector: int) -> tuple[Register, Register]:
    """(Re, Im) of the nodes in one register."""
    place = builder.add(at, at.type(vector * LANES))
    return Register.load(builder, pointer, place), Register.load(builder, pointer, builder.add(place, imaginary))


def _store(values: list[Register], places: list[tuple[Any, Any]]) -> None:
    for value, place in zip(values, places, strict=True):
        value.store(*place)
