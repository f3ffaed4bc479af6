"""A fingerprint of numbers at many places in memory, in one pass at the speed of the memory.

Words of 8 bytes go in turn into lanes s ← h(s xor word), h(v) = w xor w/2³² with w = F · (v xor v/2²⁹) mod 2⁶⁴. This is
one-to-one both in s and in the word, so that one changed word always shows; several that change leave a lane as it was
with a probability of 2⁻⁶⁴. The first shift lets the highest bit act upon others; by 32, signs of two float32 in a word,
both changed, would leave only it, and those of the lane's next word undo that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ....array_types import I8, AnyArray
from ....compiled import inner, njit

__all__ = ["fingerprint"]

_WORD, _LANES = 8, 64
#: 2⁶⁴ over the golden ratio, odd, and the shifts.
_FACTOR, _BEFORE, _AFTER = np.uint64(0x9E3779B97F4A7C15), np.uint64(29), np.uint64(32)


def fingerprint(addresses: I8, sizes: I8) -> AnyArray:
    """Fingerprint of the bytes at these addresses, so many each; shape (64,), uint64."""
    lanes = np.zeros(_LANES, np.uint64)
    _take(addresses, sizes, lanes)
    return lanes


@njit
def _take(addresses: I8, sizes: I8, lanes: AnyArray) -> None:
    for k in range(len(addresses)):
        here, size = addresses[k], sizes[k]
        words = size // _WORD
        whole = words // _LANES * _LANES
        for at in range(0, whole, _LANES):
            for lane in range(_LANES):
                lanes[lane] = _mixed(lanes[lane], _word(here, _WORD * (at + lane)))
        for lane in range(words - whole):
            lanes[lane] = _mixed(lanes[lane], _word(here, _WORD * (whole + lane)))
        for at in range(_WORD * words, size):
            lanes[0] = _mixed(lanes[0], _byte(here, at))


@inner
def _mixed(lane: Any, word: Any) -> Any:
    value = lane ^ word
    value = (value ^ (value >> _BEFORE)) * _FACTOR
    return value ^ (value >> _AFTER)


def _loader(bits: int) -> Any:
    def load(typing_context: Any, address: Any, at: Any) -> Any:
        """The number that begins so many bytes behind an address, aligned or not."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            start = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
            place = builder.gep(start, [arguments[1]])
            value = builder.load(builder.bitcast(place, ir.IntType(bits).as_pointer()))
            value.align = 1
            return value if bits == 64 else builder.zext(value, ir.IntType(64))

        return types.uint64(types.int64, types.int64), generate

    return intrinsic(load)


_word, _byte = _loader(64), _loader(8)
