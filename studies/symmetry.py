"""By how much the scores of a network change when jets are rotated and boosted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import awkward as ak
import numpy as np

from coffea_equitag.evaluation.audit.deviation import Change, Comparer
from coffea_equitag.evaluation.audit.invariance import all_with_references, curves
from coffea_equitag.evaluation.audit.moves import GENERATORS
from coffea_equitag.evaluation.audit.scores import Scores
from coffea_equitag.tagger import Tagger
from coffea_equitag.testing import transform

__all__ = ["changes", "largest_changes"]

_KINDS = {"rotations": ("Rx", "Ry", "Rz"), "boosts": ("Bx", "By", "Bz")}


def largest_changes(tagger: Tagger, jets: ak.Array) -> dict[str, float | None]:
    """Largest changes of the log-odds of any of the jets, in units of their spread over jets.

    In the network's own precision, with the angles and the γ up to 3 of `coffea_equitag.audit`.

    Returns
    -------
    dict of str to float or None
        Under ``rotations`` and ``boosts`` of the jets alone, and under both ``with references``: where vectors of the
        network's own (beams, time axis) are transformed with the jets; None for networks without.
    """
    comparer = _comparer(tagger, jets)
    found: dict[str, float | None] = {
        kind: _largest(
            change
            for one in (GENERATORS[key] for key in keys)
            for change in comparer.curve(one.matrix, one.parameters, with_floor=False)
        )
        for kind, keys in _KINDS.items()
    }
    return found | {"with references": _largest(all_with_references(comparer)) if comparer.scores.moving else None}


def changes(tagger: Tagger, jets: ak.Array) -> dict[str, Any]:
    """Root mean square changes, in the same units, against the angle of rotations and the γ of boosts up to 10⁴.

    About the beam, about x and about the jet: for each the ``parameters`` and the ``rms``.
    """
    return {
        name: {"parameters": [one.parameter for one in found], "rms": [one.rms for one in found]}
        for name, found in curves(_comparer(tagger, jets), with_floor=False).items()
    }


def _comparer(tagger: Tagger, jets: ak.Array) -> Comparer:
    plain = transform(jets, np.eye(4, dtype=np.longdouble))
    return Comparer(Scores.of(tagger, plain), plain)


def _largest(changes: Iterable[Change]) -> float:
    return max(change.largest for change in changes)
