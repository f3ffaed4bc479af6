"""Infrared and collinear safety: a soft constituent, and one split in two, should not count in the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ...array_types import F8, AnyArray, Floats
from ...jets import flatten
from .deviation import Change, Comparer
from .rounding import FACTOR

__all__ = ["SIZES", "Limit", "collinear_split", "infrared_and_collinear", "soft_emission"]

#: Softness (pT of the emission over the jet's) and opening angles.
SIZES = tuple(10.0**-k for k in range(1, 9))

#: Exponent of the change from which on it is said to vanish in the limit: an analytic function has 1, a root 1/2.
_LEAST_EXPONENT = 0.2
#: ΔR of the soft emission from the jet's axis.
_DISTANCE = 0.2


@dataclass(frozen=True)
class Limit:
    """Changes of the score against a size that goes to 0.

    Attributes
    ----------
    changes : list of Change
        From the largest size to the smallest.
    """

    changes: list[Change]

    @property
    def exponent(self) -> float:
        """α of change ∝ sizeᵅ over the three smallest decades in which the change is more than rounding."""
        last = [change for change in self.changes if change.rms > FACTOR * change.floor.largest][-4:]
        if len(last) < 2:
            return float("nan")
        sizes, values = np.log([c.parameter for c in last]), np.log([c.rms for c in last])
        return float(np.polyfit(sizes, values, 1)[0])

    @property
    def is_safe(self) -> bool:
        """Whether the change vanishes: it has reached the rounding, or falls like a power of the size."""
        last = self.changes[-1]
        return last.is_rounding or self.exponent >= _LEAST_EXPONENT

    @property
    def value(self) -> float:
        """The change at the smallest size, root mean square."""
        return self.changes[-1].rms

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "safe": self.is_safe,
            "exponent": self.exponent,
            "limit": self.value,
            "changes": [change.as_dict() for change in self.changes],
        }


def infrared_and_collinear(comparer: Comparer, seed: int = 0) -> dict[str, Limit]:
    """Both limits, for the jets that have constituents with momentum."""
    filled = ak.to_numpy(ak.num(comparer.jets["constituents"], axis=1)) > 0
    jets = comparer.jets[filled]
    reference = comparer.reference[filled]
    found = {}
    for name, changed in (("soft emission", soft_emission), ("collinear splitting", collinear_split)):
        outputs = [comparer.scores(changed(jets, size, seed)) for size in SIZES]
        found[name] = Limit(
            [
                comparer.between(size, output, reference, comparer.floor)
                for size, output in zip(SIZES, outputs, strict=True)
            ]
        )
    return found


def soft_emission(jets: ak.Array, softness: float, seed: int = 0) -> ak.Array:
    """Jets with one more constituent: a massless neutral one of this fraction of the jet's pT, at ΔR = 0.2.

    Its charge and every further column are 0, its ``pdgId`` is that of a photon.
    """
    p4 = flatten(jets).jet_p4
    pt = np.hypot(p4[:, 1], p4[:, 2])
    turn = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(p4))
    eta = np.arcsinh(p4[:, 3] / np.where(pt > 0, pt, 1.0)) + _DISTANCE * np.cos(turn)
    phi = np.arctan2(p4[:, 2], p4[:, 1]) + _DISTANCE * np.sin(turn)
    soft = softness * pt
    momenta = {"px": soft * np.cos(phi), "py": soft * np.sin(phi), "pz": soft * np.sinh(eta), "mass": 0.0 * soft}
    added = _like(jets["constituents"], momenta | {"pdgId": np.full(len(p4), 22)})
    return _with_constituents(jets, ak.concatenate([jets["constituents"], added[:, np.newaxis]], axis=1))


def collinear_split(jets: ak.Array, angle: float, seed: int = 0) -> ak.Array:
    """Jets whose hardest constituent is two, with the same columns, at this angle from each other.

    They share its momentum and mass at random, from 1 : 4 to 1 : 1; their sum differs from it at order angle².
    """
    rng, constituents = np.random.default_rng(seed), jets["constituents"]
    size = np.sqrt(constituents.px**2 + constituents.py**2 + constituents.pz**2)
    hardest = ak.argmax(size, axis=1, keepdims=True)
    parent = constituents[hardest][:, 0]
    three = np.stack([ak.to_numpy(parent[name]) for name in ("px", "py", "pz")], axis=1)
    share = rng.uniform(0.2, 0.5, len(three))
    across = _perpendicular(three, rng.uniform(0, 2 * np.pi, len(three)))
    both = []
    for fraction, turn in ((share, (1 - share) * angle), (1 - share, -share * angle)):
        turned = fraction[:, None] * (np.cos(turn)[:, None] * three + np.sin(turn)[:, None] * across)
        momenta = dict(zip(("px", "py", "pz"), turned.T, strict=True))
        momenta["mass"] = fraction * ak.to_numpy(parent["mass"])
        both.append(_like(parent, momenta, keep=True)[:, np.newaxis])
    rest = constituents[ak.local_index(constituents.px, axis=1) != ak.flatten(hardest, axis=1)]
    return _with_constituents(jets, ak.concatenate([*both, rest], axis=1))


def _perpendicular(three: F8, turn: F8) -> Floats:
    """Vectors of the same length, at right angles, in any direction about them."""
    size = np.linalg.norm(three, axis=1, keepdims=True)
    along = three / np.where(size > 0, size, 1.0)
    least = np.eye(3)[np.argmin(np.abs(along), axis=1)]
    first = np.cross(along, least)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-30)
    second = np.cross(along, first)
    return np.asarray(size * (np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second))


def _like(constituents: ak.Array, values: dict[str, AnyArray], *, keep: bool = False) -> ak.Array:
    """One record per jet with the same fields: these values, and otherwise 0, or what the given record has."""
    columns: dict[str, Any] = {}
    number = len(values["px"])
    for name in constituents.fields:
        if name in values:
            columns[name] = values[name]
        elif keep:
            columns[name] = constituents[name]
        else:
            inner = constituents[name].fields
            columns[name] = (
                ak.zip({k: np.zeros(number) for k in inner}, with_name="Vector3D") if inner else np.zeros(number)
            )
    return ak.zip(columns, depth_limit=1, with_name="Momentum4D", behavior=constituents.behavior)


def _with_constituents(jets: ak.Array, constituents: ak.Array) -> ak.Array:
    return ak.with_field(jets, constituents, "constituents")
