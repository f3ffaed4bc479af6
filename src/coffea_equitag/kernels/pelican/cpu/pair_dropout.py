"""Which channels of a pair dropout keeps: a hash of the call, the pair and the channel, the same in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from ....array_types import AnyArray
from ...common.cpu.vector_rows import INDEX, INT, Lanes, spread
from .pair_shapes import HALF, Columns

__all__ = [
    "bytes_of",
    "drop_hash",
    "hashed_kept",
    "kept_channels",
    "load_kept",
    "only",
    "store_kept",
    "vector_bytes",
]

_GOLDEN_64, _MIX_64 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B9, 0x7FEB352D, 0x846CA68B


def bytes_of(columns: Columns) -> int:
    """Bytes that tell which channels of a pair are kept: a bit a channel, whole bytes a vector."""
    halves = len(columns[0])
    return len(columns) * (halves // 2 * vector_bytes(2 * HALF) + halves % 2 * vector_bytes(HALF))


def vector_bytes(width: int) -> int:
    """Bytes for the bits of one vector."""
    return max(width // 8, 1)


def kept_channels(key: int, pairs: AnyArray, channels: int, threshold: int) -> AnyArray:
    """The same in numpy: whether dropout keeps each channel, (P, C), of pairs with these numbers."""
    with np.errstate(over="ignore"):
        x = np.uint64(key) + pairs.astype(np.uint64) * np.uint64(_GOLDEN_64)
        x = (x ^ (x >> np.uint64(32))) * np.uint64(_MIX_64)
        x ^= x >> np.uint64(32)
        y = x.astype(np.uint32)[:, None] + np.arange(channels, dtype=np.uint32) * np.uint32(_GOLDEN)
        for shift, factor in ((16, _MIX_1), (15, _MIX_2)):
            y = (y ^ (y >> np.uint32(shift))) * np.uint32(factor)
    kept: AnyArray = (y ^ (y >> np.uint32(16))) >= np.uint32(threshold)
    return kept


def drop_hash(builder: Any, key: Any, pair: Any) -> Any:
    """32 bits for a pair, from integers of 64."""
    x = builder.add(key, builder.mul(pair, _number(INDEX, _GOLDEN_64)))
    x = builder.mul(builder.xor(x, builder.lshr(x, INDEX(32))), _number(INDEX, _MIX_64))
    return builder.trunc(builder.xor(x, builder.lshr(x, INDEX(32))), INT)


def hashed_kept(lanes: Lanes, hashed: Any, at: Any, threshold: Any) -> list[Any]:
    """Vectors of bits: which of a block's channels, from column `at` on, are kept."""
    builder, out, before = lanes.builder, [], 0
    first = builder.add(hashed, builder.mul(builder.trunc(at, INT), _number(INT, _GOLDEN)))
    for width in lanes.widths:
        kind = ir.VectorType(INT, width)
        steps = ir.Constant(kind, [_number(INT, (before + lane) * _GOLDEN) for lane in range(width)])
        y = builder.add(spread(builder, first, width), steps)
        for shift, factor in ((16, _MIX_1), (15, _MIX_2)):
            y = builder.xor(y, builder.lshr(y, ir.Constant(kind, [INT(shift)] * width)))
            y = builder.mul(y, ir.Constant(kind, [_number(INT, factor)] * width))
        y = builder.xor(y, builder.lshr(y, ir.Constant(kind, [INT(16)] * width)))
        out.append(builder.icmp_unsigned(">=", y, spread(builder, threshold, width)))
        before += width
    return out


def store_kept(lanes: Lanes, kept: list[Any], pointer: Any, at: Any) -> None:
    """Write a block's bits from byte `at` on."""
    for bits, place, kind in _bit_places(lanes, pointer, at):
        whole = lanes.builder.bitcast(kept[bits], ir.IntType(lanes.widths[bits]))
        if kind.width > lanes.widths[bits]:
            whole = lanes.builder.zext(whole, kind)
        lanes.builder.store(whole, place, align=1)


def load_kept(lanes: Lanes, pointer: Any, at: Any) -> list[Any]:
    """Read them as vectors of bits."""
    out = []
    for bits, place, kind in _bit_places(lanes, pointer, at):
        whole, width = lanes.builder.load(place, align=1), lanes.widths[bits]
        if kind.width > width:
            whole = lanes.builder.trunc(whole, ir.IntType(width))
        out.append(lanes.builder.bitcast(whole, ir.VectorType(ir.IntType(1), width)))
    return out


def only(lanes: Lanes, kept: list[Any], values: list[Any]) -> list[Any]:
    """Numbers where bits are set, 0 elsewhere."""
    return [
        lanes.builder.select(bits, value, zero) for bits, value, zero in zip(kept, values, lanes.zeros(), strict=True)
    ]


def _bit_places(lanes: Lanes, pointer: Any, at: Any) -> list[tuple[int, Any, Any]]:
    builder, out, before = lanes.builder, [], 0
    for vector, width in enumerate(lanes.widths):
        kind = ir.IntType(8 * vector_bytes(width))
        place = builder.gep(pointer, [builder.add(at, INDEX(before))])
        out.append((vector, builder.bitcast(place, kind.as_pointer()), kind))
        before += vector_bytes(width)
    return out


def _number(kind: Any, value: int) -> Any:
    """A constant of so many bits, which llvmlite wants with a sign."""
    value %= 1 << kind.width
    return kind(value - (1 << kind.width) if value >> (kind.width - 1) else value)
