"""One layer of the embedding of pairs while training, from one BatchNorm to the next, and its backward pass.

With the norm's output y = scale x + shift and a = GELU(y), or y itself in the first layer:

    z = a W + b,    and the moments of z
    dz = p dy' + q z + r          dy' after the next norm, whose backward pass p, q, r are
    dW = Σ a dzᵀ,   db = Σ dz,   dy = (dz Wᵀ) GELU'(y),   and Σ dy, Σ dy x̂ with x̂ = inverse x + offset

Each of P programs adds up every P-th tile of pairs, in their order; sums over pairs are float64, but for dW.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.activations import activated, activated_and_slope
from ...common.gpu.arithmetic import product

__all__ = [
    "PROGRAMS", "LayerGrads", "layer_backward", "layer_backward_kernel", "layer_forward", "layer_forward_kernel"
]  # fmt: skip

PROGRAMS, _ROWS = 264, 64


class LayerGrads(NamedTuple):
    """What the backward pass of a layer finds: dy (T, K), and of each program dW (K, M), db (M,), both sums (2, K)."""

    rows: Any
    weight: Any
    bias: Any
    sums: Any


@triton.jit
def _normed(
    x: tl.tensor, norm: tl.tensor, r: tl.tensor, real: tl.tensor, K: tl.constexpr, BK: tl.constexpr
) -> tuple[tl.tensor, tl.tensor]:
    """Some rows x, and scale x + shift; 0 beyond the channels."""
    k = tl.arange(0, BK)
    rows = tl.load(x + r[:, None] * K + k[None, :], mask=real & (k < K)[None, :], other=0.0)
    scale = tl.load(norm + k, mask=k < K, other=0.0)[None, :]
    return rows, rows * scale + tl.load(norm + K + k, mask=k < K, other=0.0)[None, :]


# the same code for any number of rows
@triton.jit(do_not_specialize=["rows"])
def layer_forward_kernel(
    x: tl.tensor,
    norm: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    moments: tl.tensor,
    rows: tl.tensor,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    K: tl.constexpr,
    M: tl.constexpr,
    BK: tl.constexpr,
    BM: tl.constexpr,
) -> None:
    """Rows z (T, M) of rows x (T, K), and each program's Σ z and Σ z², (2, M)."""
    k, m = tl.arange(0, BK), tl.arange(0, BM)
    used = (m < M)[None, :]
    matrix = tl.load(weight + k[:, None] * M + m[None, :], mask=(k < K)[:, None] & used, other=0.0)
    shift = tl.load(bias + m, mask=m < M, other=0.0)[None, :]
    first, second = tl.zeros((BM,), tl.float64), tl.zeros((BM,), tl.float64)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        r = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)
        real = (r < rows)[:, None]
        _, y = _normed(x, norm, r, real, K, BK)
        if ACTIVATION:
            y = activated(y, "gelu")
        z = product(y, matrix, tl.zeros((ROWS, BM), tl.float32), PRECISION) + shift
        tl.store(out + r[:, None] * M + m[None, :], z, mask=real & used)
        exact = tl.where(real, z, 0.0).to(tl.float64)
        first += tl.sum(exact, axis=0)
        second += tl.sum(exact * exact, axis=0)
    place = moments + tl.program_id(0) * 2 * M + m
    tl.store(place, first, mask=m < M)
    tl.store(place + M, second, mask=m < M)


@triton.jit(do_not_specialize=["rows"])
def layer_backward_kernel(
    x: tl.tensor,
    norm: tl.tensor,
    weight: tl.tensor,
    z: tl.tensor,
    grad: tl.tensor,
    step: tl.tensor,
    out: LayerGrads,
    rows: tl.tensor,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    K: tl.constexpr,
    M: tl.constexpr,
    BK: tl.constexpr,
    BM: tl.constexpr,
) -> None:
    """Gradients of `layer_forward_kernel`, of dy' (T, M) after the next norm and its (p, q, r), (3, M)."""
    k, m = tl.arange(0, BK), tl.arange(0, BM)
    used = (m < M)[None, :]
    inside = (k < K)[:, None] & used
    matrix = tl.load(weight + k[:, None] * M + m[None, :], mask=inside, other=0.0)
    p, q, shift = (
        tl.load(step + m, mask=m < M, other=0.0)[None, :],
        tl.load(step + M + m, mask=m < M, other=0.0)[None, :],
        tl.load(step + 2 * M + m, mask=m < M, other=0.0)[None, :],
    )
    inverse = tl.load(norm + 2 * K + k, mask=k < K, other=0.0)[None, :]
    offset = tl.load(norm + 3 * K + k, mask=k < K, other=0.0)[None, :]
    grad_weight, grad_bias = tl.zeros((BK, BM), tl.float32), tl.zeros((BM,), tl.float64)
    first, second = tl.zeros((BK,), tl.float64), tl.zeros((BK,), tl.float64)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        r = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)
        real = (r < rows)[:, None]
        place = r[:, None] * M + m[None, :]
        above = tl.load(grad + place, mask=real & used, other=0.0)
        grad_z = p * above + q * tl.load(z + place, mask=real & used, other=0.0) + shift
        grad_z = tl.where(real, grad_z, 0.0)
        grad_bias += tl.sum(grad_z.to(tl.float64), axis=0)
        rows_x, y = _normed(x, norm, r, real, K, BK)
        grad_y = product(grad_z, tl.trans(matrix), tl.zeros((ROWS, BK), tl.float32), PRECISION)
        if ACTIVATION:
            y, slope = activated_and_slope(y, "gelu")
            grad_y = grad_y * slope
        grad_weight = product(tl.trans(y), grad_z, grad_weight, PRECISION)
        tl.store(out.rows + r[:, None] * K + k[None, :], grad_y, mask=real & (k < K)[None, :])
        exact = grad_y.to(tl.float64)
        first += tl.sum(exact, axis=0)
        second += tl.sum(exact * (rows_x * inverse + offset), axis=0)
    program = tl.program_id(0)
    tl.store(out.weight + program * K * M + k[:, None] * M + m[None, :], grad_weight, mask=inside)
    tl.store(out.bias + program * M + m, grad_bias, mask=m < M)
    tl.store(out.sums + program * 2 * K + k, first, mask=k < K)
    tl.store(out.sums + program * 2 * K + K + k, second, mask=k < K)


def layer_forward(
    x_TK: Tensor, norm: Tensor, weight_KM: Tensor, bias_M: Tensor, *, activation: bool, precision: str
) -> tuple[Tensor, Tensor]:
    """Rows z (T, M) and their moments Σ z, Σ z², (2, M) in float64.

    Parameters
    ----------
    x_TK : Tensor of float32, shape (T, K)
        What the norm before the layer sees, contiguous.
    norm : Tensor of float32, shape (4, K)
        The norm's scale, shift, inverse and offset.
    weight_KM, bias_M : Tensor of float32, shapes (K, M) and (M,)
        The layer, contiguous.
    activation : bool
        Whether GELU follows the norm.
    precision : str
        Of the products.
    """
    (rows, depth), width = x_TK.shape, weight_KM.shape[1]
    out, programs = x_TK.new_empty(rows, width), _programs(rows)
    moments = norm.new_empty(programs, 2, width, dtype=torch.float64)
    if rows:
        layer_forward_kernel[(programs,)](
            x_TK, norm, weight_KM, bias_M, out, moments, rows, **_sizes(depth, width, activation, precision)
        )
    return out, moments.sum(0)


def layer_backward(
    x_TK: Tensor,
    norm: Tensor,
    weight_KM: Tensor,
    z_TM: Tensor,
    grad_TM: Tensor,
    step: Tensor,
    *,
    activation: bool,
    precision: str,
) -> LayerGrads:
    """Gradients, summed over programs, of `grad_TM` behind the norm after z, whose backward pass is `step`, (3, M)."""
    (rows, depth), width, programs = x_TK.shape, weight_KM.shape[1], _programs(len(x_TK))
    out = LayerGrads(
        x_TK.new_empty(rows, depth),
        x_TK.new_empty(programs, depth, width),
        step.new_empty(programs, width, dtype=torch.float64),
        step.new_empty(programs, 2, depth, dtype=torch.float64),
    )
    if rows:
        layer_backward_kernel[(programs,)](
            x_TK, norm, weight_KM, z_TM, grad_TM, step, out, rows, **_sizes(depth, width, activation, precision)
        )
    return LayerGrads(out.rows, out.weight.sum(0), out.bias.sum(0), out.sums.sum(0))


def _programs(rows: int) -> int:
    return min(PROGRAMS, (rows + _ROWS - 1) // _ROWS)


def _sizes(depth: int, width: int, activation: bool, precision: str) -> dict[str, Any]:
    return {
        "ACTIVATION": activation, "PRECISION": precision, "ROWS": _ROWS, "K": depth, "M": width,
        "BK": max(16, triton.next_power_of_2(depth)), "BM": max(16, triton.next_power_of_2(width)),
        "num_warps": 8, "num_stages": 1,
    }  # fmt: skip
