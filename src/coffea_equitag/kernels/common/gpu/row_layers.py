"""Layers of a transformer on rows: LayerNorm, matrix, activation, LayerNorm and shortcut in one pass over each row.

A row has the same bits wherever it stands and whatever stands beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from .activations import activated
from .arithmetic import product

__all__ = ["LARGEST_NORM", "RowLayer", "Shortcut", "row_layer", "row_layer_kernel"]

_ROWS, _DEPTH, _WIDTH = 64, 32, 64
#: The widest row that is normalised after the matrix.
LARGEST_NORM = 256


class RowLayer(NamedTuple):
    """A matrix (K, M), inputs first, with what is normalised before and after it.

    Gain and shift of a LayerNorm before the matrix are part of matrix and bias; those after it are `after`, (2, M).
    """

    weight: Tensor
    bias: Tensor
    norm: float | None = None  # ε of the LayerNorm before
    after: tuple[Tensor, float] | None = None


class Shortcut(NamedTuple):
    """Rows (R, M) that are added to the outputs, times `scale`, (M,), if it is given."""

    rows: Tensor
    scale: Tensor | None = None


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def row_layer_kernel(
    x: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    after: tl.tensor,
    shortcut: tl.tensor,
    scale: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    depth: tl.tensor,
    width: tl.tensor,
    epsilon: tl.tensor,
    epsilon_after: tl.tensor,
    NORM: tl.constexpr,
    ACTIVATION: tl.constexpr,
    AFTER: tl.constexpr,
    ADD: tl.constexpr,
    SCALED: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    DEPTH: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """One tile of `row_layer`; with AFTER it has whole rows."""
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    real, used = (r < rows)[:, None], (c < width)[None, :]
    mean = tl.zeros((ROWS,), tl.float32)
    inverse = tl.full((ROWS,), 1.0, tl.float32)
    if NORM:
        for start in range(0, depth, DEPTH):
            k = start + tl.arange(0, DEPTH)
            inside = real & (k < depth)[None, :]
            mean += tl.sum(tl.load(x + r[:, None] * depth + k[None, :], mask=inside, other=0.0), axis=1)
        mean = mean / depth
        square = tl.zeros((ROWS,), tl.float32)
        for start in range(0, depth, DEPTH):
            k = start + tl.arange(0, DEPTH)
            inside = real & (k < depth)[None, :]
            values = tl.load(x + r[:, None] * depth + k[None, :], mask=inside, other=0.0) - mean[:, None]
            square += tl.sum(tl.where(inside, values * values, 0.0), axis=1)
        inverse = 1.0 / tl.sqrt(square / depth + epsilon)
    total = tl.zeros((ROWS, WIDTH), tl.float32)
    for start in range(0, depth, DEPTH):
        k = start + tl.arange(0, DEPTH)
        inside = real & (k < depth)[None, :]
        values = tl.load(x + r[:, None] * depth + k[None, :], mask=inside, other=0.0)
        if NORM:
            values = tl.where(inside, (values - mean[:, None]) * inverse[:, None], 0.0)
        matrix = tl.load(weight + k[:, None] * width + c[None, :], mask=(k < depth)[:, None] & used, other=0.0)
        total = product(values, matrix, total, PRECISION)
    total += tl.load(bias + c, mask=c < width, other=0.0)[None, :]
    if ACTIVATION != "none":
        total = activated(total, ACTIVATION)
    if AFTER:
        total -= tl.sum(total, axis=1)[:, None] / width
        total = tl.where(used, total, 0.0)
        total = total / tl.sqrt(tl.sum(total * total, axis=1)[:, None] / width + epsilon_after)
        total = total * tl.load(after + c, mask=c < width, other=0.0)[None, :]
        total += tl.load(after + width + c, mask=c < width, other=0.0)[None, :]
    place = r[:, None] * width + c[None, :]
    if ADD:
        beside = tl.load(shortcut + place, mask=real & used, other=0.0)
        if SCALED:
            beside = beside * tl.load(scale + c, mask=c < width, other=0.0)[None, :]
        total += beside
    tl.store(out + place, total, mask=real & used)


def row_layer(
    x_RK: Tensor, layer: RowLayer, precision: str, *, activation: str = "none", shortcut: Shortcut | None = None
) -> Tensor:
    """LayerNorm(f(LayerNorm(x) W + b)) + scale · shortcut, (R, M), as far as the layer has these.

    Parameters
    ----------
    x_RK : Tensor of float32, shape (R, K)
        Rows.
    layer : RowLayer
        The weights, float32, contiguous.
    precision : str
        Of the products, see `arithmetic.precision`.
    activation : str
        f: "none", or one of `activations.activated`.
    shortcut : Shortcut, optional
        What is added.
    """
    x_RK, (rows, depth), width = x_RK.contiguous(), x_RK.shape, layer.weight.shape[1]
    out = x_RK.new_empty(rows, width)
    after, epsilon_after = (layer.bias, 0.0) if layer.after is None else layer.after
    beside = out if shortcut is None else shortcut.rows.contiguous()
    scale = layer.bias if shortcut is None or shortcut.scale is None else shortcut.scale
    whole = max(16, triton.next_power_of_2(width))
    tile = whole if layer.after is not None else min(whole, _WIDTH)
    if rows:
        row_layer_kernel[(triton.cdiv(rows, _ROWS), triton.cdiv(width, tile))](
            x_RK, layer.weight, layer.bias, after, beside, scale, out, rows, depth, width,
            layer.norm or 0.0, epsilon_after, NORM=layer.norm is not None, ACTIVATION=activation,
            AFTER=layer.after is not None, ADD=shortcut is not None, SCALED=scale is not layer.bias,
            PRECISION=precision, ROWS=_ROWS, DEPTH=_DEPTH, WIDTH=tile, num_warps=4 if tile <= 128 else 8, num_stages=1,
        )  # fmt: skip
    return out
