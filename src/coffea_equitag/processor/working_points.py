"""Working points: thresholds on scores, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import TaggerError, explain
from ..plain_numbers import plain

__all__ = ["INCLUSIVE", "WorkingPoint", "WorkingPoints", "check_thresholds", "working_points"]

#: Label of the histogram bin for all jets, whatever their score.
INCLUSIVE = "inclusive"

#: Name -> threshold, or score -> name -> threshold where a collection has several scores.
WorkingPoints: TypeAlias = Mapping[str, float] | Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class WorkingPoint:
    """A threshold on a score; a jet passes at or above it."""

    label: str
    score: str
    threshold: float


def working_points(given: WorkingPoints, scores: Iterable[str], collection: str) -> list[WorkingPoint]:
    """The working points of a collection.

    Parameters
    ----------
    given : mapping
        As given by the user.
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
            points += [WorkingPoint(prefix + name, key, float(threshold)) for name, threshold in value.items()]
        else:
            if len(scores) != 1:
                raise TaggerError(
                    explain(
                        f"working point '{key}' for {collection}, which has the scores {', '.join(scores)}",
                        "the score each threshold is for",
                        f"nest them: {{'{collection}': {{'{scores[0]}': {{'{key}': {value}}}}}}}",
                    )
                )
            points.append(WorkingPoint(key, scores[0], float(value)))
    return points


def check_thresholds(given: Mapping[str, WorkingPoints]) -> None:
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
                            "read the threshold off a ROC curve (coffea_equitag.evaluation)",
                        )
                    )


def _is_probability(value: object) -> bool:
    value = plain(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
