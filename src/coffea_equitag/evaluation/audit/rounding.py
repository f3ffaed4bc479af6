"""What rounding alone does to scores: the floor below which no symmetry can be seen to be broken."""

from __future__ import annotations

from collections.abc import Callable

import awkward as ak
import numpy as np

from ...array_types import F8
from ...testing import boost, transform

__all__ = ["DOUBLE", "FACTOR", "SINGLE", "moved_by_units", "reads_float32"]

SINGLE, DOUBLE = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)

#: A change of scores counts as rounding up to so many times the largest that was seen when momenta were moved by one
#: unit in the last place: 2 since both scores that are compared are rounded, 2 since every layer rounds and not only
#: the inputs, 2 since sums are made in another order, 2 since the largest of a few draws is not the largest of all.
FACTOR = 16

#: Of `reads_float32`: γ² × the movement is one unit of float32, the movement itself far less.
_GAMMA, _INVISIBLE = 1e3, SINGLE / 1e6

_COMPONENTS = ("px", "py", "pz")


def moved_by_units(jets: ak.Array, unit: float, seed: int = 0) -> ak.Array:
    """Jets (px, py, pz, mass) with every component of momentum one unit up or down, at random; masses as they are."""
    rng = np.random.default_rng(seed)
    constituents = jets["constituents"]
    counts = ak.num(constituents, axis=1)
    for name in _COMPONENTS:
        values = ak.to_numpy(ak.flatten(constituents[name], axis=1))
        moved = values * (1 + unit * rng.choice([-1.0, 1.0], len(values)))
        constituents = ak.with_field(constituents, ak.unflatten(moved, counts), name)
    return ak.with_field(jets, constituents, "constituents")


def reads_float32(outputs: Callable[[ak.Array], F8], jets: ak.Array) -> bool:
    """Whether a function takes momenta, or what it makes of each of them, in float32.

    Far below float32's last place, momenta then all look alike, but for the few that stand at the edge between two of
    its numbers; products of boosted momenta in float64 would magnify the difference by γ².
    """
    boosted = transform(jets, boost(_GAMMA, (1.0, 0.0, 0.0)))
    same = outputs(boosted) == outputs(moved_by_units(boosted, _INVISIBLE))
    return bool(np.mean(same.all(axis=1)) > 0.5)
