"""LLVM code for dropout: its hash, and bits that tell which channels of a stored message are kept."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...common.cpu.llvm import INDEX, INT, spread
from ...common.cpu.vector_rows import Lanes
from ...common.dropout import GOLDEN, GOLDEN_64, MIX, MIX_64
from .channel_blocks import HALF, ChannelBlocks

__all__ = ["bytes_of", "drop_hash", "hashed_kept", "load_kept", "only", "store_kept", "vector_bytes"]


def bytes_of(channels: ChannelBlocks) -> int:
    """Bytes per pair: one bit per channel, whole bytes per vector."""
    halves = len(channels[0])
    return len(channels) * (halves // 2 * vector_bytes(2 * HALF) + halves % 2 * vector_bytes(HALF))


def vector_bytes(width: int) -> int:
    """Bytes for the bits of one vector."""
    return max(width // 8, 1)


def drop_hash(builder: Any, key: Any, pair: Any) -> Any:
    """32 bits for a pair, from integers of 64."""
    x = builder.add(key, builder.mul(pair, _number(INDEX, GOLDEN_64)))
    x = builder.mul(builder.xor(x, builder.lshr(x, INDEX(32))), _number(INDEX, MIX_64))
    return builder.trunc(builder.xor(x, builder.lshr(x, INDEX(32))), INT)


def hashed_kept(lanes: Lanes, hashed: Any, at: Any, threshold: Any) -> list[Any]:
    """Vectors of bits: which of a block's channels, from channel `at` on, are kept."""
    builder, out, before = lanes.builder, [], 0
    first = builder.add(hashed, builder.mul(builder.trunc(at, INT), _number(INT, GOLDEN)))
    for width in lanes.widths:
        kind = ir.VectorType(INT, width)
        steps = ir.Constant(kind, [_number(INT, (before + lane) * GOLDEN) for lane in range(width)])
        y = builder.add(spread(builder, first, width), steps)
        for shift, factor in MIX:
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
    """An integer constant; llvmlite expects the signed value."""
    value %= 1 << kind.width
    return kind(value - (1 << kind.width) if value >> (kind.width - 1) else value)
