"""Propagation through a solenoid's field: to the calorimeter, and to the point closest to the beam line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...array_types import F8, Bools

__all__ = ["ClosestApproach", "closest_approach", "curvature", "propagate"]


#: Curvature of a unit charge, in 1/mm for 1 GeV and 1 T.
_BEND = 0.299792458e-3

_TURN = 2 * np.pi


def curvature(charge: F8, pt: F8, field: float) -> F8:
    """Change of phi per transverse path length, in 1/mm; ``pt`` in GeV, ``field`` along +z in T."""
    return -_BEND * field * charge / pt


def propagate(
    position: F8, momentum: F8, charge: F8, field: float, radius: float, half_length: float
) -> tuple[F8, Bools]:
    """Propagate particles to the surface of a cylinder, on helices if they are charged.

    Parameters
    ----------
    position : ndarray, shape (N, 3)
        Production vertices in mm.
    momentum : ndarray, shape (N, 3)
        In GeV; pT must not be 0.
    charge : ndarray, shape (N,)
        In units of e.
    field : float
        In T, along +z.
    radius, half_length : float
        Dimensions of the cylinder in mm.

    Returns
    -------
    points : ndarray, shape (N, 3)
        Where they leave the cylinder, in mm; a looping particle leaves at an end.
    inside : ndarray of bool, shape (N,)
        Whether they are produced inside; the points of others are meaningless.
    """
    x, y, z = position.T
    px, py, pz = momentum.T
    pt = np.hypot(px, py)
    phi = np.arctan2(py, px)
    start = np.hypot(x, y)
    inside = (start < radius) & (np.abs(z) < half_length)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_end = np.where(pz == 0, np.inf, (np.copysign(half_length, pz) - z) * pt / pz)
    # straight line: |start + s direction| = radius
    along = (x * px + y * py) / pt
    to_wall = -along + np.sqrt(np.maximum(along**2 + radius**2 - start**2, 0.0))
    omega = curvature(charge, pt, field)
    bent = charge != 0
    safe = np.where(bent, omega, 1.0)
    r = 1 / np.abs(safe)
    cx, cy = x - np.sin(phi) / safe, y + np.cos(phi) / safe
    d = np.hypot(cx, cy)
    crosses = (d + r > radius) & (d > 0)
    cosine = (radius**2 - d**2 - r**2) / np.where(crosses, 2 * d * r, 1.0)
    half = np.arccos(np.clip(cosine, -1.0, 1.0))
    # angle about the axis of the helix, from the direction away from the beam line
    angle = np.arctan2(y - cy, x - cx) - np.arctan2(cy, cx)
    turn = np.where(safe > 0, -half - angle, angle - half) % _TURN
    to_wall = np.where(bent, np.where(crosses, turn * r, np.inf), to_wall)
    path = np.minimum(to_wall, to_end)
    path = np.where(np.isfinite(path), path, 0.0)
    new_phi = phi + omega * path
    out = np.stack(
        [
            np.where(bent, cx + np.sin(new_phi) / safe, x + path * px / pt),
            np.where(bent, cy - np.cos(new_phi) / safe, y + path * py / pt),
            z + path * pz / pt,
        ],
        axis=1,
    )
    return out, inside


@dataclass(frozen=True)
class ClosestApproach:
    """Tracks at their closest approach to the beam line (x = y = 0).

    Attributes
    ----------
    phi : ndarray, shape (N,)
        Direction of the momentum there.
    d0, dz : ndarray, shape (N,)
        Transverse (sign of Delphes' D0: x sin φ - y cos φ) and longitudinal impact parameter in mm.
    """

    phi: F8
    d0: F8
    dz: F8


def closest_approach(position: F8, momentum: F8, charge: F8, field: float) -> ClosestApproach:
    """Propagate particles, forward or backward, to the closest approach to the beam line; parameters as `propagate`."""
    x, y, z = position.T
    px, py, pz = momentum.T
    pt = np.hypot(px, py)
    phi = np.arctan2(py, px)
    omega = curvature(charge, pt, field)
    along = (x * px + y * py) / pt
    across = (x * py - y * px) / pt
    # the axis of the helix is 1/omega away: only products with omega enter, so that straight tracks lose no precision
    turn = np.arctan2(-omega * along, 1 - omega * across)
    axis = np.hypot(omega * x - py / pt, omega * y + px / pt)
    d0 = (2 * across - omega * (x**2 + y**2)) / (1 + axis)
    bent = turn != 0
    path = np.where(bent, turn / np.where(bent, omega, 1.0), -along)
    return ClosestApproach(phi=phi + turn, d0=d0, dz=z + path * pz / pt)
