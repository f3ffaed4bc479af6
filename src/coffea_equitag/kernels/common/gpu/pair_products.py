"""Minkowski products of all pairs, on the device, from float64: `coffea_equitag.invariants.minkowski` says how."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ....jets.ragged import RaggedJets
from .tiles import RECEIVERS, Tiles

__all__ = ["pair_products", "products_kernel"]

_SENDERS = 16


# slices of a batch begin anywhere
@triton.jit(do_not_specialize_on_alignment=["mass", "polar"])
def products_kernel(
    p4: tl.tensor,
    mass: tl.tensor,
    polar: tl.tensor,
    offsets: tl.tensor,
    pairs: tl.tensor,
    tile_jet: tl.tensor,
    tile_first: tl.tensor,
    out: tl.tensor,
    POLAR: tl.constexpr,
    RECEIVERS: tl.constexpr,
    SENDERS: tl.constexpr,
) -> None:
    """Some rows of one jet's matrix."""
    jet = tl.load(tile_jet + tl.program_id(0))
    start = tl.load(offsets + jet)
    n = tl.load(offsets + jet + 1) - start
    i = tl.load(tile_first + tl.program_id(0)) + tl.arange(0, RECEIVERS)
    a = start + i
    real_i = i < n
    energy_i, x_i, y_i, z_i, size_i, mass_i = _momentum(p4, mass, a, real_i)
    for first in range(0, n, SENDERS):
        j = first + tl.arange(0, SENDERS)
        b = start + j
        real_j = j < n
        energy_j, x_j, y_j, z_j, size_j, mass_j = _momentum(p4, mass, b, real_j)
        both = size_i[:, None] * size_j[None, :]
        cosine = x_i[:, None] * x_j[None, :] + y_i[:, None] * y_j[None, :] + z_i[:, None] * z_j[None, :]
        cross_x = _difference_of_products(y_i[:, None], z_j[None, :], z_i[:, None], y_j[None, :])
        cross_y = _difference_of_products(z_i[:, None], x_j[None, :], x_i[:, None], z_j[None, :])
        cross_z = _difference_of_products(x_i[:, None], y_j[None, :], y_i[:, None], x_j[None, :])
        cross = cross_x * cross_x + cross_y * cross_y + cross_z * cross_z
        wide = cosine <= 0.0
        angular = tl.where(wide, both - cosine, cross / tl.where(wide, 1.0, both + cosine))
        if POLAR:
            pt_i, eta_i, phi_i = _direction(polar, a, real_i)
            pt_j, eta_j, phi_j = _direction(polar, b, real_j)
            s = _sinh(0.5 * (eta_i[:, None] - eta_j[None, :]))
            t = tl.sin(0.5 * (phi_i[:, None] - phi_j[None, :]))
            given = (pt_i >= 0.0)[:, None] & (pt_j >= 0.0)[None, :]
            angular = tl.where(given, 2.0 * pt_i[:, None] * pt_j[None, :] * (s * s + t * t), angular)
        below = energy_i[:, None] * energy_j[None, :] + both
        # the heavier row's formula is not symmetric to the last bit: take the larger row first, as on the CPU
        lower = j[None, :] < i[:, None]
        heavy_i = mass_i[:, None] * tl.where(lower, energy_j[None, :], size_j[None, :])
        heavy_j = mass_j[None, :] * tl.where(lower, size_i[:, None], energy_i[:, None])
        value = (heavy_i * heavy_i + heavy_j * heavy_j) / tl.where(below == 0.0, 1.0, below) + angular
        value = tl.where(below == 0.0, 0.0, value)
        value = tl.where(i[:, None] == j[None, :], (mass_i * mass_i)[:, None], value)
        place = out + tl.load(pairs + jet) + i[:, None] * n + j[None, :]
        tl.store(place, value, mask=real_i[:, None] & real_j[None, :])


@triton.jit
def _momentum(p4: tl.tensor, mass: tl.tensor, row: tl.tensor, real: tl.tensor) -> tuple[tl.tensor, ...]:
    """(E, px, py, pz, |p|, m) of some constituents."""
    energy = tl.load(p4 + 4 * row, mask=real, other=0.0)
    x = tl.load(p4 + 4 * row + 1, mask=real, other=0.0)
    y = tl.load(p4 + 4 * row + 2, mask=real, other=0.0)
    z = tl.load(p4 + 4 * row + 3, mask=real, other=0.0)
    return energy, x, y, z, tl.sqrt(x * x + y * y + z * z), tl.load(mass + row, mask=real, other=0.0)


@triton.jit
def _direction(polar: tl.tensor, row: tl.tensor, real: tl.tensor) -> tuple[tl.tensor, ...]:
    """(pT, η, φ); NaN where not given."""
    pt = tl.load(polar + 3 * row, mask=real, other=0.0)
    eta = tl.load(polar + 3 * row + 1, mask=real, other=0.0)
    return pt, eta, tl.load(polar + 3 * row + 2, mask=real, other=0.0)


@triton.jit
def _difference_of_products(a: tl.tensor, b: tl.tensor, c: tl.tensor, d: tl.tensor) -> tl.tensor:
    """a·b − c·d to an ulp and a half (Kahan)."""
    a, b = tl.broadcast(a, b)
    c, d = tl.broadcast(c, d)
    cd = c * d
    return tl.fma(a, b, -cd) + tl.fma(-c, d, cd)


@triton.jit
def _sinh(x: tl.tensor) -> tl.tensor:
    """The sinh of float64: a series where the exponentials would cancel."""
    square = x * x
    series = 1.0 + square / 342.0
    series = 1.0 + square / 272.0 * series
    series = 1.0 + square / 210.0 * series
    series = 1.0 + square / 156.0 * series
    series = 1.0 + square / 110.0 * series
    series = 1.0 + square / 72.0 * series
    series = 1.0 + square / 42.0 * series
    series = 1.0 + square / 20.0 * series
    series = 1.0 + square / 6.0 * series
    size = tl.abs(x)
    grown = 0.5 * (tl.exp(size) - tl.exp(-size))
    return tl.where(size < 1.0, x * series, tl.where(x < 0, -grown, grown))


def pair_products(jets: RaggedJets) -> Tensor:
    """p_i·p_j of all pairs of each jet, on the jets' device.

    Returns
    -------
    Tensor of float64, shape (Q,)
        Jet after jet, an n × n row-major block with m_i² on its diagonal; GeV².
    """
    tiles = Tiles.of(jets.offsets)
    p4, mass = jets.p4.contiguous(), jets.mass.contiguous()
    out = p4.new_empty(tiles.num_pairs)
    if len(tiles.jet):
        # kernels are launched on the current device
        with torch.cuda.device(p4.get_device()):
            products_kernel[(len(tiles.jet),)](
                p4, mass, p4 if jets.polar is None else jets.polar.contiguous(), tiles.offsets, tiles.pairs, tiles.jet,
                tiles.first, out, POLAR=jets.polar is not None, RECEIVERS=RECEIVERS, SENDERS=_SENDERS,
            )  # fmt: skip
    return out
