"""Products of two rows at a time that are mostly zeros after a ReLU, for rows of 32 numbers or 16.

The sums of one row this short wait for each other: a multiply-add takes four cycles, and only two of them are
independent. So two rows take turns, for every k that one of them has; where it is 0 in the other, that row's sums stay
what they are. Sums are those of one row alone (`sparse`), to the last bit.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .llvm import FLOAT, INDEX, WORD, bytes_of, pointers
from .masked_rows import bits_of
from .sparse import over_bits
from .vector_rows import Lanes

__all__ = ["MOST", "hidden_pair", "linear_pair"]

#: Channels of the longest rows.
MOST = 32


def _pair_of(kind: str) -> Any:
    @intrinsic
    def pair(
        typing_context: Any,
        bits: Any,
        bits_at: Any,
        words: Any,
        x: Any,
        x_at: Any,
        x_step: Any,
        x_row: Any,
        weight: Any,
        start: Any,
        start_at: Any,
        start_row: Any,
        out: Any,
        out_at: Any,
        dot_vector: Any,
        dots: Any,
        dots_at: Any,
        kept: Any,
        kept_at: Any,
        channels: Any,
    ) -> Any:
        """Two rows from their bits, one after the other in `words` times 16 bits each; k counts them.

        linear: out = start + Σ_k x_k weight_k. hidden: the same, cut off below 0; bits of what is not 0 to `kept`, and
        out·dot_vector added to `dots`. The second row is `x_row`, `start_row` and `channels` after the first; weights
        are rows of so many channels, 16 or 32.
        """
        at = types.intp
        signature = types.void(
            bits, at, at, x, at, at, at, weight, start, at, at, out, at, dot_vector, dots, at, kept, at, at
        )

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            *places, channels = pointers(context, builder, signature, arguments)
            is_long = builder.icmp_signed(">", channels, INDEX(16))
            with builder.if_else(is_long) as (long, short):
                with long:
                    _two_rows(builder, kind, (16, 16), places, channels)
                with short:
                    _two_rows(builder, kind, (16,), places, channels)
            return context.get_dummy_value()

        return signature, generate

    return pair


def _two_rows(builder: Any, kind: str, widths: tuple[int, ...], places: list[Any], channels: Any) -> None:
    (bits, bits_at, words, x, x_at, x_step, x_row, weight, start, start_at, start_row, out, out_at, dot_vector, dots,
     dots_at, kept, kept_at) = places  # fmt: skip
    lanes, n = Lanes(builder, widths), len(widths)
    firsts = [builder.gep(x, [x_at]), builder.gep(x, [builder.add(x_at, x_row)])]
    rows = [builder.gep(builder.bitcast(bits, WORD.as_pointer()), [builder.add(bits_at, k)]) for k in (INDEX(0), words)]
    begin = [lanes.load(start, place) for place in (start_at, builder.add(start_at, start_row))]

    def add(k: Any, sums: list[Any]) -> list[Any]:
        row, place = lanes.load(weight, builder.mul(k, channels)), builder.mul(k, x_step)
        numbers = [lanes.spread(builder.load(builder.gep(first, [place]), align=bytes_of(FLOAT))) for first in firsts]
        return lanes.fma(numbers[0], row, sums[:n]) + lanes.fma(numbers[1], row, sums[n:])

    sums = over_bits(builder, rows, words, begin[0] + begin[1], add)
    for k, values in enumerate((sums[:n], sums[n:])):
        if kind == "hidden":
            values = lanes.at_least(values, lanes.zeros())
            _keep(builder, values, kept, builder.add(kept_at, builder.mul(INDEX(k), words)))
            place = builder.gep(dots, [builder.add(dots_at, INDEX(k))])
            dot = lanes.dot(values, lanes.load(dot_vector))
            builder.store(builder.fadd(builder.load(place, align=bytes_of(FLOAT)), dot), place, align=bytes_of(FLOAT))
        lanes.store(values, out, builder.add(out_at, builder.mul(INDEX(k), channels)))


def _keep(builder: Any, values: list[ir.Value], kept: Any, at: Any) -> None:
    for v, value in enumerate(values):
        builder.store(bits_of(builder, value), builder.gep(kept, [builder.add(at, INDEX(v))]), align=2)


hidden_pair, linear_pair = (_pair_of(kind) for kind in ("hidden", "linear"))
