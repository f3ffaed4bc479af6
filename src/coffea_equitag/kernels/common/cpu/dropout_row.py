"""Dropout of a row of attention weights, by the hash of `common.dropout.kept_channels`, as LLVM code."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..dropout import GOLDEN, GOLDEN_64, MIX, MIX_64, threshold_of
from .llvm import INDEX, INT, constant, loop, pointers, spread
from .shapes import WIDE
from .vector_rows import Lanes

__all__ = ["NO_DROP", "Drop", "drop_of_probability", "drop_row"]

_LANE = max(WIDE.widths)


class Drop(NamedTuple):
    """Which weights are dropped: key and threshold of the hash, and what the others are multiplied by."""

    key: int
    threshold: int
    factor: np.float32


NO_DROP = Drop(0, 0, np.float32(1.0))


def drop_of_probability(probability: float, key: int) -> Drop:
    """What drops weights with a probability, and how a key that was drawn says."""
    return Drop(key, threshold_of(probability), np.float32(1 / (1 - probability) if probability < 1 else 0.0))


@intrinsic
def drop_row(typing_context: Any, x: Any, x_at: Any, columns: Any, pair: Any, head: Any, drop: Any) -> Any:
    """Multiply whole vectors of a head's weights, of pairs from one on, by 0 or by the factor; NaN stays NaN."""
    signature = types.void(x, types.intp, types.intp, types.intp, types.intp, drop)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, at, columns, pair, head, (key, threshold, factor) = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [_LANE])
        factors, zeros = lanes.spread(factor)[0], lanes.zeros()[0]
        steps = ir.Constant(ir.VectorType(INDEX, _LANE), list(range(_LANE)))
        limit = spread(builder, builder.trunc(threshold, INT), _LANE)
        channel = builder.mul(builder.trunc(head, INT), INT(_signed(GOLDEN, 32)))

        def body(k: Any, carried: list[Any]) -> list[Any]:
            shift = builder.mul(k, INDEX(_LANE))
            pairs = builder.add(spread(builder, builder.add(pair, shift), _LANE), steps)
            bits = _hashed(builder, pairs, spread(builder, key, _LANE), spread(builder, channel, _LANE))
            factor = builder.select(builder.icmp_unsigned(">=", bits, limit), factors, zeros)
            place = builder.add(at, shift)
            lanes.store([builder.fmul(lanes.load(x, place)[0], factor)], x, place)
            return carried

        loop(builder, builder.sdiv(columns, INDEX(_LANE)), [], body)
        return context.get_dummy_value()

    return signature, generate


def _hashed(builder: Any, pairs: Any, key: Any, channel: Any) -> Any:
    """32 bits of each pair and the channel."""
    wide, narrow = pairs.type, channel.type

    def mixed(value: Any, shift: int, factor: int) -> Any:
        kind, bits = (wide, 64) if value.type == wide else (narrow, 32)
        value = builder.xor(value, builder.lshr(value, constant(kind, shift)))
        return builder.mul(value, constant(kind, _signed(factor, bits)))

    x = builder.add(key, builder.mul(pairs, constant(wide, _signed(GOLDEN_64, 64))))
    x = mixed(x, 32, MIX_64)
    y = builder.trunc(builder.xor(x, builder.lshr(x, constant(wide, 32))), narrow)
    y = builder.add(y, channel)
    for shift, factor in MIX:
        y = mixed(y, shift, factor)
    return builder.xor(y, builder.lshr(y, constant(narrow, 16)))


def _signed(value: int, bits: int) -> int:
    """An integer as llvmlite expects it."""
    return value - (1 << bits) if value >> (bits - 1) else value
