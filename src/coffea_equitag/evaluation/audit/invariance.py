"""Which transformations leave the scores alone: curves against angle and γ, and the subgroup of the Lorentz group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import awkward as ak
import numpy as np

from ...array_types import F8, Floats
from ...testing import assert_batch_independent, assert_permutation_invariant, boost, rotation, transform
from .deviation import Change, Comparer, Floor, worst
from .moves import AXES, GENERATORS, jet_axes, per_jet

__all__ = [
    "ANGLES",
    "GAMMAS",
    "Subgroup",
    "all_with_references",
    "curves",
    "generators",
    "order_and_batch",
    "subgroup",
    "with_references",
]

ANGLES = tuple(float(a) for a in np.linspace(0, 2 * np.pi, 13)[1:-1])
GAMMAS = (1.05, 1.5, 2.0, 5.0, 10.0, 30.0, 100.0, 1e3, 1e4)

#: Jets that are scored one by one.
_ALONE = 24


@dataclass(frozen=True)
class Subgroup:
    """A subgroup of the Lorentz group.

    Attributes
    ----------
    name : str
        In words.
    generators : tuple of str
        Keys of `GENERATORS`.
    fixed : str
        Reference vectors whose stabiliser it is: what a network that keeps just this symmetry behaves as if it saw.
    """

    name: str
    generators: tuple[str, ...]
    fixed: str


#: The larger first.
_SUBGROUPS = (
    Subgroup("the Lorentz group SO⁺(1,3)", ("Rx", "Ry", "Rz", "Bx", "By", "Bz"), "none"),
    Subgroup("all rotations, SO(3)", ("Rx", "Ry", "Rz"), "the time axis (1, 0, 0, 0): it sees energies"),
    Subgroup("SO(1,2), which leaves the z axis alone", ("Rz", "Bx", "By"), "the beam axis (0, 0, 0, 1)"),
    Subgroup("SO(1,2), which leaves the x axis alone", ("Rx", "By", "Bz"), "the axis (0, 1, 0, 0)"),
    Subgroup("SO(1,2), which leaves the y axis alone", ("Ry", "Bx", "Bz"), "the axis (0, 0, 1, 0)"),
    Subgroup("SE(2), which leaves (1, 0, 0, 1) alone", ("Rz", "N+x", "N+y"), "the null vector (1, 0, 0, 1)"),
    Subgroup("SE(2), which leaves (1, 0, 0, −1) alone", ("Rz", "N-x", "N-y"), "the null vector (1, 0, 0, −1)"),
    Subgroup(
        "rotations about the beam and boosts along it",
        ("Rz", "Bz"),
        "the plane of the beams, but neither of the beams: transverse momenta and differences of rapidity",
    ),
    Subgroup("rotations about the beam, SO(2)", ("Rz",), "both beams, or the time and beam axes"),
    Subgroup("boosts along the beam", ("Bz",), "the transverse axes"),
    Subgroup("rotations about x", ("Rx",), "the time axis and x"),
    Subgroup("rotations about y", ("Ry",), "the time axis and y"),
    Subgroup("boosts along x", ("Bx",), "the axes y and z"),
    Subgroup("boosts along y", ("By",), "the axes x and z"),
)
_NOTHING = Subgroup("no continuous subgroup that was tried", (), "a complete frame")


def subgroup(found: Mapping[str, Change]) -> Subgroup:
    """The largest subgroup all of whose generators leave the scores alone."""
    return next((one for one in _SUBGROUPS if all(found[key].is_rounding for key in one.generators)), _NOTHING)


def generators(comparer: Comparer) -> dict[str, Change]:
    """For each generator, the change at the parameter where it is farthest above rounding."""
    return {key: worst(comparer.curve(one.matrix, one.parameters)) for key, one in GENERATORS.items()}


def curves(comparer: Comparer, *, with_floor: bool = True) -> dict[str, list[Change]]:
    """Changes against the angle of rotations and γ of boosts: of all jets alike, and of each about its own axis."""
    axes = jet_axes(comparer.jets)
    moves: dict[str, Callable[[float], Floats]] = {
        "rotation about the beam": lambda angle: rotation(angle, AXES["z"]),
        "rotation about x": lambda angle: rotation(angle, AXES["x"]),
        "rotation about the jet": lambda angle: per_jet(lambda axis: rotation(angle, axis), axes),
        "boost along the beam": lambda gamma: boost(gamma, -np.asarray(AXES["z"])),
        "boost along x": lambda gamma: boost(gamma, -np.asarray(AXES["x"])),
        "boost along the jet": lambda gamma: per_jet(lambda axis: boost(gamma, -axis), axes),
    }
    return {
        title: comparer.curve(matrix, GAMMAS if "boost" in title else ANGLES, with_floor=with_floor)
        for title, matrix in moves.items()
    }


def with_references(comparer: Comparer) -> Change:
    """The generators again, where the reference vectors (beams) are transformed together with the jets."""
    return worst(all_with_references(comparer))


def all_with_references(comparer: Comparer) -> list[Change]:
    """Of each rotation and boost so, at each parameter."""
    scores, start = comparer.scores, np.asarray(comparer.scores.references, np.longdouble)
    assert scores.moving is not None
    before = scores.standardised(scores.moving(comparer.jets, start.astype(np.float64)))
    found = []
    for key in ("Rx", "Ry", "Rz", "Bx", "By", "Bz"):
        for parameter in GENERATORS[key].parameters:
            matrix = GENERATORS[key].matrix(parameter)
            turned = (start @ matrix.T).astype(np.float64)
            after = scores.standardised(scores.moving(transform(comparer.jets, matrix), turned), matrix)
            found.append(comparer.between(parameter, after, before, comparer.floor))
    return found


def order_and_batch(comparer: Comparer) -> dict[str, Change]:
    """Changes when constituents are reordered, and when jets are scored alone and in other batches."""

    def changed(measure: object, jets: ak.Array) -> Change:
        largest = measure(comparer.scores, jets, tolerance=np.inf)  # type: ignore[operator]
        # relative to the outputs' rms over these jets; back to the spread over all
        largest *= _rms(comparer.reference[: len(jets)])
        moved = int(largest > 0)
        return Change(0.0, largest, largest, largest, Floor(comparer.floor.largest, comparer.floor.largest), moved)

    return {
        "order of the constituents": changed(assert_permutation_invariant, comparer.jets),
        "batch": changed(assert_batch_independent, comparer.jets[:_ALONE]),
    }


def _rms(values: F8) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) or 1.0
