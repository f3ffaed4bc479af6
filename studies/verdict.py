"""Whether a direction that was expected comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from coffea_equitag.training.comparison import Replicated, is_better

from .earlier import Reported, minus, over
from .study import Expected, Study

__all__ = ["SIGNIFICANT", "verdict"]

#: Uncertainties from which a direction counts as seen.
SIGNIFICANT = 2.0


def verdict(
    study: Study, expected: Expected, compared: Mapping[str, Replicated | Reported], sample: str
) -> dict[str, Any]:
    """Both values, their difference and ratio with intervals, the paper's ratio, and the outcome.

    The outcome is ``yes`` or ``no`` where the medians differ by at least `SIGNIFICANT` uncertainties, or where one of
    them is infinite; ``undecided`` else, and ``not trained`` where one of the two is missing.
    """
    labels = {entry.name: entry.full_label for entry in study.entries()}
    found = {"sample": sample, **expected.model_dump()}
    found["labels"] = [labels[expected.better], labels[expected.worse]]
    pair = [compared.get(name) for name in (expected.better, expected.worse)]
    if None in pair:
        return found | {"outcome": "not trained"}
    better, worse = (one for one in pair if one is not None)
    metric = expected.metric
    values = [one.estimates[metric].value for one in (better, worse)]
    difference, ratio = minus(better, worse)[metric], over(better, worse)[metric]
    sigma = difference.significance
    is_clear = sigma >= SIGNIFICANT or (math.isinf(difference.value))
    right = is_better(metric, *values)
    return found | {
        "values": values,
        "trainings": [one.num_runs for one in (better, worse)],
        "difference": difference.as_dict() | {"sigma": sigma},
        "ratio": ratio.as_dict(),
        "published": _published(study, expected),
        "outcome": ("yes" if right else "no") if is_clear else "undecided",
    }


def _published(study: Study, expected: Expected) -> list[float] | None:
    """The paper's values of both, if it gives them."""
    names = {entry.name: entry.variant for entry in study.entries() if entry.is_whole}
    both = [
        study.variants[names[name]].published.get(expected.metric) if name in names else None
        for name in (expected.better, expected.worse)
    ]
    return None if None in both else [float(value) for value in both if value is not None]
