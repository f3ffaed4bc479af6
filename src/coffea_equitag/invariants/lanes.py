"""Eight float64 numbers side by side in the processor's registers, with which formulas are written as with numbers.

Each operation rounds once, as it does for a number: values depend neither on their place nor on the processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = ["EIGHT", "Lanes"]

#: How many.
EIGHT = 8
_KIND = ir.VectorType(ir.DoubleType(), EIGHT)
_PLACE = ir.IntType(32)


@dataclass(frozen=True)
class Lanes:
    """Eight numbers, and the builder that their instructions go to; a plain number stands for eight of it."""

    builder: Any
    value: Any

    @classmethod
    def at(cls, builder: Any, pointer: Any) -> Lanes:
        """Those that begin at an address."""
        return cls(builder, builder.load(builder.bitcast(pointer, _KIND.as_pointer()), align=8))

    @classmethod
    def spread(cls, builder: Any, pointer: Any) -> Lanes:
        """The number at an address, eight times."""
        one = builder.insert_element(ir.Constant(_KIND, ir.Undefined), builder.load(pointer, align=8), _PLACE(0))
        return cls(builder, builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_PLACE, EIGHT), [0] * EIGHT)))

    def store(self, pointer: Any) -> None:
        """Write them to an address."""
        self.builder.store(self.value, self.builder.bitcast(pointer, _KIND.as_pointer()), align=8)

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._of(self.builder.fadd(self.value, self._raw(other)))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._of(self.builder.fsub(self.value, self._raw(other)))

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._of(self.builder.fmul(self.value, self._raw(other)))

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._of(self.builder.fdiv(self.value, self._raw(other)))

    def __neg__(self) -> Lanes:
        return self._of(self.builder.fneg(self.value))

    def fma(self, factor: Lanes | float, term: Lanes | float) -> Lanes:
        """Numbers self·factor + term, rounded once."""
        return self._of(self._call("fma", self.value, self._raw(factor), self._raw(term)))

    def floor(self) -> Lanes:
        """The integers not above them."""
        return self._of(self._call("floor", self.value))

    def polynomial(self, coefficients: tuple[float, ...]) -> Lanes:
        """Σ_k c_k xᵏ, the highest power's coefficient first (Horner)."""
        highest, second, *others = coefficients
        found = self.fma(highest, second)
        for coefficient in others:
            found = self.fma(found, coefficient)
        return found

    def where_positive(self, yes: Lanes, no: Lanes) -> Lanes:
        """Take `yes` where these are above 0, else `no`."""
        return self._where(self.builder.fcmp_ordered(">", self.value, self._raw(0.0)), yes, no)

    def where_not_zero(self, yes: Lanes, no: float) -> Lanes:
        """Take `yes` where these are not 0, else `no`."""
        return self._where(self.builder.fcmp_unordered("!=", self.value, self._raw(0.0)), yes, no)

    def _where(self, condition: Any, yes: Lanes, no: Lanes | float) -> Lanes:
        return self._of(self.builder.select(condition, yes.value, self._raw(no)))

    def _of(self, value: Any) -> Lanes:
        return Lanes(self.builder, value)

    def _raw(self, other: Lanes | float) -> Any:
        return other.value if isinstance(other, Lanes) else ir.Constant(_KIND, [other] * EIGHT)

    def _call(self, name: str, *arguments: Any) -> Any:
        kind = ir.FunctionType(_KIND, [_KIND] * len(arguments))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.v{EIGHT}f64")
        return self.builder.call(function, arguments)
