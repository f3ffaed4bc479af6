"""Dense layers as register tiles: LLVM vector code emitted through numba, no compiler needed.

A tile is a few rows of a matrix times a block of columns of the weights. Its sums stay in registers as vectors over
the columns; for each k one row of weights is loaded and one number a row is spread over the lanes. Every row is
summed over k in the same order whatever stands beside it, so its result does not depend on its place in a tile.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .shapes import NARROW, WIDE, Shape

__all__ = ["dense", "dense_narrow"]

_FLOAT = ir.FloatType()


def _dense_of(shape: Shape) -> Any:
    @intrinsic
    def dense(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_stride: Any,
        weight: Any,
        weight_at: Any,
        depth: Any,
        bias: Any,
        bias_at: Any,
        floor: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
        seen: Any,
        seen_at: Any,
        products: Any,
        products_at: Any,
    ) -> Any:
        """One tile of a layer: out[r, :] = max(x[r, :] W + bias, floor) and products[r] += out[r, :]·seen.

        All arrays are contiguous float32; an ``_at`` is where the tile's part of the array before it begins. The
        weights are rows of a block's numbers, one a k; `floor` 0 is a ReLU, −∞ none. NaN stays NaN.
        """
        signature = types.void(
            x, types.intp, types.intp, weight, types.intp, types.intp, bias, types.intp, types.float32,
            out, types.intp, types.intp, seen, types.intp, products, types.intp,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, x_stride, w, w_at, depth, bias, bias_at, floor, out, out_at, out_stride, seen, seen_at, dots,
             dots_at) = _pointers(context, builder, signature, arguments)  # fmt: skip
            index = depth.type
            rows = [builder.gep(x, [builder.add(x_at, builder.mul(x_stride, index(r)))]) for r in range(shape.rows)]
            begin = _load_block(builder, shape, builder.gep(bias, [bias_at]))
            sums = [list(begin) for _ in rows]

            before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("done")
            builder.cbranch(builder.icmp_signed(">", depth, index(0)), loop, after)
            builder.position_at_end(loop)
            k = builder.phi(index, "k")
            k.add_incoming(index(0), before)
            carried = [[builder.phi(value.type) for value in row] for row in sums]
            for row, first in zip(carried, sums, strict=True):
                for phi, value in zip(row, first, strict=True):
                    phi.add_incoming(value, before)
            w_row = _load_block(builder, shape, builder.gep(w, [builder.add(w_at, builder.mul(k, index(shape.block)))]))
            following = []
            for pointer, row in zip(rows, carried, strict=True):
                number = builder.load(builder.gep(pointer, [k]), align=4)
                spread = _spreads(builder, shape, number)
                following.append(
                    [_fma(builder, spread[w.type.count], w, sum_) for w, sum_ in zip(w_row, row, strict=True)]
                )
            next_k = builder.add(k, index(1))
            k.add_incoming(next_k, loop)
            for row, next_row in zip(carried, following, strict=True):
                for phi, value in zip(row, next_row, strict=True):
                    phi.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", next_k, depth), loop, after)

            builder.position_at_end(after)
            # phi nodes stand first in a block
            ended = [[builder.phi(value.type) for value in row] for row in sums]
            for row, first, last in zip(ended, sums, following, strict=True):
                for phi, value, next_value in zip(row, first, last, strict=True):
                    phi.add_incoming(value, before)
                    phi.add_incoming(next_value, loop)
            seen_row = _load_block(builder, shape, builder.gep(seen, [seen_at]))
            floors = _spreads(builder, shape, floor)
            for r, row in enumerate(ended):
                values = [_at_least(builder, value, floors[value.type.count]) for value in row]
                _store_block(
                    builder, shape, builder.gep(out, [builder.add(out_at, builder.mul(out_stride, index(r)))]), values
                )
                dot = builder.gep(dots, [builder.add(dots_at, index(r))])
                builder.store(builder.fadd(builder.load(dot, align=4), _dot(builder, values, seen_row)), dot, align=4)
            return context.get_dummy_value()

        return signature, generate

    return dense


def _pointers(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """The arguments, arrays replaced by the address of their first number."""
    return [
        context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def _load_block(builder: Any, shape: Shape, pointer: Any) -> list[Any]:
    return [builder.load(_vector_at(builder, shape, pointer, v), align=4) for v in range(len(shape.widths))]


def _store_block(builder: Any, shape: Shape, pointer: Any, values: list[Any]) -> None:
    for v, value in enumerate(values):
        builder.store(value, _vector_at(builder, shape, pointer, v), align=4)


def _vector_at(builder: Any, shape: Shape, pointer: Any, v: int) -> Any:
    place = builder.gep(pointer, [ir.IntType(64)(sum(shape.widths[:v]))])
    return builder.bitcast(place, ir.VectorType(_FLOAT, shape.widths[v]).as_pointer())


def _spreads(builder: Any, shape: Shape, number: Any) -> dict[int, Any]:
    """The number in all lanes, for each length of vector."""
    found = {}
    for width in set(shape.widths):
        kind = ir.VectorType(_FLOAT, width)
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
        found[width] = builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)
    return found


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = a.type
    name = f"llvm.fma.v{kind.count}f32" if isinstance(kind, ir.VectorType) else "llvm.fma.f32"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])


def _at_least(builder: Any, value: Any, floor: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", value, floor), floor, value)


def _dot(builder: Any, values: list[Any], others: list[Any]) -> Any:
    """Σ of products over the lanes: vectors of a length first, then halves upon halves, in a fixed order."""
    sums: dict[int, Any] = {}
    for value, other in zip(values, others, strict=True):
        width = value.type.count
        if width in sums:
            sums[width] = _fma(builder, value, other, sums[width])
        else:
            sums[width] = builder.fmul(value, other)
    width = max(sums)
    total = sums.pop(width)
    while width > 1:
        width //= 2
        lanes = ir.VectorType(ir.IntType(32), width)
        low, high = (ir.Constant(lanes, list(range(first, first + width))) for first in (0, width))
        empty = ir.Constant(total.type, ir.Undefined)
        total = builder.fadd(builder.shuffle_vector(total, empty, low), builder.shuffle_vector(total, empty, high))
        if width in sums:
            total = builder.fadd(total, sums.pop(width))
    return builder.extract_element(total, ir.IntType(32)(0))


dense, dense_narrow = _dense_of(WIDE), _dense_of(NARROW)
