"""Backward through the edge scalars, to the Gram matrices or the coordinates that they are made of."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.tiles import JetTiles, own_tile
from .edge_scalars import INTERVAL, angles, pair_scalars
from .edge_statistics_gradient import ScalarTerms

__all__ = ["coordinates_backward_kernel", "gram_backward_kernel"]


@triton.jit
def gram_backward_kernel(
    gram: tl.tensor,
    grad_scalars: tl.tensor,
    terms: ScalarTerms,
    tiles: JetTiles,
    out: tl.tensor,
    KIND: tl.constexpr,
    OF_BATCH: tl.constexpr,
    ADD: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """From gradients of ν and π, (Q, 2), to those of some rows of one jet's G, (Q,), or with ADD added to them."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, ROWS)
    own = tl.zeros((ROWS,), tl.float64)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        pair = (i < n)[:, None] & (j < n)[None, :] & (i[:, None] != j[None, :])
        nu, pi, norm, dot = pair_scalars(gram, block, start, i, j, n, KIND)
        of_norm, transposed, of_dot = _grad_scalars(grad_scalars, terms, block, start, i, j, n, nu, pi, OF_BATCH)
        # ψ′ = 1 / (1 + |x|)
        bend = 1.0 + tl.abs(norm)
        of_norm, transposed = tl.where(pair, of_norm / bend, 0.0), tl.where(pair, transposed / bend, 0.0)
        own += tl.sum(of_norm + transposed, axis=1)
        value = of_dot / (1.0 + tl.abs(dot)) - 2.0 * of_norm if KIND == INTERVAL else 2.0 * of_norm
        place = block + i.to(tl.int64)[:, None] * n + j[None, :]
        if ADD:
            value += tl.load(out + place, mask=pair, other=0.0)
        tl.store(out + place, value, mask=pair)
    diagonal = out + block + i.to(tl.int64) * (n + 1)
    if ADD:
        own += tl.load(diagonal, mask=i < n, other=0.0)
    tl.store(diagonal, own, mask=i < n)


@triton.jit
def coordinates_backward_kernel(
    coordinates: tl.tensor,
    grad_scalars: tl.tensor,
    terms: ScalarTerms,
    tiles: JetTiles,
    out: tl.tensor,
    KIND: tl.constexpr,
    OF_BATCH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """From gradients of ν, (Q, 2), to those of some vectors' coordinates, (N, 3): of (w_i + w_j) ΔR_ij or w_i + w_j."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, ROWS)
    of_w, of_eta, of_phi = tl.zeros((ROWS,), tl.float64), tl.zeros((ROWS,), tl.float64), tl.zeros((ROWS,), tl.float64)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        pair = (i < n)[:, None] & (j < n)[None, :] & (i[:, None] != j[None, :])
        nu, pi, value, _ = pair_scalars(coordinates, block, start, i, j, n, KIND)
        own, transposed, _ = _grad_scalars(grad_scalars, terms, block, start, i, j, n, nu, pi, OF_BATCH)
        # ψ′ = 1 / (1 + |x|); the scalar is symmetric
        grad = tl.where(pair, (own + transposed) / (1.0 + tl.abs(value)), 0.0)
        total, delta_r, eta, phi, bends = angles(coordinates, start, i, j, n, KIND)
        of_w += tl.sum(grad * delta_r, axis=1)
        scale = tl.where(bends, grad * total / delta_r, 0.0)
        of_eta += tl.sum(scale * eta, axis=1)
        of_phi += tl.sum(scale * phi, axis=1)
    place = out + 3 * (start + i)
    tl.store(place, of_w, mask=i < n)
    tl.store(place + 1, of_eta, mask=i < n)
    tl.store(place + 2, of_phi, mask=i < n)


@triton.jit
def _grad_scalars(
    grad_scalars: tl.tensor,
    terms: ScalarTerms,
    block: tl.tensor,
    start: tl.tensor,
    i: tl.tensor,
    j: tl.tensor,
    n: tl.tensor,
    nu: tl.tensor,
    pi: tl.tensor,
    OF_BATCH: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Gradients of ν_ij, ν_ji and π_ij, with what BatchNorm's statistics add to them; float64."""
    pair = (i < n)[:, None] & (j < n)[None, :] & (i[:, None] != j[None, :])
    place = block + i.to(tl.int64)[:, None] * n + j[None, :]
    mirror = block + j.to(tl.int64)[None, :] * n + i[:, None]
    of_nu = tl.load(grad_scalars + 2 * place, mask=pair, other=0.0).to(tl.float64)
    of_pi = tl.load(grad_scalars + 2 * place + 1, mask=pair, other=0.0).to(tl.float64)
    transposed = tl.load(grad_scalars + 2 * mirror, mask=pair, other=0.0).to(tl.float64)
    if OF_BATCH:
        by_nu, mixed, by_pi = tl.load(terms.pairs), tl.load(terms.pairs + 1), tl.load(terms.pairs + 2)
        both = by_nu * nu + mixed * pi
        nodes_i, nodes_j = terms.nodes + 4 * (start + i), terms.nodes + 4 * (start + j)
        nu_i = tl.load(nodes_i, mask=i < n, other=0.0)
        nu_j = tl.load(nodes_j, mask=j < n, other=0.0)
        pi_i = tl.load(nodes_i + 1, mask=i < n, other=0.0)
        to_nu_i = tl.load(nodes_i + 2, mask=i < n, other=0.0)
        to_nu_j = tl.load(nodes_j + 2, mask=j < n, other=0.0)
        to_pi_j = tl.load(nodes_j + 3, mask=j < n, other=0.0)
        of_nu += nu_i[:, None] + to_nu_j[None, :] + both
        transposed += nu_j[None, :] + to_nu_i[:, None] + both
        of_pi += pi_i[:, None] + to_pi_j[None, :] + mixed * nu + by_pi * pi
    return of_nu, transposed, of_pi
