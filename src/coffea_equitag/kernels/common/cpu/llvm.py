"""LLVM for kernels: what the intrinsics, functions of compiled code that are written instruction by instruction, share.

An intrinsic's `generate` gets a builder, which emits one instruction per call, and values: numbers, vectors of numbers
("lanes") that fill a register, and pointers to numbers. Each instruction rounds once, so the order in which a kernel
is written is the order in which it computes, whatever CPU it runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.types.containers import BaseTuple

__all__ = [
    "BIT",
    "DOUBLE",
    "FLOAT",
    "INDEX",
    "INT",
    "WORD",
    "at_least",
    "bytes_of",
    "constant",
    "fma",
    "lane_sum",
    "loop",
    "pointers",
    "row_at",
    "spread",
    "vector_at",
]

#: float32, float64, int32, int64, a bit, and a word of 16 bits.
FLOAT, DOUBLE, INT, INDEX, BIT, WORD = (
    ir.FloatType(),
    ir.DoubleType(),
    ir.IntType(32),
    ir.IntType(64),
    ir.IntType(1),
    ir.IntType(16),
)


def pointers(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """An intrinsic's arguments, with the address of its first number for each array, within tuples too."""

    def pointer(kind: Any, value: Any) -> Any:
        if isinstance(kind, types.Array):
            return context.make_array(kind)(context, builder, value).data
        if isinstance(kind, BaseTuple):
            return [pointer(part, builder.extract_value(value, k)) for k, part in enumerate(kind)]
        return value

    return [pointer(kind, value) for kind, value in zip(signature.args, arguments, strict=True)]


def row_at(builder: Any, pointer: Any, at: Any, stride: Any, row: int) -> Any:
    """The address of ``pointer[at + stride * row]``."""
    return builder.gep(pointer, [builder.add(at, builder.mul(stride, INDEX(row)))])


def vector_at(builder: Any, pointer: Any, at: Any, width: int) -> Any:
    """The address of the vector that begins with ``pointer[at]``."""
    place = builder.gep(pointer, [at])
    return builder.bitcast(place, ir.VectorType(pointer.type.pointee, width).as_pointer())


def bytes_of(element: Any) -> int:
    """The size of a float32 or float64."""
    return 4 if element == FLOAT else 8


def constant(kind: Any, value: float) -> Any:
    """A number of this type, or a vector with the number in all lanes."""
    return ir.Constant(kind, [value] * kind.count) if isinstance(kind, ir.VectorType) else kind(value)


def spread(builder: Any, number: Any, width: int) -> Any:
    """The number in all of `width` lanes."""
    empty = ir.Constant(ir.VectorType(number.type, width), ir.Undefined)
    one = builder.insert_element(empty, number, INT(0))
    return builder.shuffle_vector(one, empty, constant(ir.VectorType(INT, width), 0))


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """The value a·b + c, rounded once, of numbers or of vectors."""
    kind = a.type
    count, element = (f"v{kind.count}", kind.element) if isinstance(kind, ir.VectorType) else ("", kind)
    name = f"llvm.fma.{count}f{8 * bytes_of(element)}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])


def at_least(builder: Any, value: Any, floor: Any) -> Any:
    """The larger of both; NaN stays NaN."""
    return builder.select(builder.fcmp_ordered("<", value, floor), floor, value)


def lane_sum(builder: Any, vectors: dict[int, Any]) -> Any:
    """The sum over all lanes of vectors of different lengths, powers of two: halves upon halves, in a fixed order."""
    left = dict(vectors)
    width = max(left)
    total = left.pop(width)
    while width > 1:
        width //= 2
        lanes, empty = ir.VectorType(INT, width), ir.Constant(total.type, ir.Undefined)
        low, high = (ir.Constant(lanes, list(range(first, first + width))) for first in (0, width))
        total = builder.fadd(builder.shuffle_vector(total, empty, low), builder.shuffle_vector(total, empty, high))
        if width in left:
            total = builder.fadd(total, left.pop(width))
    return builder.extract_element(total, INT(0))


def loop(
    builder: Any,
    times: Any,
    carried: Sequence[Any],
    body: Callable[[Any, list[Any]], Sequence[Any]],
    *,
    at_least_once: bool = False,
) -> list[Any]:
    """Carry values, in registers, through ``carried = body(k, carried)`` for k = 0, 1, ..., times − 1.

    Parameters
    ----------
    builder : IRBuilder
        Where code goes.
    times : ir.Value
        How often, an INDEX.
    carried : sequence of ir.Value
        The values before the first time; none is fine.
    body : callable
        Emits one pass, loops of its own included.
    at_least_once : bool
        Promise that `times` is positive: one comparison less.

    Returns
    -------
    list of ir.Value
        The values after the last time.
    """
    before, inside, after = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("done")
    if at_least_once:
        builder.branch(inside)
    else:
        builder.cbranch(builder.icmp_signed(">", times, INDEX(0)), inside, after)
    builder.position_at_end(inside)
    k = builder.phi(INDEX)
    phis = [builder.phi(value.type) for value in carried]
    following = list(body(k, list(phis)))
    next_k, end = builder.add(k, INDEX(1)), builder.block
    for phi, first, last in zip([k, *phis], [INDEX(0), *carried], [next_k, *following], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, end)
    builder.cbranch(builder.icmp_signed("<", next_k, times), inside, after)
    builder.position_at_end(after)
    if at_least_once:
        return following
    ended = [builder.phi(value.type) for value in carried]
    for phi, first, last in zip(ended, carried, following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, end)
    return ended
