"""Rows of numbers in vector registers, and the register tile: some rows of a matrix product at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from .bf16 import PAIR, add_pair_products, rounded
from .llvm import (
    DOUBLE,
    FLOAT,
    INDEX,
    WORD,
    at_least,
    bytes_of,
    constant,
    fma,
    lane_sum,
    loop,
    spread,
    vector_at,
)

__all__ = ["Lanes", "Row"]

#: A row's vectors.
Row = list[Any]

_NO_SHIFT = INDEX(0)


class Lanes:
    """Rows of ``block`` numbers each, as vectors of given lengths.

    Parameters
    ----------
    builder : IRBuilder
        Where code goes.
    widths : sequence of int
        Lengths of the vectors.
    element : ir.Type
        Their numbers, FLOAT or DOUBLE.
    """

    def __init__(self, builder: Any, widths: Sequence[int], element: Any = FLOAT) -> None:
        self.builder, self.element = builder, element
        self.widths = list(widths)
        self.block = sum(widths)

    def load(self, pointer: Any, at: Any = _NO_SHIFT) -> Row:
        """The row that begins `at` numbers after a pointer."""
        return [self.builder.load(place, align=bytes_of(self.element)) for place in self._places(pointer, at)]

    def store(self, values: Row, pointer: Any, at: Any = _NO_SHIFT) -> None:
        """Write a row there, rounded to bf16 where the pointer's numbers are words of 16 bits."""
        rounds = pointer.type.pointee == WORD
        for value, place in zip(values, self._places(pointer, at), strict=True):
            written = rounded(self.builder, value) if rounds else value
            self.builder.store(written, place, align=2 if rounds else bytes_of(self.element))

    def spread(self, number: Any) -> Row:
        """The number in all lanes."""
        made = {width: spread(self.builder, number, width) for width in set(self.widths)}
        return [made[width] for width in self.widths]

    def constant(self, value: float) -> Row:
        """A constant in all lanes."""
        return [constant(ir.VectorType(self.element, width), value) for width in self.widths]

    def zeros(self) -> Row:
        """A row of zeros."""
        return self.constant(0.0)

    def fma(self, a: Row, b: Row, c: Row) -> Row:
        """Numbers a·b + c, rounded once."""
        return [fma(self.builder, x, y, z) for x, y, z in zip(a, b, c, strict=True)]

    def add(self, a: Row, b: Row) -> Row:
        """The sum of two rows."""
        return [self.builder.fadd(x, y) for x, y in zip(a, b, strict=True)]

    def subtract(self, a: Row, b: Row) -> Row:
        """Their difference."""
        return [self.builder.fsub(x, y) for x, y in zip(a, b, strict=True)]

    def at_least(self, values: Row, floors: Row) -> Row:
        """The larger of two rows, number by number; NaN in the first stays NaN."""
        return [at_least(self.builder, value, floor) for value, floor in zip(values, floors, strict=True)]

    def leaky(self, values: Row) -> Row:
        """LeakyReLU of slope 0.01; NaN stays NaN."""
        out = []
        for value in values:
            small = self.builder.fmul(value, constant(value.type, 0.01))
            out.append(self.builder.select(self.builder.fcmp_ordered(">", small, value), small, value))
        return out

    def widened(self, values: Row) -> Row:
        """In double precision."""
        return [self.builder.fpext(value, ir.VectorType(DOUBLE, value.type.count)) for value in values]

    def dot(self, a: Row, b: Row) -> Any:
        """The number Σ a b: over vectors of a length first, then over their lanes, in a fixed order."""
        sums: dict[int, Any] = {}
        for x, y in zip(a, b, strict=True):
            width = x.type.count
            sums[width] = fma(self.builder, x, y, sums[width]) if width in sums else self.builder.fmul(x, y)
        return lane_sum(self.builder, sums)

    def multiply_add(
        self, sums: Sequence[Row], x_rows: Sequence[Any], x_step: Any, weight: Any, weight_step: Any, depth: Any,
        *, at_least_once: bool = False,
    ) -> list[Row]:  # fmt: skip
        """Add Σ_k x[r, k] weight[k, :] to the rows of a register tile, number by number in the order of k.

        Parameters
        ----------
        sums : sequence of rows
            Where each begins: a bias, or what is there already.
        x_rows : sequence of ir.Value
            Addresses of the rows x[r, 0].
        x_step : ir.Value
            Numbers from x[r, k] to x[r, k + 1].
        weight : ir.Value
            Address of the tile's part of weight[0].
        weight_step : ir.Value
            Numbers from weight[k] to weight[k + 1].
        depth : ir.Value
            How many k.
        at_least_once : bool
            Promise that `depth` is positive.

        Where `weight` is pairs, x is bf16, k counts pairs, and steps are in pairs.
        """
        builder, vectors, kind = self.builder, len(self.widths), weight.type
        add = self._add_pairs if kind.pointee == PAIR else self.fma
        x_rows = [builder.bitcast(x_row, kind) for x_row in x_rows]

        def body(k: Any, carried: list[Any]) -> list[Any]:
            row, step = self.load(weight, builder.mul(k, weight_step)), builder.mul(k, x_step)
            out = []
            for r, x_row in enumerate(x_rows):
                number = builder.load(builder.gep(x_row, [step]), align=bytes_of(self.element))
                out += add(self.spread(number), row, carried[r * vectors : (r + 1) * vectors])
            return out

        flat = [value for row in sums for value in row]
        flat = loop(builder, depth, flat, body, at_least_once=at_least_once)
        return [flat[first : first + vectors] for first in range(0, len(flat), vectors)]

    def _add_pairs(self, a: Row, b: Row, c: Row) -> Row:
        return [add_pair_products(self.builder, x, y, z) for x, y, z in zip(a, b, c, strict=True)]

    def _places(self, pointer: Any, at: Any) -> list[Any]:
        start, first, places = self.builder.gep(pointer, [at]), 0, []
        for width in self.widths:
            places.append(vector_at(self.builder, start, INDEX(first), width))
            first += width
        return places
