"""Queries, keys and values of the heads: normalised, and the four components and the scalars of a head side by side."""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner
from .invariants import head_invariant, inverse_root, scale_head
from .workspace import Rows

__all__ = ["pack_heads", "unpack_heads"]


@inner
def pack_heads(
    rows: Rows, nodes: int, heads: int, sizes: tuple[int, int], share: np.float32, out: tuple[F4, F4, F4], first: int
) -> None:
    """From rows with channels (3, H, V) and (3, H, S) to rows `first` on of q, k and v with channels (H, 4V + S).

    `sizes` are V and S, whole fours. Queries have their space components reversed: q·k is then a plain sum.
    """
    (wide_v, wide_s), v, s = sizes, rows.vectors, rows.scalars
    size = 4 * wide_v + wide_s
    for i in range(nodes):
        for part in range(3):
            for head in range(heads):
                v_at = 4 * i * v.shape[1] + (part * heads + head) * wide_v
                s_at = i * s.shape[1] + (part * heads + head) * wide_s
                invariant = head_invariant(v, v_at, v.shape[1], wide_v // 4, s, s_at, wide_s // 4)
                scale = inverse_root(invariant, share)
                to = (first + i) * heads * size + head * size
                scale_head(s, s_at, scale, out[part], to + 4 * wide_v, wide_s // 4)
                for c in range(4):
                    sign = -scale if part == 0 and c > 0 else scale
                    scale_head(v, v_at + c * v.shape[1], sign, out[part], to + c * wide_v, wide_v // 4)


@inner
def unpack_heads(rows: F4, first: int, nodes: int, heads: int, sizes: tuple[int, int], out: Rows) -> None:
    """From rows `first` on with channels (H, 4V + S) to the first ones with channels (H, V) and (H, S)."""
    (wide_v, wide_s), v, s = sizes, out.vectors, out.scalars
    size, one = 4 * wide_v + wide_s, np.float32(1)
    for i in range(nodes):
        for head in range(heads):
            at = (first + i) * heads * size + head * size
            for c in range(4):
                scale_head(rows, at + c * wide_v, one, v, (4 * i + c) * v.shape[1] + head * wide_v, wide_v // 4)
            scale_head(rows, at + 4 * wide_v, one, s, i * s.shape[1] + head * wide_s, wide_s // 4)
