"""Where messages, their dropout bits and their sums over nodes are stored in training, for LLVM code.

Messages Y are rows of channels: Y_ij of a jet's pairs i < j first, then Y_ji in the same order, then Y_ii. The rows of
a chunk's pairs and of their mirror images are two arrays; pairs on the diagonal use the first.
"""

from __future__ import annotations

from typing import Any

from ...common.cpu.llvm import INDEX
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import total_of, widths_of
from .dropout_bits import vector_bytes

__all__ = ["COLUMN", "DIAGONAL", "ROW", "MessageRows"]

#: The sums of messages that a node i has, in this order: X_ii; X_ji over j; X_ij over j.
DIAGONAL, COLUMN, ROW = range(3)


class MessageRows:
    """One block of channels, from channel `at` on, of message rows, of their bits, and of node sums (n, 3, C)."""

    def __init__(self, builder: Any, narrow: Any, at: Any) -> None:
        self.builder, self.at = builder, at
        self.lanes = Lanes(builder, widths_of(narrow))
        self.total = INDEX(total_of(narrow))
        block = sum(map(vector_bytes, self.lanes.widths))
        self.bytes = INDEX(narrow.count * block)
        # channel `at` is a multiple of a block
        self.byte = builder.mul(builder.sdiv(at, INDEX(self.lanes.block)), INDEX(block))

    def row(self, index: Any) -> Any:
        """Where a message's block begins."""
        return self.builder.add(self.builder.mul(index, self.total), self.at)

    def bits(self, index: Any) -> Any:
        """The first byte of its bits."""
        return self.builder.add(self.builder.mul(index, self.bytes), self.byte)

    def node(self, index: Any, kind: int) -> Any:
        """Where one of a node's sums begins."""
        return self.row(self.builder.add(self.builder.mul(index, INDEX(3)), INDEX(kind)))
