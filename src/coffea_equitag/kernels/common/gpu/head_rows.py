"""Rows of heads, as Triton's kernels of attention read and write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["AttentionShape", "HeadRows", "Softmax", "bias_place", "head_store", "head_tile"]


class HeadRows(NamedTuple):
    """Rows of H heads, (N, H, D), whose channels are side by side, with the distances between rows and heads."""

    at: Any  # not `values`: Triton's tuples have them
    row: Any
    head: Any

    @classmethod
    def of(cls, values_NHD: Tensor) -> HeadRows:
        """From a tensor, which is copied if its channels are not side by side."""
        values = values_NHD if values_NHD.stride(2) == 1 else values_NHD.contiguous()
        return cls(values, values.stride(0), values.stride(1))


class Softmax(NamedTuple):
    """What is kept of each query's softmax, (N, H): the largest score, and the sum of exponentials behind it."""

    maximum: Any
    total: Any


@dataclass(frozen=True)
class AttentionShape:
    """Sizes that the kernels are compiled for.

    Attributes
    ----------
    precision : str
        Of matrix products, see `arithmetic.precision`.
    heads, depth, width : int
        Heads H, channels D of queries and keys, channels E of values.
    bias, drop : bool
        Whether scores have a bias, and whether weights are dropped.
    rows, columns : int
        Of a tile.
    """

    precision: str
    heads: int
    depth: int
    width: int
    bias: bool = False
    drop: bool = False
    rows: int = 64
    columns: int = 32

    @property
    def depth_padded(self) -> int:
        """As matrix products want it."""
        return max(16, 1 << (self.depth - 1).bit_length())

    @property
    def width_padded(self) -> int:
        """The same of the values."""
        return max(16, 1 << (self.width - 1).bit_length())


@triton.jit
def head_tile(
    rows: HeadRows, head: tl.tensor, node: tl.tensor, inside: tl.tensor, SIZE: tl.constexpr, PADDED: tl.constexpr
) -> tl.tensor:
    """Some rows of one head, (rows, PADDED), filled up with zeros."""
    c = tl.arange(0, PADDED)
    place = rows.at + node.to(tl.int64)[:, None] * rows.row + head * rows.head + c[None, :]
    return tl.load(place, mask=inside[:, None] & (c < SIZE)[None, :], other=0.0)


@triton.jit
def head_store(
    rows: HeadRows,
    head: tl.tensor,
    node: tl.tensor,
    inside: tl.tensor,
    values: tl.tensor,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
) -> None:
    """Where `head_tile` reads."""
    c = tl.arange(0, PADDED)
    place = rows.at + node.to(tl.int64)[:, None] * rows.row + head * rows.head + c[None, :]
    tl.store(place, values, mask=inside[:, None] & (c < SIZE)[None, :])


@triton.jit
def bias_place(
    pairs: tl.tensor, jet: tl.tensor, n: tl.tensor, head: tl.tensor, i: tl.tensor, j: tl.tensor, HEADS: tl.constexpr
) -> tl.tensor:
    """Where the bias of scores (i, j) stands: jet after jet, a block (H, n, n)."""
    block = tl.load(pairs + jet) * HEADS + head.to(tl.int64) * n * n
    return block + i * n + j
