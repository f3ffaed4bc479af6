"""Vector registers that read as Python numbers, for intrinsics with much arithmetic; on top of `llvm`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from . import llvm
from .shapes import WIDE

__all__ = ["REGISTERS", "Register", "accumulate", "lanes_of"]

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
        return cls(builder, builder.load(_place(builder, pointer, at), align=llvm.bytes_of(pointer.type.pointee)))

    @classmethod
    def spread(cls, builder: Any, number: Any) -> Register:
        """One number in all lanes."""
        return cls(builder, llvm.spread(builder, number, lanes_of(llvm.bytes_of(number.type))))

    @classmethod
    def constant(cls, builder: Any, kind: Any, number: float) -> Register:
        """The same number in all lanes; `kind` is `llvm.FLOAT` or `llvm.DOUBLE`."""
        return cls(builder, llvm.constant(ir.VectorType(kind, lanes_of(llvm.bytes_of(kind))), number))

    def store(self, pointer: Any, at: Any) -> None:
        """Write to ``pointer[at]`` and what follows."""
        place = _place(self.builder, pointer, at)
        self.builder.store(self.value, place, align=llvm.bytes_of(pointer.type.pointee))

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
        return Register(self.builder, llvm.fma(self.builder, a.value, b.value, self.value))

    def minus(self, a: Register, b: Register) -> Register:
        """Subtract a·b, rounded once."""
        return self.plus(-a, b)

    def root(self) -> Register:
        """The square root."""
        kind = self.value.type
        name = f"llvm.sqrt.v{kind.count}f{8 * llvm.bytes_of(kind.element)}"
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind]), name)
        return Register(self.builder, self.builder.call(function, [self.value]))

    def at_least(self, floor: Register) -> Register:
        """The larger of both; NaN stays NaN."""
        return Register(self.builder, llvm.at_least(self.builder, self.value, floor.value))

    def above(self, limit: Register, yes: Register, no: Register) -> Register:
        """Take `yes` in lanes where this is larger than the limit, else `no`."""
        larger = self.builder.fcmp_ordered(">", self.value, limit.value)
        return Register(self.builder, self.builder.select(larger, yes.value, no.value))


def accumulate(
    builder: Any, depth: Any, start: Sequence[Register], body: Callable[[Any, list[Register]], list[Register]]
) -> list[Register]:
    """Registers after ``for k in range(depth): registers = body(k, registers)``."""

    def step(k: Any, values: list[Any]) -> list[Any]:
        return [register.value for register in body(k, [Register(builder, value) for value in values])]

    found = llvm.loop(builder, depth, [register.value for register in start], step)
    return [Register(builder, value) for value in found]


def _place(builder: Any, pointer: Any, at: Any) -> Any:
    return llvm.vector_at(builder, pointer, at, lanes_of(llvm.bytes_of(pointer.type.pointee)))
