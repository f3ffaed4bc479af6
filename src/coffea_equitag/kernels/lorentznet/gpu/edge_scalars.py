"""The edge scalars ν and π of the pairs of one jet, of whichever kind, see ``../scalar_kinds.py``."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import psi
from ...common.gpu.tiles import JetTiles, own_tile
from .. import scalar_kinds

__all__ = ["INTERVAL", "NOTHING", "angles", "edge_scalars_kernel", "pair_scalars"]

#: As there, for Triton.
NOTHING, INTERVAL = tl.constexpr(scalar_kinds.NOTHING), tl.constexpr(scalar_kinds.INTERVAL)
_MASS, _DELTA_R = tl.constexpr(scalar_kinds.MASS), tl.constexpr(scalar_kinds.DELTA_R)
#: Squares of ΔR below which two vectors share their direction, where ΔR has no derivative.
_SAME_DIRECTION = tl.constexpr(1e-24)
_PI = tl.constexpr(3.141592653589793)


@triton.jit
def edge_scalars_kernel(
    source: tl.tensor,
    tiles: JetTiles,
    out: tl.tensor,
    KIND: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """ν and π of the pairs of some nodes of one jet: (Q, 2), float32, 0 for i = j."""
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, ROWS)
    for column in range(0, n, COLUMNS):
        j = column + tl.arange(0, COLUMNS)
        nu, pi, _, _ = pair_scalars(source, block, start, i, j, n, KIND)
        place = out + 2 * (block + i.to(tl.int64)[:, None] * n + j[None, :])
        inside = (i < n)[:, None] & (j < n)[None, :]
        tl.store(place, nu.to(tl.float32), mask=inside)
        tl.store(place + 1, pi.to(tl.float32), mask=inside)


@triton.jit
def pair_scalars(
    source: tl.tensor, block: tl.tensor, start: tl.tensor, i: tl.tensor, j: tl.tensor, n: tl.tensor, KIND: tl.constexpr
) -> tuple[tl.tensor, ...]:
    """ν and π as the edges see them, 0 for i = j and beyond the jet; and the two before ψ; all float64.

    `source` is what they are made of: G (Q,) of all jets, of which one begins at `block`, or coordinates (N, 3), of
    which it begins at `start`.
    """
    pair = (i < n)[:, None] & (j < n)[None, :] & (i[:, None] != j[None, :])
    first, second = tl.zeros(pair.shape, tl.float64), tl.zeros(pair.shape, tl.float64)
    if KIND == INTERVAL or KIND == _MASS:  # noqa: SIM109 (Triton knows no `in`)
        gram = source + block
        square_i = tl.load(gram + i.to(tl.int64) * (n + 1), mask=i < n, other=0.0)
        square_j = tl.load(gram + j.to(tl.int64) * (n + 1), mask=j < n, other=0.0)
        dot = tl.load(gram + i.to(tl.int64)[:, None] * n + j[None, :], mask=pair, other=0.0)
        twice = -2.0 * dot if KIND == INTERVAL else 2.0 * dot
        first = tl.where(pair, square_i[:, None] + square_j[None, :] + twice, 0.0)
        if KIND == INTERVAL:
            second = dot
    elif KIND != NOTHING:
        total, delta_r, _, _, _ = angles(source, start, i, j, n, KIND)
        first = tl.where(pair, total * delta_r, 0.0)
    return psi(first.to(tl.float32)).to(tl.float64), psi(second.to(tl.float32)).to(tl.float64), first, second


@triton.jit
def angles(
    coordinates: tl.tensor, start: tl.tensor, i: tl.tensor, j: tl.tensor, n: tl.tensor, KIND: tl.constexpr
) -> tuple[tl.tensor, ...]:
    """Of pairs: w_i + w_j; ΔR (1 for energies); Δη, Δφ and whether ΔR has a derivative."""
    nodes_i, nodes_j = coordinates + 3 * (start + i), coordinates + 3 * (start + j)
    w_i, w_j = tl.load(nodes_i, mask=i < n, other=0.0), tl.load(nodes_j, mask=j < n, other=0.0)
    total = w_i[:, None] + w_j[None, :]
    eta, phi, delta_r = tl.zeros_like(total), tl.zeros_like(total), tl.full(total.shape, 1.0, tl.float64)
    bends = tl.zeros(total.shape, tl.int1)
    if KIND >= _DELTA_R:
        eta_i, eta_j = tl.load(nodes_i + 1, mask=i < n, other=0.0), tl.load(nodes_j + 1, mask=j < n, other=0.0)
        phi_i, phi_j = tl.load(nodes_i + 2, mask=i < n, other=0.0), tl.load(nodes_j + 2, mask=j < n, other=0.0)
        eta, phi = eta_i[:, None] - eta_j[None, :], phi_i[:, None] - phi_j[None, :]
        phi = phi - 2.0 * _PI * tl.floor((phi + _PI) / (2.0 * _PI))
        square = eta * eta + phi * phi
        bends = square >= _SAME_DIRECTION
        # NaN stays NaN
        delta_r = tl.sqrt(tl.where(square < _SAME_DIRECTION, _SAME_DIRECTION, square))
    return total, delta_r, eta, phi, bends
