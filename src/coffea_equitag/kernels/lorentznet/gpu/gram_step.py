"""LorentzNet's update of the vectors as the Gram step G ← S G Sᵀ, forward and backward, in float64."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.arithmetic import product
from ...common.gpu.tiles import RECEIVERS, JetTiles, Tiles, own_tile

__all__ = ["Mixing", "grad_phi_x_kernel", "gram_step", "gram_step_backward", "similarity_kernel"]

_COLUMNS, _DEPTH = 32, 16


class Mixing(NamedTuple):
    """What S is made of: S_ij = −c φ_x(m_ij) / (n − 1) off its diagonal, S_ii = 1 + c Σ_k φ_x(m_ik) / (n − 1)."""

    phi_x: Tensor  # (Q,), float32
    phi_x_sums: Tensor  # (N,), float64: over j ≠ i
    c_weight: Tensor  # (1,), float64


@triton.jit
def similarity_kernel(
    mixing: Mixing,
    before: tl.tensor,
    after: tl.tensor,
    tiles: JetTiles,
    RIGHT: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    """Some rows of S X, or with RIGHT of X Sᵀ, of one jet; with TRANSPOSED Sᵀ takes the place of S."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    phi_x, phi_x_sums = mixing.phi_x + block, mixing.phi_x_sums + start
    scale = tl.load(mixing.c_weight) / tl.maximum(n - 1, 1)
    i = begin + tl.arange(0, ROWS)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        total = tl.zeros((ROWS, COLUMNS), tl.float64)
        for depth in range(0, n, DEPTH):
            k = depth + tl.arange(0, DEPTH)
            if RIGHT:
                left = _matrix(before + block, i[:, None], k[None, :], n)
                if TRANSPOSED:
                    right = _mixing(phi_x, phi_x_sums, scale, k[:, None], j[None, :], n)
                else:
                    right = _mixing(phi_x, phi_x_sums, scale, j[None, :], k[:, None], n)
            else:
                if TRANSPOSED:
                    left = _mixing(phi_x, phi_x_sums, scale, k[None, :], i[:, None], n)
                else:
                    left = _mixing(phi_x, phi_x_sums, scale, i[:, None], k[None, :], n)
                right = _matrix(before + block, k[:, None], j[None, :], n)
            total = product(left, right, total, "ieee")
        place = after + block + i.to(tl.int64)[:, None] * n + j[None, :]
        tl.store(place, total, mask=(i < n)[:, None] & (j < n)[None, :])


@triton.jit
def grad_phi_x_kernel(
    above: tl.tensor,
    mixed: tl.tensor,
    c_weight: tl.tensor,
    tiles: JetTiles,
    out: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    """Gradients of φ_x for some rows of one jet, from M = dL/d(S G Sᵀ) and from S G, both (Q,) in float64.

    With D = dL/dS = (M + Mᵀ) S G, dL/dφ_x(m_ij) = c (D_ii − D_ij) / (n − 1).
    """
    jet, _, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    scale = tl.load(c_weight) / tl.maximum(n - 1, 1)
    i = begin + tl.arange(0, ROWS)
    diagonal = tl.zeros((ROWS,), tl.float64)
    for depth in range(0, n, DEPTH):
        k = depth + tl.arange(0, DEPTH)
        transposed = _matrix(mixed + block, k[None, :], i[:, None], n)
        diagonal += tl.sum(_both(above + block, i[:, None], k[None, :], n) * transposed, axis=1)
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
    phi_x: tl.tensor, phi_x_sums: tl.tensor, scale: tl.tensor, i: tl.tensor, j: tl.tensor, n: tl.tensor
) -> tl.tensor:
    """S_ij; 0 beyond the jet."""
    diagonal = 1.0 + scale * tl.load(phi_x_sums + i, mask=i < n, other=0.0)
    off = _matrix(phi_x, i, j, n).to(tl.float64)
    return tl.where((i < n) & (j < n), tl.where(i == j, diagonal, -scale * off), 0.0)


def gram_step(gram_Q: Tensor, spare_Q: Tensor, after_Q: Tensor, mixing: Mixing, tiles: Tiles) -> None:
    """x_i ← x_i + c mean_j (x_i − x_j) φ_x(m_ij) on the Gram matrices, (Q,) each in float64.

    Parameters
    ----------
    gram_Q, after_Q : Tensor
        G before and after; may be the same.
    spare_Q : Tensor
        Room for S G.
    mixing : Mixing
        S.
    tiles : Tiles
        The batch.
    """
    _multiply(mixing, gram_Q, spare_Q, tiles)
    _multiply(mixing, spare_Q, after_Q, tiles, right=True)


def gram_step_backward(
    above_Q: Tensor, gram_Q: Tensor, mixing: Mixing, tiles: Tiles, *, through: bool
) -> tuple[Tensor, Tensor | None]:
    """From dL/d(S G Sᵀ) to the gradients of φ_x, float32, and, if they are to go `through`, of G; (Q,) each.

    Parameters
    ----------
    above_Q, gram_Q : Tensor of float64, shape (Q,)
        M = dL/d(S G Sᵀ), and G before the step.
    """
    spare, grad_phi_x = torch.empty_like(gram_Q), torch.empty_like(mixing.phi_x)
    _multiply(mixing, gram_Q, spare, tiles)
    grad_phi_x_kernel[(len(tiles.jet),)](
        above_Q, spare, mixing.c_weight, tiles.arguments, grad_phi_x, ROWS=RECEIVERS, COLUMNS=_COLUMNS, DEPTH=_DEPTH
    )
    if not through:
        return grad_phi_x, None
    grad_gram = torch.empty_like(gram_Q)
    # dL/dG = Sᵀ M S
    _multiply(mixing, above_Q, spare, tiles, right=True, transposed=True)
    _multiply(mixing, spare, grad_gram, tiles, transposed=True)
    return grad_phi_x, grad_gram


def _multiply(
    mixing: Mixing, before_Q: Tensor, after_Q: Tensor, tiles: Tiles, *, right: bool = False, transposed: bool = False
) -> None:
    """Write S X, or with `right` X Sᵀ, of the matrices X before into those after; with `transposed` Sᵀ stands for S."""
    similarity_kernel[(len(tiles.jet),)](
        mixing, before_Q, after_Q, tiles.arguments, RIGHT=right, TRANSPOSED=transposed, ROWS=RECEIVERS,
        COLUMNS=_COLUMNS, DEPTH=_DEPTH,
    )  # fmt: skip
