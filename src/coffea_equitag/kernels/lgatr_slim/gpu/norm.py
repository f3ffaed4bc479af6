"""Both streams of each node divided by their norm (`layers.slim.SlimNorm` without gains)."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from .stream_tiles import inverse_norm, load_streams, norm_gradients

__all__ = ["norm_backward_kernel", "norm_kernel", "normalised"]

_ROWS = 16


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def norm_kernel(
    vectors: tl.tensor,
    scalars: tl.tensor,
    out_vectors: tl.tensor,
    out_scalars: tl.tensor,
    rows: tl.tensor,
    V: tl.constexpr,
    S: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Some nodes of `normalised`."""
    of_v, of_s, real_v, real_s, e, x, y, z, s = load_streams(vectors, scalars, rows, ROWS, 1, V, S)
    scale = inverse_norm(e, x, y, z, s, V + S)
    tl.store(out_vectors + of_v, e * scale, mask=real_v)
    tl.store(out_vectors + of_v + V, x * scale, mask=real_v)
    tl.store(out_vectors + of_v + 2 * V, y * scale, mask=real_v)
    tl.store(out_vectors + of_v + 3 * V, z * scale, mask=real_v)
    tl.store(out_scalars + of_s, s * scale, mask=real_s)


@triton.jit(do_not_specialize=["rows"])
def norm_backward_kernel(
    vectors: tl.tensor,
    scalars: tl.tensor,
    grad_vectors: tl.tensor,
    grad_scalars: tl.tensor,
    out_vectors: tl.tensor,
    out_scalars: tl.tensor,
    rows: tl.tensor,
    V: tl.constexpr,
    S: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Gradients of what some nodes had before."""
    _, _, _, _, e, x, y, z, s = load_streams(vectors, scalars, rows, ROWS, 1, V, S)
    of_v, of_s, real_v, real_s, g_e, g_x, g_y, g_z, g_s = load_streams(grad_vectors, grad_scalars, rows, ROWS, 1, V, S)
    g_e, g_x, g_y, g_z, g_s = norm_gradients(e, x, y, z, s, g_e, g_x, g_y, g_z, g_s, V + S)
    tl.store(out_vectors + of_v, g_e, mask=real_v)
    tl.store(out_vectors + of_v + V, g_x, mask=real_v)
    tl.store(out_vectors + of_v + 2 * V, g_y, mask=real_v)
    tl.store(out_vectors + of_v + 3 * V, g_z, mask=real_v)
    tl.store(out_scalars + of_s, g_s, mask=real_s)


def normalised(vectors_N4V: Tensor, scalars_NS: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors and scalars of each node by √(ε + mean over all channels of |v·v| and s²), with gradients."""
    found: tuple[Tensor, Tensor] = _Norm.apply(vectors_N4V, scalars_NS)  # type: ignore[no-untyped-call]
    return found


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        vectors, scalars = vectors.contiguous(), scalars.contiguous()
        ctx.save_for_backward(vectors, scalars)
        return _launch(norm_kernel, vectors, scalars)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_vectors: Tensor, grad_scalars: Tensor) -> tuple[Tensor, Tensor]:
        return _launch(norm_backward_kernel, *ctx.saved_tensors, grad_vectors.contiguous(), grad_scalars.contiguous())


def _launch(kernel: Any, vectors: Tensor, scalars: Tensor, *grads: Tensor) -> tuple[Tensor, Tensor]:
    out = torch.empty_like(vectors), torch.empty_like(scalars)
    rows = len(scalars)
    if rows:
        kernel[(triton.cdiv(rows, _ROWS),)](
            vectors, scalars, *grads, *out, rows, V=vectors.shape[2], S=scalars.shape[1], ROWS=_ROWS
        )
    return out
