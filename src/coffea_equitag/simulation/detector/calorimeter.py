"""Calorimeter towers: which are hit, what they measure, and what is left after subtracting tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...array_types import F8, I8
from .card import Calorimeter
from .randomness import EventRandom
from .tracking import log_normal

__all__ = ["EnergyFlow", "Towers", "energy_resolution", "hit_towers", "measure", "subtract_tracks", "tower_keys"]


#: Exceeds the number of towers around the beam in any calorimeter.
_PHI_STRIDE = 1024


@dataclass(frozen=True)
class Towers:
    """Hit towers, sorted by event.

    Attributes
    ----------
    event : ndarray of int64, shape (T,)
    abs_eta : ndarray, shape (T,)
        |eta| of the centres of the towers.
    eta, phi : ndarray, shape (T,)
        A direction drawn uniformly within each tower.
    """

    event: I8
    abs_eta: F8
    eta: F8
    phi: F8


def tower_keys(calorimeter: Calorimeter, event: I8, eta: F8, phi: F8) -> I8:
    """Number of the tower of each hit, increasing with the event; -1 outside the calorimeter."""
    edges = calorimeter.edges
    ring = np.searchsorted(edges, np.abs(eta), side="right") - 1
    within = (ring >= 0) & (ring < len(edges) - 1)
    ring = np.where(within, ring, 0)
    towers = calorimeter.phi_towers[ring]
    sector = np.minimum(((phi + np.pi) / (2 * np.pi) * towers).astype(np.int64), towers - 1)
    side = (eta < 0).astype(np.int64)
    keys: I8 = np.where(within, ((2 * event + side) * len(edges) + ring) * _PHI_STRIDE + sector, -1)
    return keys


def hit_towers(
    calorimeter: Calorimeter, keys: I8, events: int, random: EventRandom
) -> tuple[Towers, np.ndarray[Any, np.dtype[np.intp]]]:
    """Find the hit towers and draw a direction in each.

    Returns
    -------
    towers : Towers
    index : ndarray of int, shape as ``keys``
        Tower of each hit; meaningless for keys of -1.
    """
    found = np.unique(keys[keys >= 0])
    index = np.searchsorted(found, keys)
    rest, sector = np.divmod(found, _PHI_STRIDE)
    edges = calorimeter.edges
    rest, ring = np.divmod(rest, len(edges))
    event, side = np.divmod(rest, 2)
    counts = np.bincount(event, minlength=events)
    low, high = edges[ring], edges[ring + 1]
    width = 2 * np.pi / calorimeter.phi_towers[ring]
    sign = np.where(side == 1, -1.0, 1.0)
    eta = sign * (low + (high - low) * random.uniform(counts))
    phi = -np.pi + width * (sector + random.uniform(counts))
    return Towers(event=event, abs_eta=(low + high) / 2, eta=eta, phi=phi), index


def energy_resolution(calorimeter: Calorimeter, energy: F8, abs_eta: F8) -> F8:
    """σ(E) in GeV; 0 outside the card's regions."""
    sigma = np.zeros_like(energy)
    for region in calorimeter.resolution:
        here = region.holds(abs_eta)
        e = np.maximum(energy[here], 0.0)
        factor = region.scale + region.curve * (abs_eta[here] - region.centre) ** 2
        sigma[here] = factor * np.sqrt((region.constant * e) ** 2 + region.stochastic**2 * e + region.noise**2)
    return sigma


def _cut(calorimeter: Calorimeter, energy: F8, abs_eta: F8) -> F8:
    sigma = energy_resolution(calorimeter, energy, abs_eta)
    seen = (energy >= calorimeter.min_energy) & (energy >= calorimeter.min_significance * sigma)
    return np.where(seen, energy, 0.0)


def measure(calorimeter: Calorimeter, towers: Towers, energy: F8, normal: F8) -> F8:
    """Measured energies of towers from the true ones, with resolution and thresholds; GeV."""
    sigma = energy_resolution(calorimeter, energy, towers.abs_eta)
    return _cut(calorimeter, log_normal(energy, sigma, normal), towers.abs_eta)


@dataclass(frozen=True)
class EnergyFlow:
    """Energy flow of one calorimeter.

    Attributes
    ----------
    neutral : ndarray, shape (T,)
        Energy of each tower that remains for a neutral object, GeV.
    scale : ndarray, shape (K,)
        Factor on the momentum of each track.
    """

    neutral: F8
    scale: F8


def subtract_tracks(
    calorimeter: Calorimeter,
    towers: Towers,
    measured: F8,
    index: np.ndarray[Any, np.dtype[np.intp]],
    track_energy: F8,
    track_resolution: F8,
) -> EnergyFlow:
    """Subtract the energy of tracks from their towers.

    A track with a better resolution than the calorimeter is kept as it is. Where the calorimeter is better, the tower's
    energy, less that of the well-measured tracks, is assigned to the other tracks, and nothing remains.

    Parameters
    ----------
    calorimeter : Calorimeter
    towers : Towers
    measured : ndarray, shape (T,)
        GeV.
    index : ndarray of int, shape (K,)
        Tower of each track.
    track_energy : ndarray, shape (K,)
        Energy deposited by each track in this calorimeter according to the tracker, GeV.
    track_resolution : ndarray, shape (K,)
        Relative.
    """
    size = len(measured)
    sigma = energy_resolution(calorimeter, track_energy, towers.abs_eta[index])
    poor = sigma < track_resolution * track_energy
    good_sum = np.bincount(index[~poor], weights=track_energy[~poor], minlength=size)
    poor_sum = np.bincount(index[poor], weights=track_energy[poor], minlength=size)
    left = measured - good_sum
    shared = poor_sum > 0
    factor = np.maximum(left, 0.0) / np.where(shared, poor_sum, 1.0)
    neutral = _cut(calorimeter, np.where(shared, 0.0, left), towers.abs_eta)
    return EnergyFlow(neutral=neutral, scale=np.where(poor, factor[index], 1.0))
