"""Transformations of jets, as matrices (4, 4) for all or (J, 4, 4), one for each; in extended precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import awkward as ak
import numpy as np

from ...array_types import F8, Floats
from ...jets import flatten
from ...testing import boost, rotation

__all__ = ["AXES", "GENERATORS", "SIX", "Generator", "centred", "jet_axes", "per_jet"]

AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Generator:
    """A one-parameter group of transformations that are the same for all jets.

    Attributes
    ----------
    name : str
        In words.
    matrix : callable
        ``matrix(parameter)``, shape (4, 4).
    parameters : tuple of float
        Those at which it is tried: angles, γ with the direction's sign, or sizes of null rotations.
    """

    name: str
    matrix: Callable[[float], Floats]
    parameters: tuple[float, ...]


def _null_rotation(direction: float, axis: int) -> Callable[[float], Floats]:
    """Exp(a N) with N v = n (e·v) − e (n·v): leaves the null vector n = (1, 0, 0, ±1) alone; N³ = 0."""
    metric = np.diag([1.0, -1.0, -1.0, -1.0]).astype(np.longdouble)
    n, e = np.zeros(4, np.longdouble), np.zeros(4, np.longdouble)
    n[0], n[3], e[axis] = 1.0, direction, 1.0
    nilpotent = np.outer(n, metric @ e) - np.outer(e, metric @ n)

    def matrix(size: float) -> Floats:
        a = np.longdouble(size)
        return np.asarray(np.eye(4, dtype=np.longdouble) + a * nilpotent + a * a / 2 * (nilpotent @ nilpotent))

    return matrix


def _boost(axis: tuple[float, ...]) -> Callable[[float], Floats]:
    return lambda gamma: boost(abs(gamma), np.asarray(axis) * np.sign(gamma))


_ANGLES, _GAMMAS, _SIZES = (0.1, 1.0, 2.5), (1.1, -1.1, 3.0, -3.0), (0.1, -0.5)

#: The six generators of the Lorentz group, and those of the stabilisers of (1, 0, 0, ±1).
GENERATORS = {
    **{
        f"R{name}": Generator(f"rotations about {name}", lambda a, axis=axis: rotation(a, axis), _ANGLES)  # type: ignore[misc]
        for name, axis in AXES.items()
    },
    **{f"B{name}": Generator(f"boosts along {name}", _boost(axis), _GAMMAS) for name, axis in AXES.items()},
    **{
        f"N{sign}{name}": Generator(
            f"null rotations of (1, 0, 0, {sign}1) towards {name}", _null_rotation(float(f"{sign}1"), k), _SIZES
        )
        for sign in "+-"
        for k, name in enumerate("xy", start=1)
    },
}


def jet_axes(jets: ak.Array) -> F8:
    """Directions of the jets' momenta, (J, 3); z for a jet without momentum."""
    three = flatten(jets).jet_p4[:, 1:]
    size = np.linalg.norm(three, axis=1, keepdims=True)
    return np.where(size > 0, three / np.where(size > 0, size, 1.0), [0.0, 0.0, 1.0])


def per_jet(matrix: Callable[[F8], Floats], axes: F8) -> Floats:
    """One matrix for each axis: (J, 4, 4)."""
    return np.stack([matrix(axis) for axis in axes]) if len(axes) else np.zeros((0, 4, 4), np.longdouble)


def centred(jets: ak.Array) -> Floats:
    """What puts each jet at (η, φ) = (0, 0), its momentum along x: a rotation about the beam, then a boost along it."""
    matrices = []
    for energy, px, py, pz in flatten(jets).jet_p4:
        turn = rotation(-np.arctan2(py, px), AXES["z"])
        # γ of the boost from its own velocity pz/E; a jet along the beam cannot be brought to η = 0
        transverse = np.sqrt(max((energy - pz) * (energy + pz), 0.0))
        gamma = energy / transverse if transverse > 0 else 1.0
        matrices.append(boost(gamma, (0.0, 0.0, 1.0 if pz >= 0 else -1.0)) @ turn)
    return np.stack(matrices) if matrices else np.zeros((0, 4, 4), np.longdouble)


def _gamma(beta: float) -> float:
    return float(1 / np.sqrt(1 - beta * beta))


def _tilt(axis: str, beta: float) -> Floats:
    """A boost across a jet that lies along x, and the rotation that brings massless momenta along x back there."""
    matrix = boost(_gamma(beta), -np.asarray(AXES[axis]))
    energy = matrix @ np.array([1, 1, 0, 0], np.longdouble)
    if axis == "z":
        return rotation(float(np.arctan2(energy[3], energy[1])), AXES["y"]) @ matrix
    return rotation(-float(np.arctan2(energy[2], energy[1])), AXES["z"]) @ matrix


_BETAS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
_TURNS = tuple(float(a) for a in np.linspace(0, np.pi, 6))

#: The six transformations of arXiv:2208.07814 of jets that lie along x: matrix of the parameter, its values, its name.
SIX: dict[str, tuple[Callable[[float], Floats], tuple[float, ...], str]] = {
    "z–t boost": (lambda b: boost(_gamma(b), (0, 0, -1)), _BETAS, "β"),
    "x–y rotation": (lambda a: rotation(a, AXES["z"]), _TURNS, "angle"),
    "y–z rotation": (lambda a: rotation(a, AXES["x"]), _TURNS, "angle"),
    "x–t boost": (lambda b: boost(_gamma(b), (-1, 0, 0)), _BETAS, "β"),
    "z-tilt": (lambda b: _tilt("z", b), _BETAS, "β"),
    "y-tilt": (lambda b: _tilt("y", b), _BETAS, "β"),
}
