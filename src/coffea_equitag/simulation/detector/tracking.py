"""Tracks: which charged particles are found, and with what resolution."""

from __future__ import annotations

import numpy as np

from ...array_types import F8, AnyArray, Bools
from .card import DetectorCard, ImpactResolution, TrackType

__all__ = ["efficiency", "impact_resolution", "log_normal", "momentum_resolution", "track_types"]


def track_types(card: DetectorCard, abs_id: AnyArray) -> list[tuple[TrackType, Bools]]:
    """Each track type of a card, with a mask of the particles (absolute PDG codes) that belong to it."""
    electron, muon = abs_id == 11, abs_id == 13
    return [(card.electrons, electron), (card.muons, muon), (card.hadrons, ~(electron | muon))]


def efficiency(kind: TrackType, pt: F8, abs_eta: F8) -> F8:
    """Probability of finding a track; 0 outside the card's regions."""
    found = np.zeros_like(pt)
    for region in kind.efficiency:
        low, high = region.pt
        found[region.holds(abs_eta) & (pt > low) & (pt <= high)] = region.efficiency
    return found


def momentum_resolution(kind: TrackType, pt: F8, abs_eta: F8) -> F8:
    """σ(pT)/pT; 0 outside the card's regions."""
    sigma = np.zeros_like(pt)
    for region in kind.resolution:
        here = region.holds(abs_eta)
        sigma[here] = np.hypot(region.constant, region.slope * pt[here])
    return sigma


def impact_resolution(regions: tuple[ImpactResolution, ...], pt: F8, abs_eta: F8) -> tuple[F8, F8]:
    """σ of d0 and dz in mm; beyond the last |eta|, that of the last region."""
    d0, dz = np.empty_like(pt), np.empty_like(pt)
    left = np.ones(len(pt), np.bool_)
    for number, region in enumerate(regions):
        here = left & ((abs_eta <= region.eta[1]) | (number == len(regions) - 1))
        at, points = np.log(pt[here]), np.log(region.pt)
        d0[here] = np.exp(np.interp(at, points, np.log(region.d0)))
        dz[here] = np.exp(np.interp(at, points, np.log(region.dz)))
        left &= ~here
    return d0, dz


def log_normal(mean: F8, sigma: F8, normal: F8) -> F8:
    """Log-normal numbers of this mean and width from standard normal ones; 0 where the mean is 0."""
    positive = mean > 0
    ratio = np.where(positive, sigma, 0.0) / np.where(positive, mean, 1.0)
    width = np.sqrt(np.log1p(ratio**2))
    return np.where(positive, mean * np.exp(width * normal - width**2 / 2), 0.0)
