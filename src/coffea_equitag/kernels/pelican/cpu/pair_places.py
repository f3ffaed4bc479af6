"""Where PELICAN's messages, their bits of dropout, and their sums over nodes stand, for LLVM code.

Messages Y are rows of channels, Y_ij of a jet's pairs i < j first, then Y_ji in the same order, then Y_ii. A chunk's
pairs and their mirror images stand in two arrays, and those on the diagonal in the first.
"""

from __future__ import annotations

from typing import Any

from ...common.cpu.vector_rows import INDEX, Lanes
from .pair_dropout import vector_bytes
from .pair_shapes import total_of, widths_of

__all__ = ["COLUMN", "DIAGONAL", "ROW", "MessageRows"]

#: Sums over messages that a node keeps, in this order: X_ii; X_ji over j; X_ij over j.
DIAGONAL, COLUMN, ROW = range(3)


class MessageRows:
    """One block of columns, from column `at` on, of rows of messages; of their bits; of sums over nodes, (n, 3, C)."""

    def __init__(self, builder: Any, narrow: Any, at: Any) -> None:
        self.builder, self.at = builder, at
        self.lanes = Lanes(builder, widths_of(narrow))
        self.total = INDEX(total_of(narrow))
        block = sum(map(vector_bytes, self.lanes.widths))
        self.bytes = INDEX(narrow.count * block)
        # column `at` is a multiple of a block
        self.byte = builder.mul(builder.sdiv(at, INDEX(self.lanes.block)), INDEX(block))

    def row(self, index: Any) -> Any:
        """Of messages."""
        return self.builder.add(self.builder.mul(index, self.total), self.at)

    def bits(self, index: Any) -> Any:
        """The first byte of bits."""
        return self.builder.add(self.builder.mul(index, self.bytes), self.byte)

    def node(self, index: Any, kind: int) -> Any:
        """Of a node's sums."""
        return self.row(self.builder.add(self.builder.mul(index, INDEX(3)), INDEX(kind)))
