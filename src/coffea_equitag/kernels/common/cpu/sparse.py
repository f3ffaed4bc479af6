"""Products with rows that are mostly zeros after a ReLU: only what is not 0 is multiplied.

A row comes with a bit for each of its numbers. For each bit that is set, a row of weights is added to sums that stay
in registers as vectors over the columns, in the order of the bits. Leaving out zeros changes no sum, so results are
those of the dense product to the last bit.

The intrinsics' arguments are flat, and many: numba hands each to LLVM as one value, an address or a number.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ....array_types import U2
from ....compiled import njit
from .llvm import BIT, FLOAT, INDEX, WORD, bytes_of, constant, pointers
from .masked_rows import bits_of, load, over_words
from .vector_rows import Lanes

__all__ = [
    "bits_of_row",
    "columns_of_bits",
    "gradients_row",
    "hidden_row",
    "linear_row",
    "ones",
    "over_bits",
]

#: Blocks of columns whose sums fit the registers; longer vectors than a CPU has are several of its own.
_BLOCKS = (16, 16, 16, 16, 8), (16,) * 4, (16,) * 2, (16,)


def _block(builder: Any, kind: str, widths: tuple[int, ...], places: list[Any]) -> Any:
    """One block of a row's columns; `places` are the arguments of `_row_of` up to the bits' place."""
    (bits, bits_at, words, x, x_at, x_step, w, w_at, w_stride, start, start_at, out, out_at, dot_vector, dot_vector_at,
     kept, kept_at) = places  # fmt: skip
    lanes, scaled = Lanes(builder, widths), kind == "gradients"
    numbers, rows = builder.gep(x, [x_at]), builder.gep(w, [w_at])
    bits = builder.gep(builder.bitcast(bits, WORD.as_pointer()), [bits_at])
    begin = lanes.load(start, start_at)

    def number(at: Any) -> list[Any]:
        return lanes.spread(builder.load(builder.gep(numbers, [at]), align=bytes_of(FLOAT)))

    def add(k: Any, sums: list[Any]) -> list[Any]:
        row = lanes.load(rows, builder.mul(k, w_stride))
        return lanes.add(sums, row) if scaled else lanes.fma(number(builder.mul(k, x_step)), row, sums)

    sums = over_bits(builder, [bits], words, lanes.zeros() if scaled else begin, add)
    if scaled:
        sums = lanes.fma(number(INDEX(0)), sums, begin)
    if kind == "hidden":
        sums = lanes.at_least(sums, lanes.zeros())
        for v, total in enumerate(sums):
            place = builder.gep(kept, [builder.add(kept_at, INDEX(v))])
            builder.store(bits_of(builder, total), place, align=2)
    lanes.store(sums, out, out_at)
    return FLOAT(0.0) if kind == "linear" else lanes.dot(sums, lanes.load(dot_vector, dot_vector_at))


def _row_of(kind: str) -> Any:
    """An intrinsic for a whole row in blocks of 72, 64, 32 or 16 columns."""

    @intrinsic
    def row(
        typing_context: Any,
        bits: Any,
        bits_at: Any,
        words: Any,
        x: Any,
        x_at: Any,
        x_step: Any,
        weight: Any,
        weight_at: Any,
        weight_stride: Any,
        start: Any,
        start_at: Any,
        out: Any,
        out_at: Any,
        dot_vector: Any,
        dot_vector_at: Any,
        kept: Any,
        kept_at: Any,
        width: Any,
        dot: Any,
    ) -> Any:
        """A row of `width` columns or more, from the bits in `words` times 16 bits; k counts them.

        linear: out = start + Σ_k x_k weight_k; returns `dot`.
        hidden: the same, cut off below 0; bits of what is not 0 to `kept`; returns dot + out·dot_vector.
        gradients: out = start + x_0 Σ_k weight_k; returns dot + out·dot_vector.

        Arguments are flat, as an intrinsic has no others: each array, then where in it the row is.
        """
        signature = types.float32(
            bits, types.intp, types.intp, x, types.intp, types.intp, weight, types.intp, types.intp,
            start, types.intp, out, types.intp, dot_vector, types.intp, kept, types.intp, types.intp, types.float32,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            *places, width, dot = pointers(context, builder, signature, arguments)

            def block(widths: tuple[int, ...], c: Any, total: Any) -> Any:
                at = list(places)
                for place in (_WEIGHT_AT, _START_AT, _OUT_AT, _DOT_VECTOR_AT):
                    at[place] = builder.add(at[place], c)
                at[_KEPT_AT] = builder.add(at[_KEPT_AT], builder.lshr(c, INDEX(4)))
                found = _block(builder, kind, widths, at)
                return total if kind == "linear" else builder.fadd(total, found)

            return over_blocks(builder, width, dot, block)

        return signature, generate

    return row


#: Places in the arguments of `_row_of` that depend on the column.
_WEIGHT_AT, _START_AT, _OUT_AT, _DOT_VECTOR_AT, _KEPT_AT = 7, 10, 12, 14, 16


def over_blocks(builder: Any, width: Any, first: Any, block: Any) -> Any:
    """Let ``block(widths, c, total)`` follow on itself over the columns c of a row of `width`.

    A block is 72 wide where just that is left, 64 where more than 48 are, 32 where more than 16 are, else 16.
    """
    before = builder.block
    head, choose, after = (builder.append_basic_block(name) for name in ("columns", "choose", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    c, total = builder.phi(INDEX), builder.phi(first.type)
    c.add_incoming(INDEX(0), before)
    total.add_incoming(first, before)
    builder.cbranch(builder.icmp_signed("<", c, width), choose, after)

    builder.position_at_end(choose)
    left = builder.sub(width, c)
    just = builder.and_(builder.icmp_signed(">", left, INDEX(64)), builder.icmp_signed("<=", left, INDEX(72)))
    more = [builder.icmp_signed(">", left, INDEX(columns)) for columns in (48, 16)]
    for widths, chosen in zip(_BLOCKS, (just, *more, None), strict=True):
        here = builder.append_basic_block("block")
        if chosen is None:
            builder.branch(here)
        else:
            otherwise = builder.append_basic_block("otherwise")
            builder.cbranch(chosen, here, otherwise)
        builder.position_at_end(here)
        found = block(widths, c, total)
        following = builder.add(c, INDEX(sum(widths)))
        c.add_incoming(following, builder.block)
        total.add_incoming(found, builder.block)
        builder.branch(head)
        if chosen is not None:
            builder.position_at_end(otherwise)
    builder.position_at_end(after)
    return total


def over_bits(builder: Any, rows: list[Any], words: Any, first: list[Any], add: Any) -> list[Any]:
    """Let ``add(k, sums)`` follow on itself for each bit k that is set in one of the rows of bits, in their order."""
    before = builder.block
    next_word, load, next_bit, one, done, after = (
        builder.append_basic_block(name) for name in ("word", "load", "bit", "one", "done", "after")
    )
    builder.branch(next_word)
    builder.position_at_end(next_word)
    word = builder.phi(INDEX)
    word.add_incoming(INDEX(0), before)
    sums = [builder.phi(value.type) for value in first]
    for phi, value in zip(sums, first, strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", word, words), load, after)

    builder.position_at_end(load)
    # four words of 16 bits, or what is left of them
    left = builder.sub(words, word)
    left = builder.select(builder.icmp_signed("<", left, INDEX(4)), left, INDEX(4))
    beyond = builder.sub(INDEX(64), builder.mul(left, INDEX(16)))
    places = [builder.bitcast(builder.gep(bits, [word]), INDEX.as_pointer()) for bits in rows]
    found = reduce(builder.or_, [builder.load(place, align=2) for place in places])
    loaded = builder.lshr(builder.shl(found, beyond), beyond)
    base = builder.mul(word, INDEX(16))
    builder.branch(next_bit)

    builder.position_at_end(next_bit)
    rest = builder.phi(INDEX)
    rest.add_incoming(loaded, load)
    running = [builder.phi(value.type) for value in first]
    for phi, value in zip(running, sums, strict=True):
        phi.add_incoming(value, load)
    builder.cbranch(builder.icmp_signed("!=", rest, INDEX(0)), one, done)

    builder.position_at_end(one)
    k = builder.add(base, builder.cttz(rest, BIT(1)))
    rest.add_incoming(builder.and_(rest, builder.sub(rest, INDEX(1))), one)
    for phi, value in zip(running, add(k, running), strict=True):
        phi.add_incoming(value, one)
    builder.branch(next_bit)

    builder.position_at_end(done)
    word.add_incoming(builder.add(word, INDEX(4)), done)
    for phi, value in zip(sums, running, strict=True):
        phi.add_incoming(value, done)
    builder.branch(next_word)
    builder.position_at_end(after)
    return list(sums)


@intrinsic
def bits_of_row(typing_context: Any, x: Any, x_at: Any, words: Any, out: Any, out_at: Any) -> Any:
    """A bit for each number of a row, set where it is not 0: `words` words of 16, one or more."""
    signature = types.void(x, types.intp, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, words, out, out_at = pointers(context, builder, signature, arguments)

        def body(word: Any, at: Any, carried: list[Any]) -> list[Any]:
            found = bits_of(builder, load(builder, x, x_at, at))
            builder.store(found, builder.gep(out, [builder.add(out_at, word)]), align=2)
            return carried

        over_words(builder, words, [], body)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def columns_of_bits(typing_context: Any, planes: Any, planes_at: Any, out: Any, out_at: Any) -> Any:
    """From 16 bits each of 64 rows to 64 bits each of 16 columns."""
    signature = types.void(planes, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        planes, planes_at, out, out_at = pointers(context, builder, signature, arguments)
        kind = ir.VectorType(WORD, 64)
        rows = builder.load(builder.bitcast(builder.gep(planes, [planes_at]), kind.as_pointer()), align=2)
        for bit in range(16):
            one = constant(kind, 1 << bit if bit < 15 else -(1 << 15))
            found = builder.icmp_unsigned("!=", builder.and_(rows, one), constant(kind, 0))
            place = builder.gep(out, [builder.add(out_at, out_at.type(bit))])
            builder.store(builder.bitcast(found, INDEX), place, align=8)
        return context.get_dummy_value()

    return signature, generate


linear_row, hidden_row, gradients_row = (_row_of(kind) for kind in ("linear", "hidden", "gradients"))


@njit
def ones(bits: U2, words: int) -> int:
    """Bits that are set in the first words."""
    total = 0
    for word in range(words):
        # pairs, quadruples, bytes: a popcount that becomes vectors
        x = np.uint32(bits[word])
        x = x - ((x >> np.uint32(1)) & np.uint32(0x5555))
        x = (x & np.uint32(0x3333)) + ((x >> np.uint32(2)) & np.uint32(0x3333))
        x = (x + (x >> np.uint32(4))) & np.uint32(0x0F0F)
        total += int((x + (x >> np.uint32(8))) & np.uint32(0x1F))
    return total
