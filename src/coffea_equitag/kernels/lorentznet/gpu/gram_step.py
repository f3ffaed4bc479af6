"""LorentzNet's step of the vectors, on their Gram matrix: G ← S G Sᵀ in float64, and its way back."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.arithmetic import product
from ...common.gpu.tiles import RECEIVERS, Tiles

__all__ = ["mix", "move", "move_back", "similarity_kernel", "step_slopes_kernel"]

_COLUMNS, _DEPTH = 32, 16


@triton.jit
def similarity_kernel(
    steps: tl.tensor,
    pushed: tl.tensor,
    before: tl.tensor,
    after: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    c_weight: tl.tensor,
    RIGHT: tl.constexpr,
    TURNED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    """Some rows of S X, or with RIGHT of X Sᵀ, of one jet; with TURNED Sᵀ takes the place of S.

    S_ij = −c w_ij / (n − 1) off its diagonal, and S_ii = 1 + c Σ_k w_ik / (n − 1).
    """
    jet = tl.load(tile_jet + tl.program_id(0))
    start = tl.load(offsets + jet)
    n = (tl.load(offsets + jet + 1) - start).to(tl.int32)
    block = tl.load(pairs + jet)
    scale = tl.load(c_weight) / tl.maximum(n - 1, 1)
    i = tl.load(tile_first + tl.program_id(0)) + tl.arange(0, ROWS)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        total = tl.zeros((ROWS, COLUMNS), tl.float64)
        for depth in range(0, n, DEPTH):
            k = depth + tl.arange(0, DEPTH)
            if RIGHT:
                left = _matrix(before + block, i[:, None], k[None, :], n)
                if TURNED:
                    right = _mixing(steps + block, pushed + start, scale, k[:, None], j[None, :], n)
                else:
                    right = _mixing(steps + block, pushed + start, scale, j[None, :], k[:, None], n)
            else:
                if TURNED:
                    left = _mixing(steps + block, pushed + start, scale, k[None, :], i[:, None], n)
                else:
                    left = _mixing(steps + block, pushed + start, scale, i[:, None], k[None, :], n)
                right = _matrix(before + block, k[:, None], j[None, :], n)
            total = product(left, right, total, "ieee")
        place = after + block + i.to(tl.int64)[:, None] * n + j[None, :]
        tl.store(place, total, mask=(i < n)[:, None] & (j < n)[None, :])


@triton.jit
def step_slopes_kernel(
    above: tl.tensor,
    mixed: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    c_weight: tl.tensor,
    out: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    """Slopes of w for some rows of one jet, from those of S G Sᵀ and from S G, both (Q,) in float64.

    D = (M + Mᵀ) S G are the slopes of S, and those of w_ij are c (D_ii − D_ij) / (n − 1).
    """
    jet = tl.load(tile_jet + tl.program_id(0))
    start = tl.load(offsets + jet)
    n = (tl.load(offsets + jet + 1) - start).to(tl.int32)
    block = tl.load(pairs + jet)
    scale = tl.load(c_weight) / tl.maximum(n - 1, 1)
    i = tl.load(tile_first + tl.program_id(0)) + tl.arange(0, ROWS)
    diagonal = tl.zeros((ROWS,), tl.float64)
    for depth in range(0, n, DEPTH):
        k = depth + tl.arange(0, DEPTH)
        turned = _matrix(mixed + block, k[None, :], i[:, None], n)
        diagonal += tl.sum(_both(above + block, i[:, None], k[None, :], n) * turned, axis=1)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        total = tl.zeros((ROWS, COLUMNS), tl.float64)
        for depth in range(0, n, DEPTH):
            k = depth + tl.arange(0, DEPTH)
            right = _matrix(mixed + block, k[:, None], j[None, :], n)
            total = product(_both(above + block, i[:, None], k[None, :], n), right, total, "ieee")
        value = tl.where(i[:, None] == j[None, :], 0.0, scale * (diagonal[:, None] - total)).to(tl.float32)
        place = out + block + i.to(tl.int64)[:, None] * n + j[None, :]
        tl.store(place, value, mask=(i < n)[:, None] & (j < n)[None, :])


@triton.jit
def _both(values: tl.tensor, i: tl.tensor, j: tl.tensor, n: tl.tensor) -> tl.tensor:
    """X_ij + X_ji; 0 beyond the jet."""
    return _matrix(values, i, j, n) + _matrix(values, j, i, n)


@triton.jit
def _matrix(values: tl.tensor, i: tl.tensor, j: tl.tensor, n: tl.tensor) -> tl.tensor:
    """X_ij; 0 beyond the jet."""
    return tl.load(values + i.to(tl.int64) * n + j, mask=(i < n) & (j < n), other=0.0)


@triton.jit
def _mixing(
    steps: tl.tensor, pushed: tl.tensor, scale: tl.tensor, i: tl.tensor, j: tl.tensor, n: tl.tensor
) -> tl.tensor:
    """S_ij; 0 beyond the jet."""
    diagonal = 1.0 + scale * tl.load(pushed + i, mask=i < n, other=0.0)
    off = _matrix(steps, i, j, n).to(tl.float64)
    return tl.where((i < n) & (j < n), tl.where(i == j, diagonal, -scale * off), 0.0)


def move(gram_Q: Tensor, spare_Q: Tensor, steps_Q: Tensor, pushed_N: Tensor, c_weight: Tensor, tiles: Tiles) -> None:
    """x_i ← x_i + c mean_j (x_i − x_j) w_ij on the Gram matrices, in place.

    Parameters
    ----------
    gram_Q : Tensor of float64, shape (Q,)
        x_i·x_j, then what it becomes.
    spare_Q : Tensor of float64, shape (Q,)
        Room for S G.
    steps_Q : Tensor of float32, shape (Q,)
        w_ij.
    pushed_N : Tensor of float64, shape (N,)
        Σ_j w_ij, j ≠ i.
    c_weight : Tensor of float64, shape (1,)
        c.
    tiles : Tiles
        The batch.
    """
    mix(gram_Q, spare_Q, steps_Q, pushed_N, c_weight, tiles)
    mix(spare_Q, gram_Q, steps_Q, pushed_N, c_weight, tiles, right=True)


def mix(
    before_Q: Tensor,
    after_Q: Tensor,
    steps_Q: Tensor,
    pushed_N: Tensor,
    c_weight: Tensor,
    tiles: Tiles,
    *,
    right: bool = False,
    turned: bool = False,
) -> None:
    """Write S X, or with `right` X Sᵀ, of the matrices X before into those after; with `turned` Sᵀ stands for S."""
    similarity_kernel[(len(tiles.jet),)](
        steps_Q, pushed_N, before_Q, after_Q, tiles.offsets, tiles.pairs, tiles.jet, tiles.first, c_weight,
        RIGHT=right, TURNED=turned, ROWS=RECEIVERS, COLUMNS=_COLUMNS, DEPTH=_DEPTH,
    )  # fmt: skip


def move_back(
    above_Q: Tensor, gram_Q: Tensor, steps_Q: Tensor, pushed_N: Tensor, c_weight: Tensor, tiles: Tiles, *, through: bool
) -> tuple[Tensor, Tensor | None]:
    """From slopes of S G Sᵀ to those of w, float32, and, if they are to go `through`, of G; (Q,) each.

    Parameters
    ----------
    above_Q, gram_Q : Tensor of float64, shape (Q,)
        The slopes M, and G before the step.
    """
    spare, steps_slopes = torch.empty_like(gram_Q), torch.empty_like(steps_Q)
    mix(gram_Q, spare, steps_Q, pushed_N, c_weight, tiles)
    step_slopes_kernel[(len(tiles.jet),)](
        above_Q, spare, tiles.offsets, tiles.pairs, tiles.jet, tiles.first, c_weight, steps_slopes,
        ROWS=RECEIVERS, COLUMNS=_COLUMNS, DEPTH=_DEPTH,
    )  # fmt: skip
    if not through:
        return steps_slopes, None
    gram_slopes = torch.empty_like(gram_Q)
    mix(above_Q, spare, steps_Q, pushed_N, c_weight, tiles, right=True, turned=True)
    mix(spare, gram_slopes, steps_Q, pushed_N, c_weight, tiles, turned=True)
    return steps_slopes, gram_slopes
