"""Rows of 64 or 128 columns from what is not 0 in the numbers before: a part of their sums, kept in registers.

Sums of 64 columns alone wait for each other on processors with two units for multiply-adds: four vectors, of which each
takes four cycles. Those of 128 do not, and need fewer loads. Only AVX-512 has registers for them.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from .llvm import FLOAT, WORD, bytes_of, pointers
from .sparse import over_bits
from .vector_rows import Lanes

__all__ = ["row_64", "row_128"]


def _row_of(columns: int) -> Any:
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
        gap: Any,
        start: Any,
        start_at: Any,
        floor: Any,
        out: Any,
        out_at: Any,
    ) -> Any:
        """Max(start + Σ_k x_k weight_k, floor), k over the bits in `words` times 16 bits, in their order.

        The last 64 of 128 columns of the weights begin `gap` numbers after the first 64. Arguments are flat: each
        array, then where in it the row is.
        """
        at = types.intp
        signature = types.void(bits, at, at, x, at, at, weight, at, at, at, start, at, types.float32, out, at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (bits, bits_at, words, x, x_at, x_step, weight, weight_at, weight_stride, gap, start, start_at, floor, out,
             out_at) = pointers(context, builder, signature, arguments)  # fmt: skip
            part, lanes = Lanes(builder, (16,) * 4), Lanes(builder, (16,) * (columns // 16))
            numbers, rows = builder.gep(x, [x_at]), [builder.gep(weight, [weight_at])]
            if columns > part.block:
                rows.append(builder.gep(rows[0], [gap]))
            bits = builder.gep(builder.bitcast(bits, WORD.as_pointer()), [bits_at])

            def add(k: Any, sums: list[Any]) -> list[Any]:
                place = builder.mul(k, weight_stride)
                vectors = [vector for half in rows for vector in part.load(half, place)]
                number = builder.load(builder.gep(numbers, [builder.mul(k, x_step)]), align=bytes_of(FLOAT))
                return lanes.fma(lanes.spread(number), vectors, sums)

            sums = over_bits(builder, [bits], words, lanes.load(start, start_at), add)
            lanes.store(lanes.at_least(sums, lanes.spread(floor)), out, out_at)
            return context.get_dummy_value()

        return signature, generate

    return row


row_64, row_128 = _row_of(64), _row_of(128)
