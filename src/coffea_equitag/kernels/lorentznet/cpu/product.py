"""Products of matrices of doubles as register tiles; as in `tile`, every sum is taken in the order of k."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...common.cpu.dense import _pointers
from ...common.cpu.shapes import WIDE

__all__ = ["PRODUCT_COLUMNS", "PRODUCT_ROWS", "product_tile"]

#: Vectors of doubles: as many bytes as the widest of floats.
_LANES = max(WIDE.widths) // 2
_VECTOR = ir.VectorType(ir.DoubleType(), _LANES)
#: Rows and columns of a tile.
PRODUCT_ROWS, PRODUCT_COLUMNS = (8, 8) if _LANES == 8 else (4, 2 * _LANES)


@intrinsic
def product_tile(
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
    """One tile: out[r, :] = Σ_k x[x_row r + x_step k] y[y_step k, :], for a positive depth.

    All arrays are contiguous float64; an ``_at`` is where the tile's part of the array before it begins.
    """
    signature = types.void(
        x, types.intp, types.intp, types.intp, y, types.intp, types.intp, types.intp, out, types.intp, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, x_row, x_step, y, y_at, y_step, depth, out, out_at, out_stride = _pointers(
            context, builder, signature, arguments
        )
        index = depth.type
        starts = [builder.gep(x, [builder.add(x_at, builder.mul(x_row, index(r)))]) for r in range(PRODUCT_ROWS)]
        zeros = ir.Constant(_VECTOR, [0.0] * _LANES)

        before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(index, "k")
        k.add_incoming(index(0), before)
        sums = [[builder.phi(_VECTOR) for _ in range(PRODUCT_COLUMNS // _LANES)] for _ in starts]
        row = builder.gep(y, [builder.add(y_at, builder.mul(y_step, k))])
        loaded = [builder.load(at, align=8) for at in _places(builder, row)]
        at_k = builder.mul(x_step, k)
        following = []
        for start, sum_row in zip(starts, sums, strict=True):
            spread = _spread(builder, builder.load(builder.gep(start, [at_k]), align=8))
            following.append([_fma(builder, spread, y, total) for y, total in zip(loaded, sum_row, strict=True)])
        next_k = builder.add(k, index(1))
        k.add_incoming(next_k, loop)
        for sum_row, next_row in zip(sums, following, strict=True):
            for phi, value in zip(sum_row, next_row, strict=True):
                phi.add_incoming(zeros, before)
                phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", next_k, depth), loop, after)
        builder.position_at_end(after)
        for r, values in enumerate(following):
            place = builder.gep(out, [builder.add(out_at, builder.mul(out_stride, index(r)))])
            for value, at in zip(values, _places(builder, place), strict=True):
                builder.store(value, at, align=8)
        return context.get_dummy_value()

    return signature, generate


def _places(builder: Any, pointer: Any) -> list[Any]:
    starts = [builder.gep(pointer, [ir.IntType(64)(at)]) for at in range(0, PRODUCT_COLUMNS, _LANES)]
    return [builder.bitcast(start, _VECTOR.as_pointer()) for start in starts]


def _spread(builder: Any, number: Any) -> Any:
    empty = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(empty, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES))


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{_LANES}f64"), [a, b, c])
