"""The step of the vectors themselves on a GPU, and the official clamp of its components, with gradients, in float64.

Without the clamp x becomes x° = S x, and G becomes S G Sᵀ; the clamp adds its excess d to x°. See ``../README.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...common.gpu.tiles import RECEIVERS, JetTiles, Tiles, own_tile

__all__ = [
    "ClampedStep",
    "GradVectors",
    "clamped_gram_kernel",
    "clamped_step",
    "clamped_step_backward",
    "clamped_vectors_kernel",
    "grad_pairs_kernel",
    "grad_vectors_kernel",
]

_COLUMNS = 32


class ClampedStep(NamedTuple):
    """One step of all vectors."""

    phi_x: Tensor  # (Q,), float32: 0 for i = j
    x: Tensor  # (N, 4): before
    moved: Tensor  # (N, 4): after, x° + d
    excess: Tensor  # (N, 4): d
    settings: Tensor  # (2,), float64: c and the clamp


class GradVectors(NamedTuple):
    """Gradients of vectors, (N, 4) in float64."""

    moved: Tensor  # of x after the step; in
    free: Tensor  # of x°
    excess: Tensor  # of d
    x: Tensor  # of x before the step; out


@triton.jit
def clamped_vectors_kernel(step: ClampedStep, tiles: JetTiles, ROWS: tl.constexpr, COLUMNS: tl.constexpr) -> None:
    """The vectors after the step, and the excess, of some nodes of one jet."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    clamp = tl.load(step.settings + 1)
    scale = tl.load(step.settings) / tl.maximum(n - 1, 1)
    i = begin + tl.arange(0, ROWS)
    for d in tl.static_range(4):
        total, cut = tl.zeros((ROWS,), tl.float64), tl.zeros((ROWS,), tl.float64)
        for column in range(0, n, COLUMNS):
            j = column + tl.arange(0, COLUMNS)
            raw = _step(step, block, start, n, i[:, None], j[None, :], d)
            total += tl.sum(raw, axis=1)
            cut += tl.sum(tl.where(raw > clamp, clamp - raw, tl.where(raw < -clamp, -clamp - raw, 0.0)), axis=1)
        place = (start + i) * 4 + d
        before = tl.load(step.x + place, mask=i < n, other=0.0)
        tl.store(step.moved + place, before + scale * total + scale * cut, mask=i < n)
        tl.store(step.excess + place, scale * cut, mask=i < n)


@triton.jit
def clamped_gram_kernel(
    step: ClampedStep, gram: tl.tensor, tiles: JetTiles, ROWS: tl.constexpr, COLUMNS: tl.constexpr
) -> None:
    """What the excess adds to some rows of one jet's S G Sᵀ, in `gram` (Q,)."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, ROWS)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        total = tl.zeros((ROWS, COLUMNS), tl.float64)
        for d in tl.static_range(4):
            d_i, d_j = _component(step.excess, start, n, i, d), _component(step.excess, start, n, j, d)
            x_i, x_j = _component(step.moved, start, n, i, d), _component(step.moved, start, n, j, d)
            added = (x_i - d_i)[:, None] * d_j[None, :] + d_i[:, None] * x_j[None, :]
            total += added if d == 0 else -added
        inside = (i < n)[:, None] & (j < n)[None, :]
        place = gram + block + i.to(tl.int64)[:, None] * n + j[None, :]
        tl.store(place, tl.load(place, mask=inside, other=0.0) + total, mask=inside)


@triton.jit
def grad_vectors_kernel(
    step: ClampedStep,
    above: tl.tensor,
    grads: GradVectors,
    tiles: JetTiles,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Gradients of x° and d of some nodes of one jet, from those of x after the step and of G, `above` (Q,)."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    rows = above + tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, ROWS)
    for d in tl.static_range(4):
        with_excess, with_moved = tl.zeros((ROWS,), tl.float64), tl.zeros((ROWS,), tl.float64)
        for column in range(0, n, COLUMNS):
            j = column + tl.arange(0, COLUMNS)
            both = _matrix(rows, i[:, None], j[None, :], n) + _matrix(rows, j[None, :], i[:, None], n)
            with_excess += tl.sum(both * _component(step.excess, start, n, j, d)[None, :], axis=1)
            with_moved += tl.sum(both * _component(step.moved, start, n, j, d)[None, :], axis=1)
        place = (start + i) * 4 + d
        given = tl.load(grads.moved + place, mask=i < n, other=0.0)
        sign = 1.0 if d == 0 else -1.0
        tl.store(grads.free + place, given + sign * with_excess, mask=i < n)
        tl.store(grads.excess + place, given + sign * with_moved, mask=i < n)


@triton.jit
def grad_pairs_kernel(
    step: ClampedStep,
    grads: GradVectors,
    tiles: JetTiles,
    grad_phi_x: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """From gradients of x° and d to those of x before the step, and of φ_x but for S G Sᵀ: `grad_phi_x` (Q,)."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, ROWS)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        total = tl.zeros((ROWS, COLUMNS), tl.float64)
        for d in tl.static_range(4):
            difference = _component(step.x, start, n, i, d)[:, None] - _component(step.x, start, n, j, d)[None, :]
            total += difference * _grad_step(step, grads, block, start, n, i[:, None], j[None, :], d)
        total = tl.where(i[:, None] == j[None, :], 0.0, total).to(tl.float32)
        place = grad_phi_x + block + i.to(tl.int64)[:, None] * n + j[None, :]
        tl.store(place, total, mask=(i < n)[:, None] & (j < n)[None, :])
    for d in tl.static_range(4):
        found = _component(grads.free, start, n, i, d)
        for column in range(0, n, COLUMNS):
            j = column + tl.arange(0, COLUMNS)
            own = _grad_step(step, grads, block, start, n, i[:, None], j[None, :], d)
            other = _grad_step(step, grads, block, start, n, j[None, :], i[:, None], d)
            own *= _matrix(step.phi_x + block, i[:, None], j[None, :], n).to(tl.float64)
            other *= _matrix(step.phi_x + block, j[None, :], i[:, None], n).to(tl.float64)
            found += tl.sum(own - other, axis=1)
        tl.store(grads.x + (start + i) * 4 + d, found, mask=i < n)


@triton.jit
def _grad_step(
    step: ClampedStep,
    grads: GradVectors,
    block: tl.tensor,
    start: tl.tensor,
    n: tl.tensor,
    i: tl.tensor,
    j: tl.tensor,
    d: tl.constexpr,
) -> tl.tensor:
    """The gradient of a component of (x_i − x_j) φ_x: that of x°_i, without that of d_i where the clamp cuts."""
    clamp = tl.load(step.settings + 1)
    scale = tl.load(step.settings) / tl.maximum(n - 1, 1)
    raw = _step(step, block, start, n, i, j, d)
    cut = tl.where((raw > clamp) | (raw < -clamp), _component(grads.excess, start, n, i, d), 0.0)
    return scale * (_component(grads.free, start, n, i, d) - cut)


@triton.jit
def _step(
    step: ClampedStep, block: tl.tensor, start: tl.tensor, n: tl.tensor, i: tl.tensor, j: tl.tensor, d: tl.constexpr
) -> tl.tensor:
    """A component of (x_i − x_j) φ_x; 0 beyond the jet."""
    difference = _component(step.x, start, n, i, d) - _component(step.x, start, n, j, d)
    return difference * _matrix(step.phi_x + block, i, j, n).to(tl.float64)


@triton.jit
def _component(vectors: tl.tensor, start: tl.tensor, n: tl.tensor, i: tl.tensor, d: tl.constexpr) -> tl.tensor:
    return tl.load(vectors + (start + i) * 4 + d, mask=i < n, other=0.0)


@triton.jit
def _matrix(values: tl.tensor, i: tl.tensor, j: tl.tensor, n: tl.tensor) -> tl.tensor:
    """X_ij; 0 beyond the jet."""
    return tl.load(values + i.to(tl.int64) * n + j, mask=(i < n) & (j < n), other=0.0)


def clamped_step(phi_x_Q: Tensor, x_N4: Tensor, gram_Q: Tensor, settings: Tensor, tiles: Tiles) -> ClampedStep:
    """Move the vectors, and turn S G Sᵀ in `gram_Q`, unless it is empty, into their Gram matrices.

    Parameters
    ----------
    phi_x_Q : Tensor of float32, shape (Q,)
        φ_x(m_ij), 0 for i = j.
    x_N4, gram_Q : Tensor of float64
        x before the step, and S G Sᵀ.
    settings : Tensor of float64, shape (2,)
        c and the clamp, ∞ for none.
    tiles : Tiles
        The batch.
    """
    step = ClampedStep(phi_x_Q, x_N4, torch.empty_like(x_N4), torch.empty_like(x_N4), settings)
    if tiles.num_nodes:
        grid = (len(tiles.jet),)
        clamped_vectors_kernel[grid](step, tiles.arguments, ROWS=RECEIVERS, COLUMNS=_COLUMNS)
        if len(gram_Q):
            clamped_gram_kernel[grid](step, gram_Q, tiles.arguments, ROWS=RECEIVERS, COLUMNS=_COLUMNS)
    return step


def clamped_step_backward(
    step: ClampedStep, above_Q: Tensor, grad_moved_N4: Tensor, tiles: Tiles
) -> tuple[Tensor, Tensor]:
    """From dL/dG and dL/dx after `clamped_step` to dL/dφ_x (Q,), float32, but for S G Sᵀ, and dL/dx (N, 4) before."""
    free = torch.empty_like(step.x) if len(above_Q) else grad_moved_N4
    grads = GradVectors(grad_moved_N4, free, torch.zeros_like(step.x), torch.empty_like(step.x))
    grad_phi_x = torch.empty_like(step.phi_x)
    if tiles.num_nodes:
        grid = (len(tiles.jet),)
        if len(above_Q):
            grad_vectors_kernel[grid](step, above_Q, grads, tiles.arguments, ROWS=RECEIVERS, COLUMNS=_COLUMNS)
        grad_pairs_kernel[grid](step, grads, tiles.arguments, grad_phi_x, ROWS=RECEIVERS, COLUMNS=_COLUMNS)
    return grad_phi_x, grads.x
