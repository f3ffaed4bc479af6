"""Gated activations of both streams: f(u·w/2) v and f(g) s (`layers.slim.SlimGate` after its linear maps)."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...common.gpu.activations import activated, activated_and_slope

__all__ = [
    "gated",
    "scalar_gate_backward_kernel",
    "scalar_gate_kernel",
    "vector_gate_backward_kernel",
    "vector_gate_kernel",
]

_ROWS, _WIDTH = 16, 64


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def vector_gate_kernel(
    x: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    width: tl.tensor,
    KIND: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """(v, u, w) (rows, 4, 3 width) to f(u·w/2) v (rows, 4, width)."""
    row, c, real = _tile(rows, width, ROWS, WIDTH)
    source, target = x + row * (12 * width) + c, out + row * (4 * width) + c
    product = tl.zeros((ROWS, WIDTH), x.dtype.element_ty)
    for a in tl.static_range(4):
        u = tl.load(source + (3 * a + 1) * width, mask=real, other=0.0)
        w = tl.load(source + (3 * a + 2) * width, mask=real, other=0.0)
        product = product + u * w if a == 0 else product - u * w
    gate = activated(0.5 * product, KIND)
    for a in tl.static_range(4):
        v = tl.load(source + 3 * a * width, mask=real, other=0.0)
        tl.store(target + a * width, gate * v, mask=real)


@triton.jit(do_not_specialize=["rows"])
def vector_gate_backward_kernel(
    x: tl.tensor,
    grad: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    width: tl.tensor,
    KIND: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Gradients of v, u and w."""
    row, c, real = _tile(rows, width, ROWS, WIDTH)
    source, above, target = x + row * (12 * width) + c, grad + row * (4 * width) + c, out + row * (12 * width) + c
    product = tl.zeros((ROWS, WIDTH), x.dtype.element_ty)
    along = tl.zeros((ROWS, WIDTH), x.dtype.element_ty)
    for a in tl.static_range(4):
        v = tl.load(source + 3 * a * width, mask=real, other=0.0)
        u = tl.load(source + (3 * a + 1) * width, mask=real, other=0.0)
        w = tl.load(source + (3 * a + 2) * width, mask=real, other=0.0)
        product = product + u * w if a == 0 else product - u * w
        along += v * tl.load(above + a * width, mask=real, other=0.0)
    gate, slope = activated_and_slope(0.5 * product, KIND)
    half = 0.5 * slope * along
    for a in tl.static_range(4):
        u = tl.load(source + (3 * a + 1) * width, mask=real, other=0.0)
        w = tl.load(source + (3 * a + 2) * width, mask=real, other=0.0)
        signed = half if a == 0 else -half
        tl.store(target + 3 * a * width, gate * tl.load(above + a * width, mask=real, other=0.0), mask=real)
        tl.store(target + (3 * a + 1) * width, signed * w, mask=real)
        tl.store(target + (3 * a + 2) * width, signed * u, mask=real)


@triton.jit(do_not_specialize=["rows"])
def scalar_gate_kernel(
    x: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    width: tl.tensor,
    KIND: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """(s, g) (rows, 2 width) to f(g) s (rows, width)."""
    row, c, real = _tile(rows, width, ROWS, WIDTH)
    source = x + row * (2 * width) + c
    s = tl.load(source, mask=real, other=0.0)
    gate = activated(tl.load(source + width, mask=real, other=0.0), KIND)
    tl.store(out + row * width + c, gate * s, mask=real)


@triton.jit(do_not_specialize=["rows"])
def scalar_gate_backward_kernel(
    x: tl.tensor,
    grad: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    width: tl.tensor,
    KIND: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Gradients of s and g."""
    row, c, real = _tile(rows, width, ROWS, WIDTH)
    source, target = x + row * (2 * width) + c, out + row * (2 * width) + c
    s = tl.load(source, mask=real, other=0.0)
    gate, slope = activated_and_slope(tl.load(source + width, mask=real, other=0.0), KIND)
    above = tl.load(grad + row * width + c, mask=real, other=0.0)
    tl.store(target, gate * above, mask=real)
    tl.store(target + width, slope * s * above, mask=real)


@triton.jit
def _tile(
    rows: tl.tensor, width: tl.tensor, ROWS: tl.constexpr, WIDTH: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """A program's rows and columns, and which of them there are."""
    row = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    c = (tl.program_id(1) * WIDTH + tl.arange(0, WIDTH))[None, :]
    return row, c, (row < rows) & (c < width)


def gated(x: Tensor, kind: str) -> Tensor:
    """A gated activation, with gradients.

    Parameters
    ----------
    x : Tensor, shape (N, 4, 3V) or (N, 2S)
        Vectors v, u and w; or scalars s and g.
    kind : str
        f, one of `activations.activated`.

    Returns
    -------
    Tensor, shape (N, 4, V) or (N, S)
        f(u·w/2) v; or f(g) s.
    """
    found: Tensor = _Gate.apply(x, kind)  # type: ignore[no-untyped-call]
    return found


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: str) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.kind = kind
        out = x.new_empty(*x.shape[:-1], x.shape[-1] // (3 if x.ndim == 3 else 2))
        _launch(vector_gate_kernel if x.ndim == 3 else scalar_gate_kernel, out.shape[-1], x, out, kind=kind)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        kernel = vector_gate_backward_kernel if x.ndim == 3 else scalar_gate_backward_kernel
        _launch(kernel, grad.shape[-1], x, grad.contiguous(), out, kind=ctx.kind)
        return out, None


def _launch(kernel: Any, width: int, *tensors: Tensor, kind: str) -> None:
    rows = len(tensors[0])
    if rows and width:
        kernel[(triton.cdiv(rows, _ROWS), triton.cdiv(width, _WIDTH))](
            *tensors, rows, width, KIND=kind, ROWS=_ROWS, WIDTH=_WIDTH
        )
