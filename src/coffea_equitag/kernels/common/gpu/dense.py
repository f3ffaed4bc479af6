"""Dense layers of rows, each row by itself: the same bits wherever it stands and whatever stands beside it."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .arithmetic import product

__all__ = ["dense", "dense_kernel"]

_ROWS, _DEPTH = 64, 16


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def dense_kernel(
    x: tl.tensor,
    x_stride: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    out_stride: tl.tensor,
    rows: tl.tensor,
    depth: tl.tensor,
    width: tl.tensor,
    SLOPE: tl.constexpr,
    ADD: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    DEPTH: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """One tile of `dense`."""
    m = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = (m < rows)[:, None] & (c < width)[None, :]
    total = tl.zeros((ROWS, WIDTH), dtype=x.dtype.element_ty)
    for start in range(0, depth, DEPTH):
        k = start + tl.arange(0, DEPTH)
        values = tl.load(
            x + m[:, None] * x_stride + k[None, :], mask=(m < rows)[:, None] & (k < depth)[None, :], other=0.0
        )
        matrix = tl.load(
            weight + k[:, None] * width + c[None, :], mask=(k < depth)[:, None] & (c < width)[None, :], other=0.0
        )
        total = product(values, matrix, total, PRECISION)
    total += tl.load(bias + c, mask=c < width, other=0.0)[None, :]
    if SLOPE != 1.0:
        total = tl.where(total < 0, SLOPE * total, total)
    place = out + m[:, None] * out_stride + c[None, :]
    if ADD:
        total += tl.load(place, mask=inside, other=0.0)
    tl.store(place, total, mask=inside)


def dense(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    out: Tensor | None = None,
    slope: float = 1.0,
    add: bool = False,
    precision: str = "ieee",
) -> Tensor:
    """LeakyReLU(x · weight + bias), in a fixed order of summation; added to `out` with `add`.

    Parameters
    ----------
    x : Tensor of float32 or float64, shape (M, K)
        Rows; copied if the values of each are not side by side.
    weight : Tensor, shape (K, W), contiguous
        The matrix, inputs first.
    bias : Tensor, shape (W,)
        Added to each row.
    out : Tensor, shape (M, W), optional
        Where to; may be columns of a wider array.
    slope : float
        Of the activation: 1 for none, 0 for ReLU.
    add : bool
        Add to what `out` holds.
    precision : str
        Of the products, see `precision`; float64 is always exact.
    """
    rows, depth = x.shape
    width = weight.shape[1]
    if x.stride(1) != 1:
        x = x.contiguous()
    if out is None:
        out = x.new_empty(rows, width)
    tile = next((size for size in (64, 32) if width % size == 0), 16)
    if rows:
        dense_kernel[(triton.cdiv(rows, _ROWS), triton.cdiv(width, tile))](
            x, x.stride(0), weight, bias, out, out.stride(0), rows, depth, width,
            SLOPE=float(slope), ADD=add, PRECISION=precision if x.dtype == torch.float32 else "ieee",
            ROWS=_ROWS, DEPTH=_DEPTH, WIDTH=tile,
        )  # fmt: skip
    return out
