"""The backward pass of `ragged_attention`: weights are computed again from each query's largest score and sum.

With P the softmax, W the weights after dropout, O the outputs and g their gradient:

    dW_ij = g_i·v_j,    dP_ij = dW_ij times what dropout did,    dS_ij = P_ij (dP_ij − g_i·O_i)
    dv_j = Σ_i W_ij g_i,    dq_i = scale Σ_j dS_ij k_j,    dk_j = scale Σ_i dS_ij q_i,    db_ij = dS_ij
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .arithmetic import product
from .dropout import kept, mixed
from .head_rows import AttentionShape, HeadRows, Softmax, bias_place, head_store, head_tile
from .ragged_attention import Drop
from .tiles import JetTiles, Tiles, own_tile

__all__ = ["attend_backward", "keys_backward_kernel", "queries_backward_kernel"]


@triton.jit(do_not_specialize=["key", "threshold"])
def queries_backward_kernel(
    query: HeadRows,
    keys: HeadRows,
    values: HeadRows,
    grad: HeadRows,
    bias: tl.tensor,
    softmax: Softmax,
    drift: tl.tensor,
    scale: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    grown: tl.tensor,
    tiles: JetTiles,
    grad_query: HeadRows,
    grad_bias: tl.tensor,
    SHAPE: tl.constexpr,
) -> None:
    """Gradients of some queries of one jet and head, and of their rows of the bias.

    Parameters as of `attention_kernel`; `grad` is that of its outputs, `drift` (N, H) is g_i·O_i.
    """
    HEADS: tl.constexpr = SHAPE.heads
    D: tl.constexpr = SHAPE.depth
    BD: tl.constexpr = SHAPE.depth_padded
    E: tl.constexpr = SHAPE.width
    BE: tl.constexpr = SHAPE.width_padded
    ROWS: tl.constexpr = SHAPE.rows
    COLUMNS: tl.constexpr = SHAPE.columns
    PRECISION: tl.constexpr = SHAPE.precision
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    head = tl.program_id(1)
    i = begin + tl.arange(0, ROWS)
    real = i < n
    q = head_tile(query, head, start + i, real, D, BD) * scale
    g = head_tile(grad, head, start + i, real, E, BE)
    own = (start + i) * HEADS + head
    largest = tl.load(softmax.maximum + own, mask=real, other=0.0)
    total = tl.load(softmax.total + own, mask=real, other=1.0)
    off = tl.load(drift + own, mask=real, other=0.0)
    sums = tl.zeros((ROWS, BD), tl.float32)
    for first in range(0, n, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        k = head_tile(keys, head, start + j, j < n, D, BD)
        v = head_tile(values, head, start + j, j < n, E, BE)
        inside = real[:, None] & (j < n)[None, :]
        score = product(q, tl.trans(k), tl.zeros((ROWS, COLUMNS), tl.float32), PRECISION)
        place = bias_place(tiles.pairs, jet, n, head, i[:, None], j[None, :], HEADS)
        if SHAPE.bias:
            score += tl.load(bias + place, mask=inside, other=0.0)
        weight = tl.where(inside, tl.exp(score - largest[:, None]) / total[:, None], 0.0)
        grad_weight = product(g, tl.trans(v), tl.zeros((ROWS, COLUMNS), tl.float32), PRECISION)
        if SHAPE.drop:
            pair = tl.load(tiles.pairs + jet) + i[:, None] * n + j[None, :]
            grad_weight = tl.where(kept(mixed(pair, key), head, threshold), grad_weight * grown, 0.0)
        grad_score = weight * (grad_weight - off[:, None])
        if SHAPE.bias:
            tl.store(grad_bias + place, grad_score, mask=inside)
        sums = product(grad_score, k, sums, PRECISION)
    head_store(grad_query, head, start + i, real, sums * scale, D, BD)


@triton.jit(do_not_specialize=["key", "threshold"])
def keys_backward_kernel(
    query: HeadRows,
    keys: HeadRows,
    values: HeadRows,
    grad: HeadRows,
    bias: tl.tensor,
    softmax: Softmax,
    drift: tl.tensor,
    scale: tl.tensor,
    key: tl.tensor,
    threshold: tl.tensor,
    grown: tl.tensor,
    tiles: JetTiles,
    grad_keys: HeadRows,
    grad_values: HeadRows,
    SHAPE: tl.constexpr,
) -> None:
    """Gradients of some keys and values of one jet and head; parameters as of `queries_backward_kernel`."""
    HEADS: tl.constexpr = SHAPE.heads
    D: tl.constexpr = SHAPE.depth
    BD: tl.constexpr = SHAPE.depth_padded
    E: tl.constexpr = SHAPE.width
    BE: tl.constexpr = SHAPE.width_padded
    ROWS: tl.constexpr = SHAPE.rows
    COLUMNS: tl.constexpr = SHAPE.columns
    PRECISION: tl.constexpr = SHAPE.precision
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    head = tl.program_id(1)
    j = begin + tl.arange(0, ROWS)
    real = j < n
    k = head_tile(keys, head, start + j, real, D, BD)
    v = head_tile(values, head, start + j, real, E, BE)
    sums_k = tl.zeros((ROWS, BD), tl.float32)
    sums_v = tl.zeros((ROWS, BE), tl.float32)
    for first in range(0, n, COLUMNS):
        i = first + tl.arange(0, COLUMNS)
        q = head_tile(query, head, start + i, i < n, D, BD) * scale
        g = head_tile(grad, head, start + i, i < n, E, BE)
        own = (start + i) * HEADS + head
        largest = tl.load(softmax.maximum + own, mask=i < n, other=0.0)
        total = tl.load(softmax.total + own, mask=i < n, other=1.0)
        off = tl.load(drift + own, mask=i < n, other=0.0)
        inside = real[:, None] & (i < n)[None, :]
        score = product(k, tl.trans(q), tl.zeros((ROWS, COLUMNS), tl.float32), PRECISION)
        if SHAPE.bias:
            place = bias_place(tiles.pairs, jet, n, head, i[None, :], j[:, None], HEADS)
            score += tl.load(bias + place, mask=inside, other=0.0)
        weight = tl.where(inside, tl.exp(score - largest[None, :]) / total[None, :], 0.0)
        grad_weight = product(v, tl.trans(g), tl.zeros((ROWS, COLUMNS), tl.float32), PRECISION)
        left = weight
        if SHAPE.drop:
            pair = tl.load(tiles.pairs + jet) + i[None, :] * n + j[:, None]
            keeps = kept(mixed(pair, key), head, threshold)
            grad_weight = tl.where(keeps, grad_weight * grown, 0.0)
            left = tl.where(keeps, weight * grown, 0.0)
        sums_v = product(left, g, sums_v, PRECISION)
        sums_k = product(weight * (grad_weight - off[None, :]), q, sums_k, PRECISION)
    head_store(grad_keys, head, start + j, real, sums_k, D, BD)
    head_store(grad_values, head, start + j, real, sums_v, E, BE)


def attend_backward(
    grad_NHE: Tensor,
    rows: tuple[HeadRows, HeadRows, HeadRows],
    out_NHE: Tensor,
    softmax: Softmax,
    tiles: Tiles,
    bias: Tensor | None,
    scale: float,
    drop: Drop,
    shape: AttentionShape,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients of queries and keys (N, H, D), values (N, H, E) and the bias; arguments as of `attend`."""
    nodes, heads = tiles.num_nodes, shape.heads
    grad_query, grad_keys = (grad_NHE.new_empty(nodes, heads, shape.depth) for _ in range(2))
    grad_values, grad_bias = torch.empty_like(out_NHE), None if bias is None else torch.empty_like(bias)
    if len(tiles.jet):
        bias = grad_NHE if bias is None else bias
        drift = (grad_NHE * out_NHE).sum(2)
        given = (*rows, HeadRows.of(grad_NHE), bias, softmax, drift, scale, *drop.arguments, tiles.arguments)
        grid, options = (len(tiles.jet), heads), {"SHAPE": shape, "num_warps": 4, "num_stages": 1}
        queries_backward_kernel[grid](
            *given, HeadRows.of(grad_query), bias if grad_bias is None else grad_bias, **options
        )
        keys_backward_kernel[grid](*given, HeadRows.of(grad_keys), HeadRows.of(grad_values), **options)
    return grad_query, grad_keys, grad_values, grad_bias
