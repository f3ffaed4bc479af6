"""Channels of attention heads from frame to frame: scalars, four-vectors and tensors of rank 2, with gradients."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["carried", "carry_kernel", "matrix_gradient_kernel"]

_ROWS, _NODES = 32, 16


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def carry_kernel(
    x: tl.tensor,
    matrices: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    GROUPS: tl.constexpr,
    HEADS: tl.constexpr,
    S: tl.constexpr,
    V: tl.constexpr,
    T: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Some rows (node, group, head) of `carried`; with TRANSPOSED of the gradients, from those of the results."""
    D: tl.constexpr = S + 4 * V + 16 * T
    row = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    c = tl.arange(0, triton.next_power_of_2(D))[None, :]
    matrix = matrices + row // (GROUPS * HEADS) * 16
    # second of three groups: the keys
    lowers = (row // HEADS % GROUPS) == 1
    inside = (row < rows) & (c < D)
    total = tl.load(x + row * D + c, mask=inside & (c < S), other=0.0)
    if V > 0:
        a, first = (c - S) % 4, c - (c - S) % 4
        vector = inside & (c >= S) & (c < S + 4 * V)
        for b in tl.static_range(4):
            value = tl.load(x + row * D + first + b, mask=vector, other=0.0)
            total += _entry(matrix, a, b, lowers, vector, TRANSPOSED) * value
    if T > 0:
        a, b, first = (c - S - 4 * V) // 4 % 4, (c - S) % 4, c - (c - S - 4 * V) % 16
        tensor = inside & (c >= S + 4 * V)
        for d in tl.static_range(16):
            value = tl.load(x + row * D + first + d, mask=tensor, other=0.0)
            left = _entry(matrix, a, d // 4, lowers, tensor, TRANSPOSED)
            total += left * _entry(matrix, b, d % 4, lowers, tensor, TRANSPOSED) * value
    tl.store(out + row * D + c, total, mask=inside)


@triton.jit
def _entry(
    matrix: tl.tensor,
    a: tl.tensor,
    b: tl.constexpr,
    lowers: tl.tensor,
    real: tl.tensor,
    TRANSPOSED: tl.constexpr,
) -> tl.tensor:
    """M_ab, or M_ba; the matrix's own first index lowered where that is wanted."""
    if TRANSPOSED:
        found = tl.load(matrix + 4 * b + a, mask=real, other=0.0)
        return tl.where(lowers & (b > 0), -found, found)
    else:  # noqa: RET505 (Triton would compile what follows an if, too)
        found = tl.load(matrix + 4 * a + b, mask=real, other=0.0)
        return tl.where(lowers & (a > 0), -found, found)


@triton.jit(do_not_specialize=["nodes"])
def matrix_gradient_kernel(
    x: tl.tensor,
    grad: tl.tensor,
    matrices: tl.tensor,
    out: tl.tensor,
    nodes: tl.tensor,
    GROUPS: tl.constexpr,
    HEADS: tl.constexpr,
    S: tl.constexpr,
    V: tl.constexpr,
    T: tl.constexpr,
    NODES: tl.constexpr,
) -> None:
    """Gradients of some nodes' matrices, from x and the gradients of what it was carried to."""
    D: tl.constexpr = S + 4 * V + 16 * T
    node = (tl.program_id(0).to(tl.int64) * NODES + tl.arange(0, NODES))[:, None]
    entry = tl.arange(0, 16)[None, :]
    a, b, real = entry // 4, entry % 4, (node < nodes) & (entry < 16)
    total = tl.zeros((NODES, 16), x.dtype.element_ty)
    for row in range(GROUPS * HEADS):
        lowers = (row // HEADS % GROUPS) == 1
        place = (node * (GROUPS * HEADS) + row) * D + S
        part = tl.zeros((NODES, 16), x.dtype.element_ty)
        for vector in tl.static_range(V):
            above = tl.load(grad + place + 4 * vector + a, mask=real, other=0.0)
            part += above * tl.load(x + place + 4 * vector + b, mask=real, other=0.0)
        for tensor in tl.static_range(T):
            first = place + 4 * V + 16 * tensor
            for d in tl.static_range(16):
                # M_cd of the other index, c in the frame that is carried to
                other = tl.load(matrices + node * 16 + d, mask=real, other=0.0)
                other = tl.where(lowers & (d >= 4), -other, other)
                above = tl.load(grad + first + 4 * a + d // 4, mask=real, other=0.0)
                part += above * other * tl.load(x + first + 4 * b + d % 4, mask=real, other=0.0)
                above = tl.load(grad + first + 4 * (d // 4) + a, mask=real, other=0.0)
                part += above * other * tl.load(x + first + 4 * (d % 4) + b, mask=real, other=0.0)
        total += tl.where(lowers & (a > 0), -part, part)
    tl.store(out + node * 16 + entry, total, mask=real)


def carried(x_NGHD: Tensor, matrices_N44: Tensor, sizes: tuple[int, int, int]) -> Tensor:
    """Channels of each head in another frame, with gradients.

    Parameters
    ----------
    x_NGHD : Tensor, shape (N, G, H, D)
        Of H heads scalars, components of vectors, and of tensors; G is 1, or 3: queries, keys and values.
    matrices_N44 : Tensor, shape (N, 4, 4)
        M of each node; of keys with its first index lowered.
    sizes : (int, int, int)
        Scalars, vectors and tensors of each head.

    Returns
    -------
    Tensor, shape (N, G, H, D)
        s; M v; M T Mᵀ.
    """
    found: Tensor = _Carry.apply(x_NGHD, matrices_N44, sizes)  # type: ignore[no-untyped-call]
    return found


class _Carry(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, matrices: Tensor, sizes: tuple[int, int, int]) -> Tensor:
        x, matrices = x.contiguous(), matrices.contiguous()
        ctx.save_for_backward(x, matrices)
        ctx.sizes = sizes
        return _carry(x, matrices, sizes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, matrices = ctx.saved_tensors
        grad, grad_matrices = grad.contiguous(), None
        if ctx.needs_input_grad[1]:
            grad_matrices = torch.empty_like(matrices)
            if len(x):
                matrix_gradient_kernel[(triton.cdiv(len(x), _NODES),)](
                    x, grad, matrices, grad_matrices, len(x), **_shape(x, ctx.sizes), NODES=_NODES
                )
        return _carry(grad, matrices, ctx.sizes, transposed=True), grad_matrices, None


def _carry(x: Tensor, matrices: Tensor, sizes: tuple[int, int, int], *, transposed: bool = False) -> Tensor:
    out, shape = torch.empty_like(x), _shape(x, sizes)
    rows = len(x) * shape["GROUPS"] * shape["HEADS"]
    if rows:
        carry_kernel[(triton.cdiv(rows, _ROWS),)](x, matrices, out, rows, **shape, TRANSPOSED=transposed, ROWS=_ROWS)
    return out


def _shape(x: Tensor, sizes: tuple[int, int, int]) -> dict[str, int]:
    return {"GROUPS": x.shape[1], "HEADS": x.shape[2], **dict(zip("SVT", sizes, strict=True))}
