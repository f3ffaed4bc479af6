"""All measurements of one audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak

from ...array_types import Bools
from . import invariance
from .control import plain_mlp
from .deviation import Change, Comparer
from .invariance import Subgroup
from .robustness import Robustness, robustness
from .safety import Limit, infrared_and_collinear
from .scores import Scores

__all__ = ["CONTROL", "Findings", "find"]

CONTROL = "plain MLP (control)"


@dataclass(frozen=True)
class Findings:
    """What was measured, before it is put into words.

    Attributes
    ----------
    scores : Scores
        The function.
    num_jets, num_scored : int
        Jets that were transformed in every way, and those of the six transformations.
    floor : float
        Rounding of the arithmetic in the frame of the jets.
    curves, robustness : dict of str to dict
        By function, then by transformation.
    generators : dict of str to Change
        By the keys of `moves.GENERATORS`.
    subgroup : Subgroup
        The largest that leaves the scores alone.
    moving : Change, or None
        Lorentz transformations of jets and reference vectors together.
    limits, consistency : dict
        Safety; order of the constituents and batch.
    has_labels : bool
        Whether there are AUCs.
    """

    scores: Scores
    num_jets: int
    num_scored: int
    floor: float
    curves: dict[str, dict[str, list[Change]]]
    generators: dict[str, Change]
    subgroup: Subgroup
    moving: Change | None
    limits: dict[str, Limit]
    consistency: dict[str, Change]
    robustness: dict[str, dict[str, Robustness]]
    has_labels: bool

    @property
    def name(self) -> str:
        """Of the function."""
        return self.scores.name


def find(
    scores: Scores,
    beside: Mapping[str, Any],
    jets: ak.Array,
    more: ak.Array,
    is_signal: Bools | None,
) -> Findings:
    """Measure everything.

    Parameters
    ----------
    scores : Scores
        The function.
    beside : mapping
        Others to show beside it, besides the control.
    jets, more : ak.Array
        Flat jets (px, py, pz, mass): few to be transformed in every way, and more for the six transformations.
    is_signal : ndarray of bool, or None
        Labels of `more`.
    """
    everything = dict(beside) | {CONTROL: plain_mlp(more, is_signal)}
    others = [Scores.of(function, jets, name) for name, function in everything.items()]
    comparer = Comparer(scores, jets)
    generators = invariance.generators(comparer)
    is_tagger = scores.output == "classes"
    return Findings(
        scores=scores,
        num_jets=len(jets),
        num_scored=len(more),
        floor=comparer.floor.largest,
        curves={
            one.name: invariance.curves(Comparer(one, jets), with_floor=one is scores)
            for one in (scores, *others)
            if one is scores or is_tagger
        },
        generators=generators,
        subgroup=invariance.subgroup(generators),
        moving=None if scores.moving is None else invariance.with_references(comparer),
        limits=infrared_and_collinear(comparer),
        consistency=invariance.order_and_batch(comparer),
        robustness={one.name: robustness(one, more, is_signal) for one in (scores, *others)} if is_tagger else {},
        has_labels=is_signal is not None,
    )
