"""Veto events before their soft partons are generated, where the leading jet cannot pass a recipe's selection.

Multiparton interactions below 20 GeV take four fifths of Pythia's time, and at 20 GeV an event's hard partons already
exist. Sums of partons in cones wider and narrower than the jets are compared with the recipe's range, with generous
margins: about three in a thousand of the jets that a recipe keeps are lost (docs/howto/simulation.md has the numbers).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array_types import F8
from .recipes import Process, SampleRecipe

__all__ = ["SCALE", "cannot_pass", "decay_unmerged", "early_veto"]

#: Transverse momentum of the parton evolution at which an event is examined, in GeV.
SCALE = 20.0

#: What never becomes part of a jet: neutrinos, and Z bosons, which decay to them.
_INVISIBLE = frozenset({12, 14, 16, 23})

#: Partons below this pT (GeV) are ignored.
_MIN_PT = 2.0

#: Radii of the cones, in jet radii.
_WIDE, _NARROW = 1.5, 0.5

#: How far below (relative, and in GeV) and above (a factor) the range of pT is too far.
_SOFTER, _TOO_HARD = (0.03, 12.0), 1.25

#: How far beyond the recipe's |eta| a parton, and beyond its radius a decay quark, is too far.
_TOO_FORWARD, _TOO_FAR = 0.3, 0.15

#: PDG code of the resonance that the jets of a process contain.
_RESONANCES = {"top": 6, "W": 24}


def cannot_pass(recipe: SampleRecipe, pt: F8, eta: F8, phi: F8) -> bool:
    """Whether the leading jet that these hard partons develop into can hardly lie in a recipe's range.

    Parameters
    ----------
    recipe : SampleRecipe
    pt, eta, phi : ndarray, shape (N,)
        The partons, pT in GeV.
    """
    if not len(pt):
        return True
    low = recipe.leading_pt[0] * (1 - _SOFTER[0]) - _SOFTER[1]
    high = recipe.leading_pt[1] * _TOO_HARD
    near = _distances(eta, phi) / recipe.radius
    wide = (near < _WIDE) @ pt
    if wide.max() < low or ((near < _NARROW) @ pt).max() > high:
        return True
    # one that is half as hard may still become the leading jet
    may_lead = wide >= max(0.5 * wide.max(), low)
    return bool(np.abs(eta[may_lead]).min() > recipe.leading_eta + _TOO_FORWARD)


def decay_unmerged(recipe: SampleRecipe, resonance: int, process: list[tuple[int, int, float, float]]) -> bool:
    """Whether there is no resonance whose decay quarks are close enough together for one jet.

    Parameters
    ----------
    recipe : SampleRecipe
    resonance : int
        PDG code, without its sign: 6 or 24.
    process : list of (code, mother, eta, phi)
        The hard process: signed PDG codes, and the index of each particle's mother in this list.
    """
    farthest: dict[int, float] = {}
    for code, mother, eta, phi in process:
        # the quarks of a top: its b, and those of its W
        while mother > 0 and abs(process[mother][0]) in (6, 24):
            if abs(process[mother][0]) == resonance and abs(code) <= 5:
                _, _, eta_0, phi_0 = process[mother]
                turn = abs(phi - phi_0)
                distance = float(np.hypot(eta - eta_0, min(turn, 2 * np.pi - turn)))
                farthest[mother] = max(farthest.get(mother, 0.0), distance)
            mother = process[mother][1]
    return all(distance > recipe.radius + _TOO_FAR for distance in farthest.values())


def early_veto(module: Any, recipe: SampleRecipe, process: Process, *, whole: bool = False) -> Any:
    """Make Pythia's ``UserHooks`` for a process.

    Parameters
    ----------
    module : module
        ``pythia8mc``.
    recipe : SampleRecipe
    process : Process
    whole : bool
        Whether to keep events whose jets do not contain the process's resonance.
    """
    resonance = None if whole else _RESONANCES.get(process.truth or "")

    class EarlyVeto(module.UserHooks):
        def canVetoProcessLevel(self) -> bool:
            return resonance is not None

        def doVetoProcessLevel(self, event: Any) -> bool:
            assert resonance is not None
            found = [(p.id(), p.mother1(), p.eta(), p.phi()) for p in map(event.__getitem__, range(event.size()))]
            return decay_unmerged(recipe, resonance, found)

        def canVetoPT(self) -> bool:
            return True

        def scaleVetoPT(self) -> float:
            return SCALE

        def doVetoPT(self, stage: int, event: Any) -> bool:
            # 4 and 5 are the showers of decayed resonances, which come last
            if stage > 3:
                return False
            partons = [p for p in map(event.__getitem__, range(event.size())) if p.isFinal()]
            visible = [
                (p.pT(), p.eta(), p.phi()) for p in partons if p.pT() > _MIN_PT and abs(p.id()) not in _INVISIBLE
            ]
            return cannot_pass(recipe, *np.array(visible).reshape(-1, 3).T)

    return EarlyVeto()


def _distances(eta: F8, phi: F8) -> F8:
    turn = np.abs(phi[:, None] - phi)
    distances: F8 = np.hypot(eta[:, None] - eta, np.minimum(turn, 2 * np.pi - turn))
    return distances
