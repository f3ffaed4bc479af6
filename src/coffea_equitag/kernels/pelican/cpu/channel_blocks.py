"""How PELICAN's channels are divided into vector registers.

The number of channels differs between networks (7 to 144), so tiles are generated for each: channels are counted in
half vectors and divided into blocks that leave registers for the rows of a tile. The division is encoded in the type
of an argument, a tuple of tuples of zeros: numba compiles, and caches, one kernel per division.
"""

from __future__ import annotations

from typing import Any

from ...common.cpu.shapes import NARROW

__all__ = ["HALF", "ChannelBlocks", "blocks_for", "both_rows_of", "rows_of", "total_of", "widths_of"]

#: One tuple per block of channels, one zero per half vector.
ChannelBlocks = tuple[tuple[int, ...], ...]

_LANES = NARROW.widths[0]
HALF = _LANES // 2
_REGISTERS = 16 if _LANES == 8 else 32
#: Vectors per block: as many as leave room for four rows or more.
_MOST = {16: 5, 8: 3, 4: 6}[_LANES]
_MOST_ROWS = 12


def blocks_for(channels: int) -> ChannelBlocks:
    """Blocks of equal width that hold this many channels."""
    halves = max(-(-channels // HALF), 1)
    blocks = -(-halves // (2 * _MOST))
    return ((0,) * -(-halves // blocks),) * blocks


def widths_of(channels: Any) -> list[int]:
    """Vector lengths of one block; the argument is the numba type of a `ChannelBlocks`."""
    halves = channels.dtype.count
    return [_LANES] * (halves // 2) + [HALF] * (halves % 2)


def total_of(channels: Any) -> int:
    """All channels with padding; the argument as for `widths_of`."""
    return int(channels.count) * sum(widths_of(channels))


def rows_of(widths: list[int]) -> int:
    """Rows of a tile: its sums, one row of weights and one broadcast number fit the registers."""
    vectors = len(widths)
    return max(min((_REGISTERS - 1 - vectors) // vectors, _MOST_ROWS), 1)


def both_rows_of(widths: list[int]) -> int:
    """Rows of a tile with two sums for each."""
    vectors = len(widths)
    return max((_REGISTERS - 1 - vectors) // (2 * vectors), 1)
