"""Vector registers as Python numbers, for code that emits LLVM's vector instructions through numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.types.containers import BaseTuple

from .shapes import WIDE

__all__ = ["REGISTERS", "Register", "accumulate", "lanes_of", "pointers", "row_pointer"]

#: A vector register's bytes, and how many there are.
_BYTES = 4 * max(WIDE.widths)
REGISTERS = 16 if _BYTES == 32 else 32


def lanes_of(itemsize: int) -> int:
    """Numbers of this many bytes in a register."""
    return _BYTES // itemsize


class Register:
    """Floats in a vector register; arithmetic on it emits instructions, each rounded once.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where to emit.
    value : llvmlite.ir.Value
        The vector.
    """

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    @classmethod
    def load(cls, builder: Any, pointer: Any, at: Any) -> Register:
        """Numbers that begin with ``pointer[at]``."""
        return cls(builder, builder.load(_place(builder, pointer, at), align=_itemsize(pointer.type.pointee)))

    @classmethod
    def spread(cls, builder: Any, number: Any) -> Register:
        """One number in all lanes."""
        kind = ir.VectorType(number.type, lanes_of(_itemsize(number.type)))
        empty = ir.Constant(kind, ir.Undefined)
        one = builder.insert_element(empty, number, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
        return cls(builder, builder.shuffle_vector(one, empty, mask))

    @classmethod
    def constant(cls, builder: Any, kind: Any, number: float) -> Register:
        """The same number in all lanes; `kind` is ir.FloatType() or ir.DoubleType()."""
        count = lanes_of(_itemsize(kind))
        return cls(builder, ir.Constant(ir.VectorType(kind, count), [number] * count))

    def store(self, pointer: Any, at: Any) -> None:
        """Write to ``pointer[at]`` and what follows."""
        self.builder.store(self.value, _place(self.builder, pointer, at), align=_itemsize(pointer.type.pointee))

    def __add__(self, other: Register) -> Register:
        return Register(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: Register) -> Register:
        return Register(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other: Register) -> Register:
        return Register(self.builder, self.builder.fmul(self.value, other.value))

    def __truediv__(self, other: Register) -> Register:
        return Register(self.builder, self.builder.fdiv(self.value, other.value))

    def __neg__(self) -> Register:
        return Register(self.builder, self.builder.fneg(self.value))

    def plus(self, a: Register, b: Register) -> Register:
        """Add a·b, rounded once."""
        return Register(self.builder, self._call("fma", [a.value, b.value, self.value]))

    def minus(self, a: Register, b: Register) -> Register:
        """Subtract a·b, rounded once."""
        return self.plus(-a, b)

    def root(self) -> Register:
        """The square root."""
        return Register(self.builder, self._call("sqrt", [self.value]))

    def at_least(self, floor: Register) -> Register:
        """The larger of both; NaN stays NaN."""
        smaller = self.builder.fcmp_ordered("<", self.value, floor.value)
        return Register(self.builder, self.builder.select(smaller, floor.value, self.value))

    def above(self, limit: Register, yes: Register, no: Register) -> Register:
        """Take `yes` in lanes where this is larger than the limit, else `no`."""
        larger = self.builder.fcmp_ordered(">", self.value, limit.value)
        return Register(self.builder, self.builder.select(larger, yes.value, no.value))

    def _call(self, name: str, arguments: Sequence[Any]) -> Any:
        kind = self.value.type
        suffix = "f32" if kind.element == ir.FloatType() else "f64"
        signature = ir.FunctionType(kind, [kind] * len(arguments))
        full = f"llvm.{name}.v{kind.count}{suffix}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, signature, full), arguments)


def pointers(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """An intrinsic's arguments, with the address of its first number for each array, also within tuples."""

    def pointer(kind: Any, value: Any) -> Any:
        if isinstance(kind, types.Array):
            return context.make_array(kind)(context, builder, value).data
        if isinstance(kind, BaseTuple):
            return [pointer(part, builder.extract_value(value, index)) for index, part in enumerate(kind)]
        return value

    return [pointer(kind, value) for kind, value in zip(signature.args, arguments, strict=True)]


def row_pointer(builder: Any, pointer: Any, at: Any, stride: Any, row: int) -> Any:
    """Address of ``pointer[at + row * stride]``."""
    return builder.gep(pointer, [builder.add(at, builder.mul(stride, stride.type(row)))])


def accumulate(
    builder: Any, depth: Any, start: list[Register], body: Callable[[Any, list[Register]], list[Register]]
) -> list[Register]:
    """Registers carried through ``for k in range(depth): registers = body(k, registers)``."""
    before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", depth, depth.type(0)), loop, after)
    builder.position_at_end(loop)
    k = builder.phi(depth.type, "k")
    carried = [builder.phi(value.value.type) for value in start]
    following = body(k, [Register(builder, phi) for phi in carried])
    end, next_k = builder.block, builder.add(k, depth.type(1))
    k.add_incoming(depth.type(0), before)
    k.add_incoming(next_k, end)
    builder.cbranch(builder.icmp_signed("<", next_k, depth), loop, after)
    builder.position_at_end(after)
    ended = [builder.phi(value.value.type) for value in start]
    for phis, block in ((carried, end), (ended, end), (carried, before), (ended, before)):
        values = following if block is end else start
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value.value, block)
    return [Register(builder, phi) for phi in ended]


def _itemsize(kind: Any) -> int:
    return 4 if kind == ir.FloatType() else 8


def _place(builder: Any, pointer: Any, at: Any) -> Any:
    kind = pointer.type.pointee
    return builder.bitcast(builder.gep(pointer, [at]), ir.VectorType(kind, lanes_of(_itemsize(kind))).as_pointer())
