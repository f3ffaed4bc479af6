"""Exclusive kT subjets: the axes of N-subjettiness, and the W among the three subjets of a top.

kT: Catani et al., Nucl. Phys. B 406 (1993) 187, with d_ij = min(pT_i², pT_j²)·ΔR_ij² and no distance to the beam, so
that each jet is declustered as a whole. Winner-take-all recombination: Larkoski, Neill, Thaler, JHEP 04 (2014) 017.
N-subjettiness: Thaler, Van Tilburg, JHEP 03 (2011) 015. fastjet's Python wheels have neither the contrib
N-subjettiness nor exclusive jets for jets with fewer constituents than subjets.
"""

from __future__ import annotations

import numpy as np

from ...array_types import F8, I8
from ...compiled import njit
from .jet_sample import JetSample

__all__ = ["n_subjettiness", "three_subjet_masses"]


def n_subjettiness(sample: JetSample) -> F8:
    """τ_1, τ_2 and τ_3 with β = 1 for winner-take-all kT axes, without further minimisation; shape (J, 3), GeV.

    τ_N = Σ_k pT_k min_A ΔR_kA, without the factor 1/Σ pT_k R, which cancels in ratios; 0 for jets with at most N
    constituents.
    """
    tau = np.zeros((len(sample), 3))
    _tau(sample.pt, sample.eta, sample.phi, sample.p4, sample.offsets, tau)
    return tau


def three_subjet_masses(sample: JetSample) -> F8:
    """Masses of the pairs of three exclusive kT subjets (E scheme), in increasing order; shape (J, 3), GeV.

    NaN for jets with fewer than three constituents.
    """
    masses = np.full((len(sample), 3), np.nan)
    _pair_masses(sample.pt, sample.eta, sample.phi, sample.p4, sample.offsets, masses)
    return np.sort(masses, axis=1)


@njit
def _distance2(eta_1: float, phi_1: float, eta_2: float, phi_2: float) -> float:
    d_phi = abs(phi_1 - phi_2) % (2 * np.pi)
    if d_phi > np.pi:
        d_phi = 2 * np.pi - d_phi
    return (eta_1 - eta_2) ** 2 + d_phi * d_phi


@njit
def _merge_closest(pt: F8, y: F8, phi: F8, p4: F8, d: F8, alive: I8, n: int, winner_takes_all: bool) -> None:
    # alive[:n] are the remaining rows; the second of the pair is merged into the first
    first, second, least = 0, 1, np.inf
    for a in range(n):
        for b in range(a + 1, n):
            if d[alive[a], alive[b]] < least:
                first, second, least = a, b, d[alive[a], alive[b]]
    i, j = alive[first], alive[second]
    for c in range(4):
        p4[i, c] += p4[j, c]
    if winner_takes_all:
        if pt[j] > pt[i]:
            y[i], phi[i] = y[j], phi[j]
        pt[i] += pt[j]
    else:
        pt[i] = np.hypot(p4[i, 1], p4[i, 2])
        phi[i] = np.arctan2(p4[i, 2], p4[i, 1])
        y[i] = 0.5 * np.log((p4[i, 0] + p4[i, 3]) / (p4[i, 0] - p4[i, 3]))
    for k in range(second, n - 1):
        alive[k] = alive[k + 1]
    for k in range(n - 1):
        other = alive[k]
        if other != i:
            value = min(pt[i] ** 2, pt[other] ** 2) * _distance2(y[i], phi[i], y[other], phi[other])
            d[i, other] = value
            d[other, i] = value


@njit
def _distances(pt: F8, y: F8, phi: F8) -> F8:
    n = len(pt)
    d = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            d[i, j] = min(pt[i] ** 2, pt[j] ** 2) * _distance2(y[i], phi[i], y[j], phi[j])
    return d


@njit
def _tau(pt: F8, eta: F8, phi: F8, p4: F8, offsets: I8, tau: F8) -> None:
    for jet in range(len(offsets) - 1):
        a, b = offsets[jet], offsets[jet + 1]
        weight, y, f, momenta = pt[a:b].copy(), eta[a:b].copy(), phi[a:b].copy(), p4[a:b].copy()
        d = _distances(weight, y, f)
        alive = np.arange(b - a)
        for n in range(b - a, 1, -1):
            _merge_closest(weight, y, f, momenta, d, alive, n, True)
            left = n - 1
            if left <= 3:
                total = 0.0
                for k in range(a, b):
                    least = np.inf
                    for axis in alive[:left]:
                        least = min(least, _distance2(eta[k], phi[k], y[axis], f[axis]))
                    total += pt[k] * np.sqrt(least)
                tau[jet, left - 1] = total


@njit
def _pair_masses(pt: F8, eta: F8, phi: F8, p4: F8, offsets: I8, masses: F8) -> None:
    for jet in range(len(offsets) - 1):
        a, b = offsets[jet], offsets[jet + 1]
        if b - a < 3:
            continue
        weight, y, f, momenta = pt[a:b].copy(), eta[a:b].copy(), phi[a:b].copy(), p4[a:b].copy()
        d = _distances(weight, y, f)
        alive = np.arange(b - a)
        for n in range(b - a, 3, -1):
            _merge_closest(weight, y, f, momenta, d, alive, n, False)
        pair = 0
        for i in range(3):
            for j in range(i + 1, 3):
                total = momenta[alive[i]] + momenta[alive[j]]
                square = total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2
                masses[jet, pair] = np.sqrt(max(square, 0.0))
                pair += 1
