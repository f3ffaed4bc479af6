"""Sums of outer products as register tiles: gradients of weights, sums over rows, products of matrices.

A tile is a few rows times a block of columns of out += Xᵀ Y. As in `tile`, its sums stay in registers, and every one
is summed over k in the same order wherever it stands.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .shapes import NARROW, WIDE, Shape
from .tile import _pointers

__all__ = [
    "OUTER_ROWS",
    "OUTER_ROWS_NARROW",
    "PRODUCT_COLUMNS",
    "PRODUCT_ROWS",
    "outer",
    "outer_narrow",
    "product_tile",
    "weighted_sum",
    "weighted_sum_narrow",
]

_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()


def _outer_of(rows: int, widths: tuple[int, ...], number: Any) -> Any:
    element = types.float32 if number is _FLOAT else types.float64
    name = "f32" if number is _FLOAT else "f64"

    @intrinsic
    def outer(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_row: Any,
        x_step: Any,
        y: Any,
        y_at: Any,
        y_step: Any,
        depth: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
    ) -> Any:
        """One tile: out[r, :] += Σ_k x[x_row r + x_step k] y[y_step k, :].

        All arrays are contiguous; an ``_at`` is where the tile's part of the array before it begins.
        """
        for array in (x, y, out):
            if array.dtype != element:
                return None
        signature = types.void(
            x, types.intp, types.intp, types.intp, y, types.intp, types.intp, types.intp, out, types.intp, types.intp
        )

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, x_at, x_row, x_step, y, y_at, y_step, depth, out, out_at, out_stride = _pointers(
                context, builder, signature, arguments
            )
            index = depth.type
            starts = [builder.gep(x, [builder.add(x_at, builder.mul(x_row, index(r)))]) for r in range(rows)]
            outs = [builder.gep(out, [builder.add(out_at, builder.mul(out_stride, index(r)))]) for r in range(rows)]
            sums = [[builder.load(at, align=element.bitwidth // 8) for at in _vectors(builder, o)] for o in outs]

            before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("done")
            builder.cbranch(builder.icmp_signed(">", depth, index(0)), loop, after)
            builder.position_at_end(loop)
            k = builder.phi(index, "k")
            k.add_incoming(index(0), before)
            carried = [[builder.phi(value.type) for value in row] for row in sums]
            for row, first in zip(carried, sums, strict=True):
                for phi, value in zip(row, first, strict=True):
                    phi.add_incoming(value, before)
            y_row = builder.gep(y, [builder.add(y_at, builder.mul(y_step, k))])
            loaded = [builder.load(at, align=element.bitwidth // 8) for at in _vectors(builder, y_row)]
            x_k = builder.mul(x_step, k)
            following = []
            for start, row in zip(starts, carried, strict=True):
                value = builder.load(builder.gep(start, [x_k]), align=element.bitwidth // 8)
                following.append(
                    [_fma(builder, _spread(builder, value, v.type.count), v, s) for v, s in zip(loaded, row, strict=True)]
                )
            next_k = builder.add(k, index(1))
            k.add_incoming(next_k, loop)
            for row, next_row in zip(carried, following, strict=True):
                for phi, value in zip(row, next_row, strict=True):
                    phi.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", next_k, depth), loop, after)

            builder.position_at_end(after)
            ended = [[builder.phi(value.type) for value in row] for row in sums]
            for place, row, first, last in zip(outs, ended, sums, following, strict=True):
                for phi, value, next_value in zip(row, first, last, strict=True):
                    phi.add_incoming(value, before)
                    phi.add_incoming(next_value, loop)
            for place, row in zip(outs, ended, strict=True):
                for phi, at in zip(row, _vectors(builder, place), strict=True):
                    builder.store(phi, at, align=element.bitwidth // 8)
            return context.get_dummy_value()

        def _vectors(builder: Any, pointer: Any) -> list[Any]:
            places = [builder.gep(pointer, [ir.IntType(64)(sum(widths[:v]))]) for v in range(len(widths))]
            return [
                builder.bitcast(place, ir.VectorType(number, width).as_pointer())
                for place, width in zip(places, widths, strict=True)
            ]

        return signature, generate

    def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
        kind = a.type
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{kind.count}{name}"
        )
        return builder.call(function, [a, b, c])

    return outer


def _spread(builder: Any, value: Any, width: int) -> Any:
    empty = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    one = builder.insert_element(empty, value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width))


def _rows_for(shape: Shape) -> int:
    """Rows of a tile: they divide a block's columns, and their sums fit where those of the layers' tiles do."""
    return 8 if len(shape.widths) == 1 else 4


#: Vectors of doubles: as many bytes as the widest of floats.
_DOUBLES = max(WIDE.widths) // 2
#: Rows and columns of a tile of doubles.
PRODUCT_ROWS, PRODUCT_COLUMNS = (8, 8) if _DOUBLES == 8 else (4, 2 * _DOUBLES)

OUTER_ROWS, OUTER_ROWS_NARROW = _rows_for(WIDE), _rows_for(NARROW)
outer, outer_narrow = (
    _outer_of(OUTER_ROWS, WIDE.widths, _FLOAT),
    _outer_of(OUTER_ROWS_NARROW, NARROW.widths, _FLOAT),
)
weighted_sum, weighted_sum_narrow = _outer_of(1, WIDE.widths, _FLOAT), _outer_of(1, NARROW.widths, _FLOAT)
product_tile = _outer_of(PRODUCT_ROWS, (_DOUBLES,) * (PRODUCT_COLUMNS // _DOUBLES), _DOUBLE)
