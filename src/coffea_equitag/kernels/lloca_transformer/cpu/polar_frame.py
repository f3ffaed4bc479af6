"""The local frame of one constituent from three vectors, as `layers.polar_frame`, in double precision."""

from __future__ import annotations

import math

from ....array_types import F8
from ....compiled import inner
from .frame_features import at_least

__all__ = ["polar_frame"]

#: As in the layer.
_SLOWEST, _ROUNDING, _TINY = 1e-4, 1e-7, 1e-30

_Three = tuple[float, float, float]


@inner
def polar_frame(vectors: F8, mass: float, own: F8, out: F8) -> None:
    """The proper Lorentz transformation (4, 4) of vectors (3, 4), the first of a given mass, and own momentum (4,)."""
    least = _SLOWEST * abs(vectors[0, 0]) + _TINY
    mass = at_least(mass, least)
    bx, by, bz = vectors[0, 1] / mass, vectors[0, 2] / mass, vectors[0, 3] / mass
    gamma = math.sqrt(1 + (bx * bx + by * by + bz * bz))
    b = (bx, by, bz)
    second = _direction(_boosted(b, gamma, vectors[1]))
    third = _direction(_boosted(b, gamma, vectors[2]))
    other = _direction(_boosted(b, gamma, own))
    x = _first_of(second, other)
    if _missing(x):
        x = (1.0, 0.0, 0.0)
    y = _first_of(_across(third, x), _across(other, x))
    if _missing(y):
        y = _across(_least_aligned(x), x)
    z = _cross(x, y)
    out[0, 0], out[0, 1], out[0, 2], out[0, 3] = gamma, -bx, -by, -bz
    row = 1
    for axis in (x, y, z):
        # rotation times the boost's space rows −b and 1 + b bᵀ/(γ + 1)
        along = axis[0] * bx + axis[1] * by + axis[2] * bz
        share = along / (gamma + 1)
        out[row, 0] = -along
        for c in range(3):
            out[row, c + 1] = axis[c] + share * b[c]
        row += 1


@inner
def _boosted(b: _Three, gamma: float, vector: F8) -> tuple[float, float, float, float]:
    energy, x, y, z = vector[0], vector[1], vector[2], vector[3]
    along = b[0] * x + b[1] * y + b[2] * z
    share = along / (gamma + 1) - energy
    return gamma * energy - along, x + share * b[0], y + share * b[1], z + share * b[2]


@inner
def _direction(vector: tuple[float, float, float, float]) -> _Three:
    """Unit three-vector; 0 for a vector at rest."""
    return _unit((vector[1], vector[2], vector[3]), _ROUNDING * abs(vector[0]) + _TINY)


@inner
def _unit(vector: _Three, least: float) -> _Three:
    square = vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]
    if not square > least * least:
        return 0.0, 0.0, 0.0
    size = math.sqrt(square)
    return vector[0] / size, vector[1] / size, vector[2] / size


@inner
def _across(vector: _Three, axis: _Three) -> _Three:
    """Direction perpendicular to an axis; 0 for what is parallel to it."""
    along = vector[0] * axis[0] + vector[1] * axis[1] + vector[2] * axis[2]
    return _unit((vector[0] - along * axis[0], vector[1] - along * axis[1], vector[2] - along * axis[2]), _ROUNDING)


@inner
def _cross(a: _Three, b: _Three) -> _Three:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@inner
def _missing(vector: _Three) -> bool:
    return vector[0] == 0 and vector[1] == 0 and vector[2] == 0


@inner
def _first_of(vector: _Three, other: _Three) -> _Three:
    return other if _missing(vector) else vector


@inner
def _least_aligned(axis: _Three) -> _Three:
    """The coordinate axis with the smallest component of a direction, the first of equals."""
    x, y, z = abs(axis[0]), abs(axis[1]), abs(axis[2])
    if x <= y and x <= z:
        return 1.0, 0.0, 0.0
    return (0.0, 1.0, 0.0) if y <= z else (0.0, 0.0, 1.0)
