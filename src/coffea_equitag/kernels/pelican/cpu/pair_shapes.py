"""How PELICAN's channels fall into vector registers.

Channel numbers differ from network to network (7 to 144), so tiles are made for each: channels are counted in halves of
a vector, and cut into blocks that leave registers for the rows of a tile. The shape travels in the type of an argument,
a tuple of tuples of zeros: numba compiles, and caches, one kernel for each.
"""

from __future__ import annotations

from typing import Any

from ...common.cpu.shapes import NARROW

__all__ = ["HALF", "Columns", "columns_for", "rows_of", "total_of", "widths_of"]

#: One tuple a block of columns, one zero a half vector.
Columns = tuple[tuple[int, ...], ...]

_LANES = NARROW.widths[0]
HALF = _LANES // 2
_REGISTERS = 16 if _LANES == 8 else 32
#: Vectors of a block: as many as leave room for four rows or more.
_MOST = {16: 5, 8: 3, 4: 6}[_LANES]
_MOST_ROWS = 12


def columns_for(channels: int) -> Columns:
    """Blocks of equal width that hold so many channels."""
    halves = max(-(-channels // HALF), 1)
    blocks = -(-halves // (2 * _MOST))
    return ((0,) * -(-halves // blocks),) * blocks


def widths_of(columns: Any) -> list[int]:
    """Vector lengths of one block; the argument is the numba type of a `Columns`."""
    halves = columns.dtype.count
    return [_LANES] * (halves // 2) + [HALF] * (halves % 2)


def total_of(columns: Any) -> int:
    """All columns, padding counted; the argument as of `widths_of`."""
    return int(columns.count) * sum(widths_of(columns))


def rows_of(widths: list[int]) -> int:
    """Rows of a tile: sums, one row of weights and one spread number fit the registers."""
    vectors = len(widths)
    return max(min((_REGISTERS - 1 - vectors) // vectors, _MOST_ROWS), 1)
