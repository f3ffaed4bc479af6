"""From the linear maps before an attention to its queries, keys and values, normalised head by head."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from .stream_tiles import inverse_norm, load_streams, norm_gradients

__all__ = ["heads_backward_kernel", "heads_kernel", "queries_keys_values"]

#: Heads of nodes, queries, keys and values counted apart.
_ROWS = 64


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def heads_kernel(
    vectors: tl.tensor,
    scalars: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    HEADS: tl.constexpr,
    V: tl.constexpr,
    S: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Some rows (node, one of queries, keys and values, head) of `queries_keys_values`."""
    _, _, real_v, real_s, e, x, y, z, s = load_streams(vectors, scalars, rows, ROWS, 3 * HEADS, V, S)
    scale = inverse_norm(e, x, y, z, s, V + S)
    of_v, of_s, sign = _places(ROWS, HEADS, V, S)
    tl.store(out + of_v, e * scale, mask=real_v)
    tl.store(out + of_v + V, sign * (x * scale), mask=real_v)
    tl.store(out + of_v + 2 * V, sign * (y * scale), mask=real_v)
    tl.store(out + of_v + 3 * V, sign * (z * scale), mask=real_v)
    tl.store(out + of_s, s * scale, mask=real_s)


@triton.jit(do_not_specialize=["rows"])
def heads_backward_kernel(
    vectors: tl.tensor,
    scalars: tl.tensor,
    grad: tl.tensor,
    out_vectors: tl.tensor,
    out_scalars: tl.tensor,
    rows: tl.tensor,
    HEADS: tl.constexpr,
    V: tl.constexpr,
    S: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Gradients of the linear maps' outputs."""
    to_v, to_s, real_v, real_s, e, x, y, z, s = load_streams(vectors, scalars, rows, ROWS, 3 * HEADS, V, S)
    of_v, of_s, sign = _places(ROWS, HEADS, V, S)
    grad_e = tl.load(grad + of_v, mask=real_v, other=0.0)
    grad_x = sign * tl.load(grad + of_v + V, mask=real_v, other=0.0)
    grad_y = sign * tl.load(grad + of_v + 2 * V, mask=real_v, other=0.0)
    grad_z = sign * tl.load(grad + of_v + 3 * V, mask=real_v, other=0.0)
    grad_s = tl.load(grad + of_s, mask=real_s, other=0.0)
    e, x, y, z, s = norm_gradients(e, x, y, z, s, grad_e, grad_x, grad_y, grad_z, grad_s, V + S)
    STRIDE: tl.constexpr = 3 * HEADS * V
    tl.store(out_vectors + to_v, e, mask=real_v)
    tl.store(out_vectors + to_v + STRIDE, x, mask=real_v)
    tl.store(out_vectors + to_v + 2 * STRIDE, y, mask=real_v)
    tl.store(out_vectors + to_v + 3 * STRIDE, z, mask=real_v)
    tl.store(out_scalars + to_s, s, mask=real_s)


@triton.jit
def _places(
    ROWS: tl.constexpr, HEADS: tl.constexpr, V: tl.constexpr, S: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Where vectors and scalars of each row stand among rows (N, 3, H, 4V + S); the sign of momenta, −1 in queries."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    v, s = tl.arange(0, triton.next_power_of_2(V)), tl.arange(0, triton.next_power_of_2(S))
    place = row[:, None] * (4 * V + S)
    return place + v[None, :], place + 4 * V + s[None, :], tl.where(row // HEADS % 3 == 0, -1.0, 1.0)[:, None]


def queries_keys_values(vectors: Tensor, scalars: Tensor, heads: int) -> tuple[Tensor, ...]:
    """Rows (N, H, 4v + s) of an attention whose scores are the products q·k, with gradients.

    Parameters
    ----------
    vectors : Tensor, shape (N, 4, 3 H v)
        Vectors of the queries of each head, then of the keys and of the values.
    scalars : Tensor, shape (N, 3 H s)
        The same of scalars.
    heads : int
        H.

    Returns
    -------
    tuple of three Tensor
        E, px, py and pz of v vectors and s scalars, divided by their norm; momenta of queries with the other sign.
    """
    found: Tensor = _Heads.apply(vectors, scalars, heads)  # type: ignore[no-untyped-call]
    return found.unbind(1)


class _Heads(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, scalars: Tensor, heads: int) -> Tensor:
        vectors, scalars = vectors.contiguous(), scalars.contiguous()
        ctx.save_for_backward(vectors, scalars)
        ctx.heads = heads
        out = vectors.new_empty(len(vectors), 3, heads, (4 * vectors.shape[2] + scalars.shape[1]) // (3 * heads))
        _launch(heads_kernel, vectors, scalars, heads, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        vectors, scalars = ctx.saved_tensors
        out = torch.empty_like(vectors), torch.empty_like(scalars)
        _launch(heads_backward_kernel, vectors, scalars, ctx.heads, grad.contiguous(), *out)
        return *out, None


def _launch(kernel: Any, vectors: Tensor, scalars: Tensor, heads: int, *others: Tensor) -> None:
    groups = 3 * heads
    rows = groups * len(scalars)
    if rows:
        kernel[(triton.cdiv(rows, _ROWS),)](
            vectors, scalars, *others, rows, HEADS=heads, V=vectors.shape[2] // groups, S=scalars.shape[1] // groups,
            ROWS=_ROWS,
        )  # fmt: skip
