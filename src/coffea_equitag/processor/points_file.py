"""Working points from a file of correctionlib: which of its corrections belong to which scores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..array_types import AnyArray
from ..errors import TaggerError, explain
from ..evaluation.points_file import HASH, VALUES
from .correction_files import CorrectionFile

__all__ = ["PtThreshold", "file_thresholds"]

_POINT, _PT = "working_point", "pt"


@dataclass(frozen=True)
class PtThreshold:
    """A threshold that depends on the jet's pT."""

    file: CorrectionFile
    name: str
    point: str

    @cached_property
    def _evaluator(self) -> Any:
        return self.file.corrections()[self.name]

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "name": self.name, "point": self.point}

    def __call__(self, pt: AnyArray) -> AnyArray:
        """The threshold of jets of this pT (GeV); NaN where it is not finite."""
        values = {_POINT: self.point, _PT: np.where(np.isfinite(pt), pt, 1.0).astype(np.float64)}
        found = self._evaluator.evaluate(*(values[name] for name in self.file.inputs(self.name)))
        return np.where(np.isfinite(pt), found, np.nan)


def file_thresholds(
    file: CorrectionFile, collection: str, hashes: Mapping[str, str | None]
) -> dict[str, dict[str, float | PtThreshold]]:
    """Score -> working point -> threshold, of the scores of a collection that the file knows.

    A correction belongs to a score if it is called ``SCORE_wp_values`` or ``COLLECTION_SCORE_wp_values``; or if it is
    the only ``..._wp_values`` of the file and there is a single score.

    Parameters
    ----------
    file : CorrectionFile
        The file.
    collection : str
        The jets.
    hashes : mapping of str to (str or None)
        Score -> content hash of its tagger, if that is known.

    Raises
    ------
    TaggerError
        If the file was made for another tagger, or a correction has inputs other than ``working_point`` and ``pt``, or
        thresholds outside [0, 1].
    """
    found = {}
    every = [name for name in file.names() if name.endswith(VALUES)]
    for score, content_hash in hashes.items():
        name = _correction_of(score, collection, every, len(hashes))
        if name is None:
            continue
        inputs, points = file.inputs(name), file.keys(name, _POINT)
        if set(inputs) not in ({_POINT}, {_POINT, _PT}):
            raise TaggerError(
                explain(
                    f"correction '{name}' of {file.path} with the inputs {', '.join(inputs)}",
                    f"{_POINT}, and {_PT} where thresholds depend on it",
                    "evaluate it yourself, and give thresholds as numbers",
                )
            )
        _check_hash(file, name, content_hash)
        if wrong := [value for value in file.numbers(name) if not 0 <= value <= 1]:
            raise TaggerError(
                explain(
                    f"a threshold of {wrong[0]} in {file.path}", "thresholds in [0, 1] on probabilities", "correct it"
                )
            )
        evaluate = file.corrections()[name].evaluate
        found[score] = {
            str(point): PtThreshold(file, name, point) if _PT in inputs else float(evaluate(point)) for point in points
        }
    return found


def _correction_of(score: str, collection: str, every: Sequence[str], num_scores: int) -> str | None:
    for name in (f"{collection}_{score}{VALUES}", f"{score}{VALUES}"):
        if name in every:
            return name
    return every[0] if len(every) == 1 and num_scores == 1 else None


def _check_hash(file: CorrectionFile, name: str, content_hash: str | None) -> None:
    text = f"{file.model(name).get('description') or ''} {file.description()}"
    made_for = re.search(HASH + "([0-9a-f]{64})", text)
    if made_for and content_hash and made_for[1] != content_hash:
        raise TaggerError(
            explain(
                f"'{name}' of {file.path} for a tagger of hash {content_hash[:12]}",
                f"the tagger that it was measured for, of hash {made_for[1][:12]}",
                "measure working points of this tagger (evaluation.working_points), or use that one",
            )
        )
