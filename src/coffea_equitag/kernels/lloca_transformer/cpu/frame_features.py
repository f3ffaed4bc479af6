"""The seven features of `invariants.frame_features`, one constituent at a time, in double precision."""

from __future__ import annotations

import math

import numpy as np

from ....array_types import F4
from ....compiled import inner

__all__ = ["FEATURES", "at_least", "polar", "write_features"]

FEATURES = 7
_LEAST_SLOPE, _LEAST_ENERGY, _LEAST_SQUARE = 1e-7, 1e-12, 1e-10


@inner
def at_least(value: float, floor: float) -> float:
    """The larger of both; NaN stays NaN."""
    return floor if value < floor else value


@inner
def polar(energy: float, px: float, py: float, pz: float) -> tuple[float, float, float, float]:
    """Log pT, log E, η and φ."""
    energy = at_least(energy, _LEAST_ENERGY)
    least = _LEAST_SLOPE * energy
    if px * px + py * py < least * least:
        px, py = least, 0.0
    pt = math.sqrt(px * px + py * py)
    return math.log(pt), math.log(energy), math.asinh(pz / pt), math.atan2(py, px)


@inner
def write_features(
    own: tuple[float, float, float, float], jet: tuple[float, float, float, float], out: F4, row: int, column: int
) -> None:
    """The features of a constituent beside its jet, both as from `polar`."""
    turned = own[3] - jet[3] + math.pi
    d_phi = turned - 2 * math.pi * math.floor(turned / (2 * math.pi)) - math.pi
    d_eta = jet[2] - own[2]
    delta_r = math.sqrt(at_least(d_phi * d_phi + d_eta * d_eta, _LEAST_SQUARE))
    found = (
        (own[0] - 1.7) * 0.7,
        (own[1] - 2.0) * 0.7,
        (own[0] - jet[0] + 4.7) * 0.7,
        (own[1] - jet[1] + 4.7) * 0.7,
        d_phi,
        d_eta,
        (delta_r - 0.2) * 4.0,
    )
    for c in range(FEATURES):
        out[row, column + c] = np.float32(found[c])
