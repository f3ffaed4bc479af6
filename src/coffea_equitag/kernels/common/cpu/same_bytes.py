"""Whether numbers at many places in memory are those of a copy, in one pass at the speed of the memory."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ....array_types import I8
from ....compiled import njit

__all__ = ["same_bytes"]

_WORD = 8


@njit
def same_bytes(addresses: I8, sizes: I8, copy: int) -> bool:
    """Whether the bytes at these addresses, so many each, are those that lie one after another at `copy`."""
    for k in range(len(addresses)):
        here, size = addresses[k], sizes[k]
        words, differences = size // _WORD, 0
        for at in range(words):
            differences |= _word(here, _WORD * at) ^ _word(copy, _WORD * at)
        for at in range(_WORD * words, size):
            differences |= _byte(here, at) ^ _byte(copy, at)
        if differences != 0:
            return False
        copy += size
    return True


def _loader(kind: Any, bits: int) -> Any:
    def load(typing_context: Any, address: Any, at: Any) -> Any:
        """The number that begins so many bytes behind an address, aligned or not."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            start = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
            place = builder.gep(start, [arguments[1]])
            value = builder.load(builder.bitcast(place, ir.IntType(bits).as_pointer()))
            value.align = 1
            return value

        return kind(types.int64, types.int64), generate

    return intrinsic(load)


_word, _byte = _loader(types.int64, 64), _loader(types.uint8, 8)
