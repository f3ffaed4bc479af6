"""LLVM code for rows of numbers in vector registers: what intrinsics of several vectors are put together from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from .elementary import _EXP, _LOG, _LOG2_HIGH, _LOG2_LOW, _ROUNDER

__all__ = ["Lanes", "expm1", "log1p", "log_of", "pointers"]

FLOAT, DOUBLE, INT, INDEX = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)


def pointers(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """The arguments, arrays replaced by the address of their first number."""
    return [
        context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


class Lanes:
    """A row of numbers as vectors of given lengths.

    Parameters
    ----------
    builder : IRBuilder
        Where code goes.
    widths : sequence of int
        Lengths of the vectors.
    element : ir.Type
        Their numbers.
    """

    def __init__(self, builder: Any, widths: Sequence[int], element: Any = FLOAT) -> None:
        self.builder, self.element = builder, element
        self.widths = list(widths)
        self.block = sum(widths)

    def load(self, pointer: Any, at: Any) -> list[Any]:
        """The row that begins `at` numbers after a pointer."""
        return [self.builder.load(place, align=4) for place in self._places(pointer, at)]

    def store(self, values: Sequence[Any], pointer: Any, at: Any) -> None:
        """Write a row there."""
        for value, place in zip(values, self._places(pointer, at), strict=True):
            self.builder.store(value, place, align=4)

    def spread(self, number: Any) -> list[Any]:
        """The number in all lanes."""
        made = {width: spread(self.builder, number, width) for width in set(self.widths)}
        return [made[width] for width in self.widths]

    def fma(self, a: Sequence[Any], b: Sequence[Any], c: Sequence[Any]) -> list[Any]:
        """Numbers a·b + c, rounded once."""
        return [fma(self.builder, x, y, z) for x, y, z in zip(a, b, c, strict=True)]

    def add(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """The sum of two rows."""
        return [self.builder.fadd(x, y) for x, y in zip(a, b, strict=True)]

    def subtract(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """Their difference."""
        return [self.builder.fsub(x, y) for x, y in zip(a, b, strict=True)]

    def zeros(self) -> list[Any]:
        """A row of zeros."""
        return [constant(ir.VectorType(self.element, width), 0.0) for width in self.widths]

    def leaky(self, values: Sequence[Any]) -> list[Any]:
        """LeakyReLU of slope 0.01; NaN stays NaN."""
        out = []
        for value in values:
            small = self.builder.fmul(value, constant(value.type, 0.01))
            out.append(self.builder.select(self.builder.fcmp_ordered(">", small, value), small, value))
        return out

    def widened(self, values: Sequence[Any]) -> list[Any]:
        """In double precision."""
        return [self.builder.fpext(value, ir.VectorType(DOUBLE, value.type.count)) for value in values]

    def _places(self, pointer: Any, at: Any) -> list[Any]:
        builder, places, before = self.builder, [], 0
        for width in self.widths:
            place = builder.gep(pointer, [builder.add(at, INDEX(before))])
            places.append(builder.bitcast(place, ir.VectorType(self.element, width).as_pointer()))
            before += width
        return places


def loop(
    builder: Any, times: Any, carried: Sequence[Any], body: Callable[[Any, list[Any]], Sequence[Any]]
) -> list[Any]:
    """Carry values through ``body(k, values) -> values`` for k from 0; the carried values after the last time."""
    before = builder.block
    inside, after = builder.append_basic_block("k"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", times, INDEX(0)), inside, after)
    builder.position_at_end(inside)
    k = builder.phi(INDEX)
    k.add_incoming(INDEX(0), before)
    phis = [builder.phi(value.type) for value in carried]
    for phi, value in zip(phis, carried, strict=True):
        phi.add_incoming(value, before)
    following = list(body(k, phis))
    next_k = builder.add(k, INDEX(1))
    end = builder.block
    k.add_incoming(next_k, end)
    for phi, value in zip(phis, following, strict=True):
        phi.add_incoming(value, end)
    builder.cbranch(builder.icmp_signed("<", next_k, times), inside, after)
    builder.position_at_end(after)
    ended = [builder.phi(value.type) for value in carried]
    for phi, first, last in zip(ended, carried, following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, end)
    return ended


def constant(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * kind.count) if isinstance(kind, ir.VectorType) else kind(value)


def spread(builder: Any, number: Any, width: int) -> Any:
    kind = ir.VectorType(number.type, width)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, INT(0))
    return builder.shuffle_vector(
        one, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(INT, width), [0] * width)
    )


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = a.type
    name = f"llvm.fma.v{kind.count}f{32 if kind.element == FLOAT else 64}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])


def magnitude(builder: Any, x: Any) -> Any:
    bits = builder.bitcast(x, ir.VectorType(INT, x.type.count))
    return builder.bitcast(builder.and_(bits, constant(bits.type, 0x7FFFFFFF)), x.type)


def with_sign_of(builder: Any, value: Any, x: Any) -> Any:
    kind = ir.VectorType(INT, x.type.count)
    sign = builder.and_(builder.bitcast(x, kind), constant(kind, -0x80000000))
    return builder.bitcast(builder.xor(builder.bitcast(value, kind), sign), x.type)


def log1p(builder: Any, size: Any) -> Any:
    """log(1 + x) of floats x ≥ 0, one or two units in the last place; NaN and ∞ give some number."""
    one = constant(size.type, 1.0)
    more = builder.fadd(size, one)
    # what 1 + x lost to rounding enters through the derivative
    lost = builder.fdiv(builder.fsub(size, builder.fsub(more, one)), more)
    return builder.fadd(log_of(builder, more), lost)


def log_of(builder: Any, u: Any) -> Any:
    """log(u) of normal floats u > 0."""
    kind = ir.VectorType(INT, u.type.count)
    # the mantissa in [√½, √2), so that its logarithm is a short series
    shifted = builder.add(builder.bitcast(u, kind), constant(kind, 0x3F800000 - 0x3F3504F3))
    whole = builder.sub(builder.ashr(shifted, constant(kind, 23)), constant(kind, 127))
    exponent = builder.sitofp(whole, u.type)
    bits = builder.add(builder.and_(shifted, constant(kind, 0x007FFFFF)), constant(kind, 0x3F3504F3))
    f = builder.fsub(builder.bitcast(bits, u.type), constant(u.type, 1.0))
    square = builder.fmul(f, f)
    series = builder.fmul(builder.fmul(_polynomial(builder, _LOG, f), f), square)
    series = fma(builder, exponent, constant(u.type, _LOG2_LOW), series)
    series = fma(builder, square, constant(u.type, -0.5), series)
    return fma(builder, exponent, constant(u.type, _LOG2_HIGH), builder.fadd(f, series))


def expm1(builder: Any, x: Any) -> Any:
    """exp(x) − 1 of floats, to a few units in the last place near 0 too; held within ±87, NaN stays NaN."""
    kind = x.type
    for limit, beyond in ((-87.0, "<"), (87.0, ">")):
        bound = constant(kind, limit)
        x = builder.select(builder.fcmp_ordered(beyond, x, bound), bound, x)
    rounded = fma(builder, x, constant(kind, math.log2(math.e)), constant(kind, _ROUNDER))
    power = builder.fsub(rounded, constant(kind, _ROUNDER))
    rest = fma(builder, power, constant(kind, -_LOG2_HIGH), x)
    rest = fma(builder, power, constant(kind, -_LOG2_LOW), rest)
    series = fma(builder, _polynomial(builder, _EXP, rest), builder.fmul(rest, rest), rest)
    integers = ir.VectorType(INT, kind.count)
    exponent = builder.add(builder.bitcast(rounded, integers), constant(integers, 127))
    scale = builder.bitcast(builder.shl(exponent, constant(integers, 23)), kind)
    return fma(builder, scale, series, builder.fsub(scale, constant(kind, 1.0)))


def _polynomial(builder: Any, coefficients: Sequence[float], x: Any) -> Any:
    value = constant(x.type, coefficients[0])
    for coefficient in coefficients[1:]:
        value = fma(builder, value, x, constant(x.type, coefficient))
    return value
