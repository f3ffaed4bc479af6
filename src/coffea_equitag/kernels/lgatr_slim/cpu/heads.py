"""Queries, keys and values of the heads: normalised, and the four components and the scalars of a head side by side."""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner, njit
from .invariants import head_invariant, inverse_root, normed_head, scale_head
from .workspace import Rows

__all__ = ["head_rows", "pack_heads", "unpack_heads"]

_ONE = np.float32(1)


@inner
def pack_heads(
    rows: Rows, first: int, nodes: int, heads: int, sizes: tuple[int, int], share: np.float32,
    out: tuple[F4, F4, F4], out_first: int,
) -> None:  # fmt: skip
    """From rows with channels (3, H, V) and (3, H, S) to those of q, k and v with channels (H, 4V + S).

    `sizes` are V and S, whole fours. Queries have their space components reversed: q·k is then a plain sum.
    """
    (wide_v, wide_s), v, s = sizes, rows.vectors, rows.scalars
    size = 4 * wide_v + wide_s
    for i in range(nodes):
        for part in range(3):
            for head in range(heads):
                v_at = 4 * (first + i) * v.shape[1] + (part * heads + head) * wide_v
                s_at = (first + i) * s.shape[1] + (part * heads + head) * wide_s
                to = (out_first + i) * heads * size + head * size
                sign = -_ONE if part == 0 else _ONE
                if wide_v == 4 and wide_s == 12:
                    normed_head(v, v_at, v.shape[1], s, s_at, share, sign, out[part], to)
                    continue
                invariant = head_invariant(v, v_at, v.shape[1], wide_v // 4, s, s_at, wide_s // 4)
                scale = inverse_root(invariant, share)
                scale_head(s, s_at, scale, out[part], to + 4 * wide_v, wide_s // 4)
                for c in range(4):
                    factor = sign * scale if c > 0 else scale
                    scale_head(v, v_at + c * v.shape[1], factor, out[part], to + c * wide_v, wide_v // 4)


@inner
def unpack_heads(rows: F4, first: int, nodes: int, heads: int, sizes: tuple[int, int], out: Rows) -> None:
    """From rows `first` on with channels (H, 4V + S) to the first ones with channels (H, V) and (H, S)."""
    (wide_v, wide_s), v, s = sizes, out.vectors, out.scalars
    size = 4 * wide_v + wide_s
    for i in range(nodes):
        for head in range(heads):
            at = (first + i) * heads * size + head * size
            for c in range(4):
                scale_head(rows, at + c * wide_v, _ONE, v, (4 * i + c) * v.shape[1] + head * wide_v, wide_v // 4)
            scale_head(rows, at + 4 * wide_v, _ONE, s, i * s.shape[1] + head * wide_s, wide_s // 4)


@njit
def head_rows(
    rows: Rows, heads: int, sizes: tuple[int, int], share: np.float32, out: tuple[F4, F4, F4], first: int, last: int
) -> None:
    """As `pack_heads`, of nodes ``first:last`` in their places."""
    pack_heads(rows, first, last - first, heads, sizes, share, out, first)
