"""Working points of all collections, from numbers or files, and the decisions of jets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ..errors import TaggerError, explain
from ..jets.nesting import unmasked
from ..jets.tracing import is_traced, touch
from ..scoring.score_columns import score_names
from .correction_files import CorrectionFile, read_corrections
from .points_file import file_thresholds
from .working_points import WorkingPoint, check_thresholds, working_points

__all__ = [
    "WorkingPoints",
    "add_decisions",
    "decision_columns",
    "points_of",
    "read_points",
    "score_hashes",
    "with_decisions",
]

#: Collection -> (name -> threshold, score -> name -> threshold, or a file of correctionlib); or a file for all.
WorkingPoints: TypeAlias = "Mapping[str, Any] | str | os.PathLike[str]"


def read_points(given: WorkingPoints | None, collections: Iterable[str]) -> dict[str, Any]:
    """Working points by collection, checked; files are read.

    Raises
    ------
    TaggerError
        If there is no such file, a threshold is not in [0, 1], or a collection has no tagger.
    """
    collections = tuple(collections)
    if isinstance(given, str | os.PathLike):
        return dict.fromkeys(collections, read_corrections(given))
    points = {c: read_corrections(p) if isinstance(p, str | os.PathLike) else p for c, p in (given or {}).items()}
    if unknown := [collection for collection in points if collection not in collections]:
        raise TaggerError(
            explain(
                f"working_points for {unknown[0]}, which has no tagger",
                f"one of {', '.join(collections) or '(no taggers)'}",
                "give it a tagger, or leave it out",
            )
        )
    check_thresholds({c: p for c, p in points.items() if not isinstance(p, CorrectionFile)})
    return points


def score_hashes(
    named: Mapping[str, Mapping[str, Any]], taggers: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, str | None]]:
    """Collection -> score -> content hash of its tagger, as on its card; None if it has none.

    Parameters
    ----------
    named : mapping
        Collection -> name -> what scores the jets, perhaps with discriminants.
    taggers : mapping
        Collection -> name -> the tagger.
    """
    return {
        collection: {
            score: _hash(taggers[collection].get(name))
            for name, one in scorers.items()
            for score in score_names(name, one.classes)
        }
        for collection, scorers in named.items()
    }


def _hash(tagger: Any) -> str | None:
    """The hash on the card, which is not computed again for each chunk; that of a tagger without a folder is."""
    on_card: str | None = getattr(getattr(tagger, "card", None), "content_hash", None)
    return on_card or getattr(tagger, "content_hash", None)


def points_of(
    given: Mapping[str, Any], hashes: Mapping[str, Mapping[str, str | None]]
) -> dict[str, list[WorkingPoint]]:
    """The working points of each collection.

    Parameters
    ----------
    given : mapping
        As from `read_points`.
    hashes : mapping
        As from `score_hashes`.

    Raises
    ------
    TaggerError
        If a file knows none of the scores, or was made for another tagger; and as for `working_points`.
    """
    found = {}
    for collection, scores in hashes.items():
        thresholds = given.get(collection, {})
        if isinstance(thresholds, CorrectionFile):
            thresholds = file_thresholds(thresholds, collection, scores)
        found[collection] = working_points(thresholds, scores, collection)
    for file in {one.path: one for one in given.values() if isinstance(one, CorrectionFile)}.values():
        of_file = [collection for collection, one in given.items() if one is file and collection in hashes]
        if of_file and not any(found[collection] for collection in of_file):
            scores = {score: None for collection in of_file for score in hashes[collection]}
            raise TaggerError(
                explain(
                    f"{file.path}, which holds {', '.join(file.names()) or 'nothing'}",
                    f"working points of {' or '.join(scores)}: a correction {next(iter(scores))}_wp_values",
                    "write them under the name of the score: points.to_correctionlib(path, name='score')",
                )
            )
    return found


def add_decisions(
    events: ak.Array, points: Mapping[str, Iterable[WorkingPoint]], *, overwrite: bool = False
) -> ak.Array:
    """Events whose jets have a boolean field for each working point."""
    for collection, several in points.items():
        if several := list(several):
            jets, exists = unmasked(events[collection])
            jets = with_decisions(jets, several, overwrite=overwrite)
            events = ak.with_field(events, jets if exists is None else ak.mask(jets, exists), collection)
    return events


def with_decisions(jets: ak.Array, points: Iterable[WorkingPoint], *, overwrite: bool = False) -> ak.Array:
    """Jets with a boolean field for each working point; None where there is no score.

    Parameters
    ----------
    jets : ak.Array
        ``[event][jet]`` with scores.
    points : iterable of WorkingPoint
        The working points.
    overwrite : bool
        Replace fields of these names.

    Raises
    ------
    TaggerError
        If jets have a field of the name of a decision.
    """
    points = list(points)
    for field, column in decision_columns({point.score: jets[point.score] for point in points}, jets, points).items():
        if field in jets.fields and not overwrite:
            raise TaggerError(
                explain(
                    f"a working point whose decision would be the jets' field '{field}'",
                    "a name that the jets do not have yet",
                    "rename the working point, or overwrite=True (attach)",
                )
            )
        jets = ak.with_field(jets, column, field)
    return jets


def decision_columns(
    scores: Mapping[str, ak.Array], jets: ak.Array, points: Iterable[WorkingPoint]
) -> dict[str, ak.Array]:
    """Field -> decision of each jet, ``[event][jet]``; None where the score is.

    Parameters
    ----------
    scores : mapping of str to ak.Array
        The scores that points are of.
    jets : ak.Array
        The jets, whose pT is read where thresholds depend on it.
    points : iterable of WorkingPoint
        The working points.
    """
    return {point.field: _decision(ak.values_astype(scores[point.score], np.float64), jets, point) for point in points}


def _decision(score: ak.Array, jets: ak.Array, point: WorkingPoint) -> ak.Array:
    threshold: Any = point.threshold
    if not point.needs_pt:
        return score >= threshold
    pt = ak.fill_none(jets.pt, [], axis=0)
    if is_traced(pt):
        touch(pt)
        return score >= 0.0
    flat = np.asarray(ak.to_numpy(ak.fill_none(ak.flatten(pt, axis=1), np.nan)), np.float64)
    return score >= ak.unflatten(threshold(flat), ak.num(pt, axis=1))
