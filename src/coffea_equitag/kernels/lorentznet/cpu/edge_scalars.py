"""The edge scalars ν and π of one jet, of whichever kind, see ``../scalar_kinds.py``."""

from __future__ import annotations

import math

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner, njit
from ...common.cpu.elementary import psi
from ..scalar_kinds import DELTA_R, DELTA_R_PT, ENERGY, INTERVAL, MASS

__all__ = ["SAME_DIRECTION", "angle_between", "edge_scalars", "fill_coordinates"]

_TWO_PI = 2 * math.pi
#: Squares of ΔR below which two vectors share their direction, where ΔR has no derivative.
SAME_DIRECTION = 1e-24


@njit
def edge_scalars(kind: int, gram: F8, coordinates: F8, nu: F4, pi: F4) -> None:
    """Both for all pairs of one jet, (n, n) each, from its Gram matrix (n, n) or its vectors' coordinates (n, 3).

    Only what is there is written.
    """
    n = len(nu)
    if kind in (INTERVAL, MASS):
        # ‖x_i − x_j‖², or ‖x_i + x_j‖²
        twice = -2.0 if kind == INTERVAL else 2.0
        diagonal = np.empty(n)
        for i in range(n):
            diagonal[i] = gram[i, i]
        for i in range(n):
            square = diagonal[i]
            for j in range(n):
                nu[i, j] = psi(square + diagonal[j] + twice * gram[i, j])
            if kind == INTERVAL:
                for j in range(n):
                    pi[i, j] = psi(gram[i, j])
    elif kind >= ENERGY:
        for i in range(n):
            for j in range(n):
                value = coordinates[i, 0] + coordinates[j, 0]
                if kind >= DELTA_R:
                    eta, phi = (
                        coordinates[i, 1] - coordinates[j, 1],
                        angle_between(coordinates[i, 2], coordinates[j, 2]),
                    )
                    value *= math.sqrt(max(eta * eta + phi * phi, SAME_DIRECTION))
                nu[i, j] = psi(value)


@inner
def angle_between(phi: float, other: float) -> float:
    """The difference of two angles, from −π to π."""
    difference = phi - other
    return difference - _TWO_PI * math.floor((difference + math.pi) / _TWO_PI)


@inner
def fill_coordinates(kind: int, x: F8, coordinates: F8) -> None:
    """As `coordinates_of`, for one jet."""
    for i in range(len(x) if kind >= ENERGY else 0):
        if kind == ENERGY:
            coordinates[i, 0], coordinates[i, 1], coordinates[i, 2] = x[i, 0], 0.0, 0.0
        else:
            pt = max(math.hypot(x[i, 1], x[i, 2]), 1e-30)
            coordinates[i, 0] = pt if kind == DELTA_R_PT else 0.5
            coordinates[i, 1], coordinates[i, 2] = math.asinh(x[i, 3] / pt), math.atan2(x[i, 2], x[i, 1])
