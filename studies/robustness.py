"""A trained network on jets that are put at (η, φ) = (0, 0) and then transformed, as in arXiv:2208.07814."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import vector

from coffea_equitag.tagger import Tagger
from coffea_equitag.training.comparison import ScoredJets, chosen_metrics

__all__ = ["TRANSFORMATIONS", "centred", "curves", "transformed"]

_BETAS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
_ANGLES = tuple(np.linspace(0, math.pi, 6).tolist())


def _tilt(beta: float) -> float:
    """Angle by which a boost across turns massless momenta."""
    return math.atan(beta / math.sqrt(1 - beta**2))


#: What is done to momenta (vector's) of jets along x, the parameters, and their name.
TRANSFORMATIONS: dict[str, tuple[Callable[[Any, float], Any], tuple[float, ...], str]] = {
    "z–t boost": (lambda p, beta: p.boostZ(beta=beta), _BETAS, "β"),
    "x–y rotation": (lambda p, angle: p.rotateZ(angle), _ANGLES, "angle (rad)"),
    "y–z rotation": (lambda p, angle: p.rotateX(angle), _ANGLES, "angle (rad)"),
    "x–t boost": (lambda p, beta: p.boostX(beta=beta), _BETAS, "β"),
    "z-tilt": (lambda p, beta: p.boostZ(beta=beta).rotateY(_tilt(beta)), _BETAS, "β"),
    "y-tilt": (lambda p, beta: p.boostY(beta=beta).rotateZ(-_tilt(beta)), _BETAS, "β"),
}


def curves(tagger: Tagger, jets: ak.Array) -> dict[str, Any]:
    """Accuracy and AUC of a classifier under each transformation: its parameters, and a list for each metric."""
    start = centred(jets)
    untouched, found = _measured(tagger, start), {}
    for name, (move, parameters, _) in TRANSFORMATIONS.items():
        # the first parameter is that of the identity
        values = [untouched, *(_measured(tagger, transformed(start, move, each)) for each in parameters[1:])]
        accuracy, auc = zip(*values, strict=True)
        found[name] = {"parameters": parameters, "accuracy": accuracy, "auc": auc}
    return found


def centred(jets: ak.Array) -> ak.Array:
    """Jets at (η, φ) = (0, 0), along x: rotated about the beam and boosted along it."""
    total = ak.sum(_momenta(jets), axis=1)
    return transformed(jets, lambda p, _: p.rotateZ(-total.phi).boostZ(beta=-total.pz / total.E), 0.0)


def transformed(jets: ak.Array, move: Callable[[Any, float], Any], parameter: float) -> ak.Array:
    """Jets with moved constituents, whose sums are the jets' momenta; their masses are as before."""
    momenta = _momenta(jets)
    moved = move(momenta, parameter)
    given = jets.constituents
    others = {name: given[name] for name in given.fields if name in ("charge", "pdgId")}
    columns = {"px": moved.px, "py": moved.py, "pz": moved.pz, "mass": momenta.mass}
    constituents = ak.zip(columns | others, with_name="Momentum4D")
    fields = {name: jets[name] for name in jets.fields if name in ("label", "weight")}
    return ak.zip(fields | {"constituents": constituents}, depth_limit=1, behavior=vector.backends.awkward.behavior)


def _momenta(jets: ak.Array) -> ak.Array:
    """The constituents' momenta in double precision."""
    given = ak.Array(jets.constituents, behavior=vector.backends.awkward.behavior)
    columns = {name: ak.values_astype(getattr(given, name), np.float64) for name in ("px", "py", "pz", "mass")}
    return ak.zip(columns, with_name="Momentum4D", behavior=vector.backends.awkward.behavior)


def _measured(tagger: Tagger, jets: ak.Array) -> list[float]:
    scored = ScoredJets.of(tagger, jets)
    metrics = chosen_metrics(scored, ("accuracy", "auc"), tagger.classes, tagger.card.signal)
    return [float(value) for value in metrics(scored.weights)]
