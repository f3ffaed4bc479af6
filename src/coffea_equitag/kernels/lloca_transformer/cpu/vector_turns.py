"""Heads of scalars and four-vectors from frame to frame, and their gradients; vectors in four lanes of a register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import INDEX, loop, pointers
from ...common.cpu.vector_rows import Lanes

__all__ = ["turn_heads", "turn_heads_gradient"]

_AXES = range(4)


@intrinsic
def turn_heads(
    typing_context: Any, x: Any, x_at: Any, columns: Any, heads: Any, size: Any, scalars: Any, vectors: Any, out: Any,
    out_at: Any,
) -> Any:  # fmt: skip
    """Scalars, and M v of the vectors after them, of heads that are `size` apart; M (16,) column by column."""
    n = types.intp
    signature = types.void(x, n, columns, n, n, n, n, out, n)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, columns, heads, size, scalars, vectors, out, out_at = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [4])
        matrix = [lanes.load(columns, INDEX(4 * b)) for b in _AXES]

        def turn(place: Any, _: list[Any]) -> list[Any]:
            at, total = builder.add(x_at, place), lanes.zeros()
            for b in _AXES:
                total = lanes.fma(lanes.spread(_number(builder, x, at, b)), matrix[b], total)
            lanes.store(total, out, builder.add(out_at, place))
            return []

        def head(k: Any, _: list[Any]) -> list[Any]:
            first = builder.mul(k, size)
            _copy(builder, lanes, scalars, x, builder.add(x_at, first), out, builder.add(out_at, first))
            _over_vectors(builder, builder.add(first, scalars), vectors, [], turn)
            return []

        loop(builder, heads, [], head)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def turn_heads_gradient(
    typing_context: Any, x: Any, arriving: Any, at: Any, rows: Any, heads: Any, size: Any, scalars: Any, vectors: Any,
    grad_x: Any, grad_columns: Any,
) -> Any:  # fmt: skip
    """Gradients of `turn_heads`, all three arrays of heads from `at` on: of the heads, and g vᵀ added to ∂L/∂M.

    M (16,) is given row by row, its gradient column by column.
    """
    n = types.intp
    signature = types.void(x, arriving, n, rows, n, n, n, n, grad_x, grad_columns)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, arriving, at, rows, heads, size, scalars, vectors, grad_x, grad_columns = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, [4])
        matrix = [lanes.load(rows, INDEX(4 * a)) for a in _AXES]
        begin = [lanes.load(grad_columns, INDEX(4 * b))[0] for b in _AXES]

        def turn(place: Any, sums: list[Any]) -> list[Any]:
            g, total, found = lanes.load(arriving, place), lanes.zeros(), []
            for axis in _AXES:
                total = lanes.fma(lanes.spread(_number(builder, arriving, place, axis)), matrix[axis], total)
                found += lanes.fma(lanes.spread(_number(builder, x, place, axis)), g, [sums[axis]])
            lanes.store(total, grad_x, place)
            return found

        def head(k: Any, sums: list[Any]) -> list[Any]:
            first = builder.add(at, builder.mul(k, size))
            _copy(builder, lanes, scalars, arriving, first, grad_x, first)
            return _over_vectors(builder, builder.add(first, scalars), vectors, sums, turn)

        for b, total in zip(_AXES, loop(builder, heads, begin, head), strict=True):
            lanes.store([total], grad_columns, INDEX(4 * b))
        return context.get_dummy_value()

    return signature, generate


def _over_vectors(
    builder: Any, first: Any, count: Any, carried: list[Any], body: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    def one(k: Any, values: list[Any]) -> list[Any]:
        return body(builder.add(first, builder.mul(k, INDEX(4))), values)

    return loop(builder, count, carried, one)


def _copy(builder: Any, lanes: Lanes, count: Any, x: Any, x_at: Any, out: Any, out_at: Any) -> None:
    """Some numbers, four at a time and then one by one."""

    def four(k: Any, _: list[Any]) -> list[Any]:
        place = builder.mul(k, INDEX(4))
        lanes.store(lanes.load(x, builder.add(x_at, place)), out, builder.add(out_at, place))
        return []

    fours = builder.udiv(count, INDEX(4))
    done = builder.mul(fours, INDEX(4))

    def one(k: Any, _: list[Any]) -> list[Any]:
        place = builder.add(done, k)
        builder.store(_number(builder, x, x_at, place), builder.gep(out, [builder.add(out_at, place)]), align=4)
        return []

    loop(builder, fours, [], four)
    loop(builder, builder.sub(count, done), [], one)


def _number(builder: Any, array: Any, at: Any, k: Any) -> Any:
    place = builder.add(at, INDEX(k) if isinstance(k, int) else k)
    return builder.load(builder.gep(array, [place]), align=4)
