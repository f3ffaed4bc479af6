"""LLVM code over rows that are words of 16 numbers long, and over words of 16 bits that tell of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .dense import _load_block, _spreads, _store_block
from .shapes import Shape

__all__ = ["I16", "I64", "VECTOR", "ZEROS", "bits_of", "chosen", "load", "over_rows", "over_words", "spread", "store"]

_LANES = Shape(1, (16,))
VECTOR, BITS, I16, I64 = (
    ir.VectorType(ir.FloatType(), 16),
    ir.VectorType(ir.IntType(1), 16),
    ir.IntType(16),
    ir.IntType(64),
)
ZEROS = ir.Constant(VECTOR, [0.0] * 16)


def over_words(
    builder: Any, words: Any, first: list[Any], body: Callable[[Any, Any, list[Any]], list[Any]]
) -> list[Any]:
    """Let ``body(word, 16 word, carried)`` follow on itself, for at least one word."""
    before, loop, after = builder.block, builder.append_basic_block("words"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    word = builder.phi(I64)
    word.add_incoming(I64(0), before)
    carried = [builder.phi(value.type) for value in first]
    for phi, value in zip(carried, first, strict=True):
        phi.add_incoming(value, before)
    found = body(word, builder.mul(word, I64(16)), list(carried))
    following = builder.add(word, I64(1))
    end = builder.block  # the body may hold loops of its own
    word.add_incoming(following, end)
    for phi, value in zip(carried, found, strict=True):
        phi.add_incoming(value, end)
    builder.cbranch(builder.icmp_signed("<", following, words), loop, after)
    builder.position_at_end(after)
    return found


def over_rows(builder: Any, count: Any, stride: Any, body: Callable[[Any, Any], None]) -> None:
    """Let ``body(row, stride row)`` follow on itself, for at least one row."""
    before, loop, after = builder.block, builder.append_basic_block("rows"), builder.append_basic_block("column")
    builder.branch(loop)
    builder.position_at_end(loop)
    row, place = builder.phi(I64), builder.phi(I64)
    body(row, place)
    following = builder.add(row, I64(1))
    for phi, value in ((row, following), (place, builder.add(place, stride))):
        phi.add_incoming(I64(0), before)
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)


def load(builder: Any, pointer: Any, start: Any, at: Any) -> Any:
    """A word's numbers of the row that begins at a place."""
    return _load_block(builder, _LANES, builder.gep(pointer, [builder.add(start, at)]))[0]


def store(builder: Any, value: Any, pointer: Any, start: Any, at: Any) -> None:
    """Write a word's numbers of the row that begins at a place."""
    _store_block(builder, _LANES, builder.gep(pointer, [builder.add(start, at)]), [value])


def spread(builder: Any, number: Any) -> Any:
    """The number sixteen times."""
    return _spreads(builder, _LANES, number)[16]


def bits_of(builder: Any, value: Any) -> Any:
    """A word of bits: which of a word's numbers are not 0."""
    # NaN is not 0 either
    return builder.bitcast(builder.fcmp_unordered("!=", value, ZEROS), I16)


def chosen(builder: Any, bits: Any, start: Any, word: Any) -> Any:
    """Which of a word's numbers have their bit set."""
    return builder.bitcast(builder.load(builder.gep(bits, [builder.add(start, word)]), align=2), BITS)
