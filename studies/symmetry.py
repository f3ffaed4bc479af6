"""By how much the scores of a network change when jets are rotated and boosted."""

from __future__ import annotations

from collections.abc import Iterable

import awkward as ak
import numpy as np

from coffea_equitag.evaluation.audit.deviation import Change, Comparer
from coffea_equitag.evaluation.audit.invariance import with_references
from coffea_equitag.evaluation.audit.moves import GENERATORS
from coffea_equitag.evaluation.audit.scores import Scores
from coffea_equitag.tagger import Tagger
from coffea_equitag.testing import transform

__all__ = ["largest_changes"]

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
    plain = transform(jets, np.eye(4, dtype=np.longdouble))
    scores = Scores.of(tagger, plain)
    comparer = Comparer(scores, plain)
    found: dict[str, float | None] = {
        kind: _largest(
            change
            for one in (GENERATORS[key] for key in keys)
            for change in comparer.curve(one.matrix, one.parameters, with_floor=False)
        )
        for kind, keys in _KINDS.items()
    }
    return found | {"with references": _largest(with_references(comparer)) if scores.moving else None}


def _largest(changes: Iterable[Change]) -> float:
    return max(change.largest for change in changes)
