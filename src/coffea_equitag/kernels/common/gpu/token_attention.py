"""Attention of one query per jet to a key of the jet's own and to its constituents, in their order."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .head_rows import HeadRows, head_tile

__all__ = ["attend_from_jets", "token_kernel"]

_COLUMNS = 64


@triton.jit
def token_kernel(
    query: HeadRows,
    own_keys: HeadRows,
    own_values: HeadRows,
    keys: HeadRows,
    values: HeadRows,
    offsets: tl.tensor,
    scale: tl.tensor,
    out: tl.tensor,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """One head of one jet; arguments as of `attend_from_jets`."""
    jet, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    start = tl.load(offsets + jet)
    n = (tl.load(offsets + jet + 1) - start).to(tl.int32)
    c = tl.arange(0, PADDED)
    used = c < SIZE
    q = tl.load(query.at + jet * query.row + head * query.head + c, mask=used, other=0.0) * scale
    own = tl.load(own_keys.at + jet * own_keys.row + head * own_keys.head + c, mask=used, other=0.0)
    sums = tl.load(own_values.at + jet * own_values.row + head * own_values.head + c, mask=used, other=0.0)
    largest = tl.sum(q * own, axis=0)
    total = largest * 0.0 + 1.0
    for first in range(0, n, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        k = head_tile(keys, head, start + j, j < n, SIZE, PADDED)
        score = tl.where(j < n, tl.sum(q[None, :] * k, axis=1), float("-inf"))
        new = tl.maximum(largest, tl.max(score, axis=0))
        weight, fade = tl.exp(score - new), tl.exp(largest - new)
        total = total * fade + tl.sum(weight, axis=0)
        v = head_tile(values, head, start + j, j < n, SIZE, PADDED)
        sums = sums * fade + tl.sum(weight[:, None] * v, axis=0)
        largest = new
    tl.store(out + (jet * HEADS + head) * SIZE + c, sums / total, mask=used)


def attend_from_jets(
    query_JHD: Tensor, keys: tuple[Tensor, Tensor], values: tuple[Tensor, Tensor], offsets: Tensor
) -> Tensor:
    """As `layers.attention.attend_from_jets`, without dropout or gradients: (J, H, D).

    Parameters
    ----------
    query_JHD : Tensor of float32, shape (J, H, D)
        One query per jet.
    keys, values : tuple of two Tensor, shapes (J, H, D) and (N, H, D)
        Those of the jets, and of their constituents.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    """
    jets, heads, size = query_JHD.shape
    out = query_JHD.new_empty(jets, heads, size)
    rows = (HeadRows.of(each) for each in (query_JHD, keys[0], values[0], keys[1], values[1]))
    if jets:
        token_kernel[(jets, heads)](
            *rows, offsets, size**-0.5, out,
            HEADS=heads, SIZE=size, PADDED=triton.next_power_of_2(size), COLUMNS=_COLUMNS,
        )  # fmt: skip
    return out
