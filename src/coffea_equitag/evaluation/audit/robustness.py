"""The six transformations of arXiv:2208.07814: scores and AUC of jets that were first put at (η, φ) = (0, 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ...array_types import Bools
from ...testing import transform
from ..estimate import Estimate
from ..separation import Separation
from .moves import SIX, centred
from .scores import Scores, rms

__all__ = ["Robustness", "auc", "robustness"]


@dataclass(frozen=True)
class Robustness:
    """Scores under one transformation.

    Attributes
    ----------
    parameters : tuple of float
        β or angles; the first is the identity.
    changes : list of float
        Root mean square change of the scores, in units of their spread.
    aucs : list of Estimate
        Empty without labels.
    """

    parameters: tuple[float, ...]
    changes: list[float]
    aucs: list[Estimate]

    @property
    def loss(self) -> float:
        """AUC of the jets as they are less the lowest; NaN without labels."""
        values = [each.value for each in self.aucs]
        return values[0] - min(values) if values else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"parameters": self.parameters, "rms": self.changes, "auc": self.aucs}


def robustness(scores: Scores, jets: ak.Array, is_signal: Bools | None) -> dict[str, Robustness]:
    """Put flat jets at (0, 0) and transform them; `is_signal` (J,) or None."""
    at_origin = centred(jets)
    start = transform(jets, at_origin)
    reference, found = scores.score(start), {}
    for name, (matrix, parameters, _) in SIX.items():
        moved = [transform(jets, np.matmul(matrix(each), at_origin)) for each in parameters[1:]]
        values = [reference, *map(scores.score, moved)]
        changes = [rms(value - reference) / scores.spread for value in values]
        aucs = [] if is_signal is None else [auc(value, is_signal) for value in values]
        found[name] = Robustness(parameters, changes, aucs)
    return found


def auc(scores: Any, is_signal: Bools) -> Estimate:
    """Area under the ROC curve with its interval."""
    one = np.ones(len(is_signal))
    return Separation.of(scores, is_signal, one.astype(np.int64), one, one).auc_estimate
