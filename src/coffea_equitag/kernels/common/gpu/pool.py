"""Sums over the nodes of each jet, in a fixed order."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["pool", "pool_kernel"]

_ROWS, _WIDTH = 16, 32


@triton.jit
def pool_kernel(
    values: tl.tensor,
    stride: tl.tensor,
    offsets: tl.tensor,
    out: tl.tensor,
    width: tl.tensor,
    MEAN: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Some channels of one jet."""
    jet = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    first, last = tl.load(offsets + jet), tl.load(offsets + jet + 1)
    total = tl.zeros((WIDTH,), dtype=values.dtype.element_ty)
    for start in range(first, last, ROWS):
        row = start + tl.arange(0, ROWS)
        inside = (row < last)[:, None] & (c < width)[None, :]
        total += tl.sum(tl.load(values + row[:, None] * stride + c[None, :], mask=inside, other=0.0), axis=0)
    if MEAN:
        total = total / tl.maximum(last - first, 1).to(total.dtype)
    tl.store(out + jet * width + c, total, mask=c < width)


def pool(values_NC: Tensor, offsets: Tensor, *, mean: bool = False) -> Tensor:
    """Sum or mean of the rows of each jet, shape (J, C); 0 for an empty jet.

    Parameters
    ----------
    values_NC : Tensor of float32 or float64, shape (N, C)
        Rows, jet after jet, the values of each side by side.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    mean : bool
        Divide by the number of rows.
    """
    jets, width = len(offsets) - 1, values_NC.shape[1]
    out = values_NC.new_empty(jets, width)
    if jets:
        pool_kernel[(jets, triton.cdiv(width, _WIDTH))](
            values_NC, values_NC.stride(0), offsets, out, width, MEAN=mean, ROWS=_ROWS, WIDTH=_WIDTH
        )
    return out
