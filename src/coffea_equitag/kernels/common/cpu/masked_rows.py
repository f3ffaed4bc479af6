"""LLVM code over rows that are words of 16 numbers long, and over words of 16 bits that say which of them are not 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .llvm import BIT, FLOAT, INDEX, WORD, constant, loop
from .llvm import spread as spread_over
from .vector_rows import Lanes

__all__ = ["VECTOR", "ZEROS", "bits_of", "chosen", "load", "over_rows", "over_words", "spread", "store"]

#: A word's numbers.
VECTOR = ir.VectorType(FLOAT, 16)
ZEROS = constant(VECTOR, 0.0)


def over_words(
    builder: Any, words: Any, first: list[Any], body: Callable[[Any, Any, list[Any]], list[Any]]
) -> list[Any]:
    """Carry values through ``body(word, 16 word, carried)``, for at least one word."""

    def one(word: Any, carried: list[Any]) -> list[Any]:
        return body(word, builder.mul(word, INDEX(16)), carried)

    return loop(builder, words, first, one, at_least_once=True)


def over_rows(builder: Any, count: Any, stride: Any, body: Callable[[Any, Any], None]) -> None:
    """Call ``body(row, stride row)`` for each row, at least one."""

    def one(row: Any, carried: list[Any]) -> list[Any]:
        body(row, carried[0])
        return [builder.add(carried[0], stride)]

    loop(builder, count, [INDEX(0)], one, at_least_once=True)


def load(builder: Any, pointer: Any, start: Any, at: Any) -> Any:
    """A word's numbers of the row that begins at a place."""
    return Lanes(builder, [16]).load(pointer, builder.add(start, at))[0]


def store(builder: Any, value: Any, pointer: Any, start: Any, at: Any) -> None:
    """Write a word's numbers of the row that begins at a place."""
    Lanes(builder, [16]).store([value], pointer, builder.add(start, at))


def spread(builder: Any, number: Any) -> Any:
    """The number sixteen times."""
    return spread_over(builder, number, 16)


def bits_of(builder: Any, value: Any) -> Any:
    """A bit for each number of a vector, set where it is not 0, as one word."""
    width = value.type.count
    # NaN is not 0 either
    bits = builder.bitcast(builder.fcmp_unordered("!=", value, constant(value.type, 0.0)), ir.IntType(width))
    return builder.zext(bits, WORD) if width < WORD.width else bits


def chosen(builder: Any, bits: Any, start: Any, word: Any) -> Any:
    """Which of a word's numbers have their bit set."""
    loaded = builder.load(builder.gep(bits, [builder.add(start, word)]), align=2)
    return builder.bitcast(loaded, ir.VectorType(BIT, 16))
