"""Tiles of real and complex matrix products in registers, in float32 or float64.

A tile is some rows of x times a block of columns of w. Each number of the result is summed over k in the same order
whatever stands beside it, so it depends neither on its place in a tile nor on how many rows there are.

The intrinsics' arguments are flat, and many: numba hands each to LLVM as one value, an address or a number.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from .llvm import bytes_of, pointers, row_at
from .registers import REGISTERS, Register, accumulate, lanes_of
from .vector_rows import Lanes

__all__ = [
    "COMPLEX_ROWS",
    "COMPLEX_VECTORS",
    "REAL_VECTORS",
    "ROWS",
    "SMALL_ROWS",
    "SMALL_VECTORS",
    "TALL_ROWS",
    "complex_tile",
    "real_tile",
    "small_real_tile",
    "tall_real_tile",
]

#: Rows of a tile, and vectors across a block of columns: their sums fill the registers.
ROWS, REAL_VECTORS = 6, 4 if REGISTERS == 32 else 2
COMPLEX_ROWS, COMPLEX_VECTORS = 3, 2 if REGISTERS == 32 else 1
#: Of the tile for few rows.
SMALL_ROWS, SMALL_VECTORS = 4, COMPLEX_VECTORS
#: Of the tile for one vector: as many sums as two units of fused multiply-adds keep under way.
TALL_ROWS = 8


def _real_of(rows: int, vectors: int) -> Any:
    @intrinsic
    def tile(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_stride: Any,
        x_step: Any,
        depth: Any,
        w: Any,
        w_at: Any,
        w_stride: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
        adds: Any,
    ) -> Any:
        """out[r, :] = Σ_k x[r, k] w[k, :] for one tile; `adds` to what is there if true.

        Arrays are contiguous, x and w of one dtype, out of theirs or float64; an ``_at`` is where the tile's part of an
        array begins, a ``_stride`` the numbers from row to row, `x_step` those from k to k.
        """
        n = types.intp
        signature = types.void(x, n, n, n, n, w, n, n, out, n, n, types.boolean)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, x_at, x_stride, x_step, depth, w, w_at, w_stride, out, out_at, out_stride, adds = pointers(
                context, builder, signature, arguments
            )
            kind = x.type.pointee
            lanes = Lanes(builder, [lanes_of(bytes_of(kind))] * vectors, kind)
            x_rows = [row_at(builder, x, x_at, x_stride, r) for r in range(rows)]
            sums = lanes.multiply_add([lanes.zeros()] * rows, x_rows, x_step, builder.gep(w, [w_at]), w_stride, depth)
            written = Lanes(builder, lanes.widths, out.type.pointee)
            for r, found in enumerate(sums):
                row = found if out.type == x.type else lanes.widened(found)
                out_row = row_at(builder, out, out_at, out_stride, r)
                added = written.add(written.load(out_row), row)
                written.store([builder.select(adds, a, b) for a, b in zip(added, row, strict=True)], out_row)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _complex_of(rows: int, vectors: int) -> Any:
    @intrinsic
    def tile(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_stride: Any,
        x_step: Any,
        x_imaginary: Any,
        depth: Any,
        w: Any,
        w_at: Any,
        w_stride: Any,
        w_imaginary: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
        out_imaginary: Any,
        adds: Any,
    ) -> Any:
        """out[r, :] = Σ_k x[r, k] w[k, :], complex, for one tile; `adds` to what is there if true.

        As the real tile; the imaginary parts stand ``_imaginary`` numbers after the real ones. Three real products
        make a complex one: (a + ib)(c + is) = k₁ − k₃ + i (k₁ + k₂) with (a + b) c, a (s − c), b (c + s).
        """
        n = types.intp
        signature = types.void(x, n, n, n, n, n, w, n, n, n, out, n, n, n, types.boolean)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, x_stride, x_step, x_imaginary, depth, w, w_at, w_stride, w_imaginary, out, out_at, out_stride,
             out_imaginary, adds) = pointers(context, builder, signature, arguments)  # fmt: skip
            kind, step = x.type.pointee, lanes_of(signature.args[0].dtype.bitwidth // 8)
            x_rows = [
                (row, builder.gep(row, [x_imaginary]))
                for row in (row_at(builder, x, x_at, x_stride, r) for r in range(rows))
            ]
            places = [
                (builder.gep(row, [shift]), shift.type(v * step))
                for shift in (depth.type(0), out_imaginary)
                for row in (row_at(builder, out, out_at, out_stride, r) for r in range(rows))
                for v in range(vectors)
            ]

            def body(k: Any, sums: list[Register]) -> list[Register]:
                w_k, at_k = builder.gep(w, [builder.add(w_at, builder.mul(k, w_stride))]), builder.mul(k, x_step)
                w_i = builder.gep(w_k, [w_imaginary])
                columns = []
                for v in range(vectors):
                    c, s = (Register.load(builder, part, k.type(v * step)) for part in (w_k, w_i))
                    columns.append((c, s - c, c + s))
                following: list[Register] = []
                for re, im in x_rows:
                    a, b = (Register.spread(builder, builder.load(builder.gep(part, [at_k]))) for part in (re, im))
                    factors = (a + b, a, b)
                    for column in columns:
                        of_place = sums[len(following) : len(following) + 3]
                        following += [total.plus(x, y) for total, x, y in zip(of_place, factors, column, strict=True)]
                return following

            zero = Register.constant(builder, kind, 0.0)
            found = accumulate(builder, depth, [zero] * (3 * rows * vectors), body)
            re = [first - third for first, third in zip(found[::3], found[2::3], strict=True)]
            im = [first + second for first, second in zip(found[::3], found[1::3], strict=True)]
            _store(builder, places, [*re, *im], adds)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _store(builder: Any, places: list[tuple[Any, Any]], values: list[Register], adds: Any) -> None:
    """Write to memory, or add to what is there."""
    before = [Register.load(builder, pointer, at) for pointer, at in places]
    for (pointer, at), value, there in zip(places, values, before, strict=True):
        Register(builder, builder.select(adds, (there + value).value, value.value)).store(pointer, at)


real_tile, small_real_tile = _real_of(ROWS, REAL_VECTORS), _real_of(SMALL_ROWS, SMALL_VECTORS)
tall_real_tile = _real_of(TALL_ROWS, 1)
complex_tile = _complex_of(COMPLEX_ROWS, COMPLEX_VECTORS)
