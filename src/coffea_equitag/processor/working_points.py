"""Working points: thresholds on scores, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..array_types import AnyArray, Bools
from ..errors import TaggerError, explain
from ..plain_numbers import plain
from .points_file import PtThreshold

__all__ = ["INCLUSIVE", "Threshold", "WorkingPoint", "check_thresholds", "working_points"]

#: Label of the histogram bin for all jets, whatever their score.
INCLUSIVE = "inclusive"

Threshold: TypeAlias = float | PtThreshold


@dataclass(frozen=True)
class WorkingPoint:
    """A threshold on a score; a jet passes at or above it.

    Attributes
    ----------
    label : str
        Its name in histograms.
    score : str
        The score.
    threshold : float or PtThreshold
        The threshold.
    name : str
        Its name; jets have their decision as the field ``SCORE_NAME``.
    """

    label: str
    score: str
    threshold: Threshold
    name: str

    @property
    def field(self) -> str:
        """Field of the jets that holds the decision."""
        return f"{self.score}_{self.name}"

    @property
    def needs_pt(self) -> bool:
        """Whether the threshold depends on pT."""
        return isinstance(self.threshold, PtThreshold)

    def decide(self, score: AnyArray, pt: AnyArray | None) -> tuple[Bools, Bools]:
        """Which jets pass and which fail; neither without a score or, where it is needed, a pT."""
        threshold: Any = self.threshold(np.asarray(pt)) if isinstance(self.threshold, PtThreshold) else self.threshold
        # in float64: a number alone would be rounded to the scores' precision
        score = score.astype(np.float64)
        return score >= threshold, score < threshold


def working_points(given: Mapping[str, Any], scores: Iterable[str], collection: str) -> list[WorkingPoint]:
    """The working points of a collection.

    Parameters
    ----------
    given : mapping
        Name -> threshold, or score -> name -> threshold where the collection has several scores.
    scores : iterable of str
        Names of the collection's scores.
    collection : str
        Name of the collection, for error messages.

    Raises
    ------
    TaggerError
        If it is ambiguous which score is meant, or there is none of that name.
    """
    scores = tuple(scores)
    points: list[WorkingPoint] = []
    for key, value in given.items():
        if isinstance(value, Mapping):
            if key not in scores:
                raise TaggerError(
                    explain(
                        f"working points for a score '{key}' of {collection}",
                        f"one of {', '.join(scores)}",
                        "use the name under which the score is attached",
                    )
                )
            prefix = "" if len(scores) == 1 else f"{key}:"
            points += [WorkingPoint(prefix + name, key, _plain(threshold), name) for name, threshold in value.items()]
        else:
            if len(scores) != 1:
                raise TaggerError(
                    explain(
                        f"working point '{key}' for {collection}, which has the scores {', '.join(scores)}",
                        "the score each threshold is for",
                        f"nest them: {{'{collection}': {{'{scores[0]}': {{'{key}': {value}}}}}}}",
                    )
                )
            points.append(WorkingPoint(key, scores[0], _plain(value), key))
    return points


def _plain(threshold: Any) -> Threshold:
    return threshold if isinstance(threshold, PtThreshold) else float(threshold)


def check_thresholds(given: Mapping[str, Any]) -> None:
    """Refuse thresholds that are not probabilities."""
    for collection, points in given.items():
        for key, value in points.items():
            group = value.items() if isinstance(value, Mapping) else [(key, value)]
            for name, threshold in group:
                if not _is_probability(threshold) or name == INCLUSIVE:
                    raise TaggerError(
                        explain(
                            f"working point {name!r} of {collection} at {threshold!r}",
                            f"a threshold in [0, 1] on a probability, and a name other than {INCLUSIVE!r}",
                            "measure thresholds with evaluation.working_points",
                        )
                    )


def _is_probability(value: object) -> bool:
    value = plain(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
