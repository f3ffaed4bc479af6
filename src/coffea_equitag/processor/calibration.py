"""What the output says about the calibration of its scores, and the weights that calibrate them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import awkward as ak

from ..errors import TaggerError, explain
from ..jets.tracing import is_traced
from .scale_factors import ScaleFactors
from .systematic_weights import EventWeights

__all__ = ["UNCALIBRATED", "ScaleFactorsOf", "calibrated", "calibration", "check_scale_factors"]

#: Scores whose efficiencies have not been measured in data.
UNCALIBRATED = "uncalibrated"

#: Collection -> scale factors.
ScaleFactorsOf: TypeAlias = "Mapping[str, ScaleFactors | Sequence[ScaleFactors]]"


def check_scale_factors(given: ScaleFactorsOf | None) -> dict[str, list[ScaleFactors]]:
    """Collection -> scale factors.

    Raises
    ------
    TaggerError
        If something else is given, or two of them have one name.
    """
    found = {c: [one] if isinstance(one, ScaleFactors) else list(one) for c, one in (given or {}).items()}
    every: list[Any] = [one for group in found.values() for one in group]
    if wrong := [one for one in every if not isinstance(one, ScaleFactors)]:
        raise TaggerError(
            explain(
                f"scale factors of type {type(wrong[0]).__name__}", "coffea_equitag.ScaleFactors", "make them of it"
            )
        )
    names = [one.name for one in every]
    if len(set(names)) < len(names):
        raise TaggerError(
            explain(f"scale factors called {', '.join(names)}", "different names", "ScaleFactors(..., name='top')")
        )
    return found


def calibrated(
    weights: EventWeights, factors: Mapping[str, Sequence[ScaleFactors]], jets: Mapping[str, ak.Array], *, vary: bool
) -> EventWeights:
    """Weights times the scale factors of these jets, and (if `vary`) their variations as further systematics."""
    for collection, several in factors.items():
        for one in several:
            if is_traced(jets[collection]):
                one.touch(jets[collection])
                continue
            nominal, varied = one.systematic_factors(jets[collection])
            changed = {name: ak.Array(values) for name, values in varied.items()} if vary else {}
            weights = weights.times(ak.Array(nominal), changed)
    return weights


def calibration(
    factors: Mapping[str, Sequence[ScaleFactors]], scores: Mapping[str, Iterable[str]]
) -> dict[str, dict[str, Any]]:
    """Collection -> score -> the scale factors applied, or that it is uncalibrated, as sets that add up."""
    return {
        collection: {
            score: {str(one) for one in factors.get(collection, ()) if one.score == score} or {UNCALIBRATED}
            for score in names
        }
        for collection, names in scores.items()
    }
