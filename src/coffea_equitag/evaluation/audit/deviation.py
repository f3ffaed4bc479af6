"""How far scores move when jets are transformed, and how far rounding alone would move them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import awkward as ak
import numpy as np

from ...array_types import F8, Floats
from ...testing import transform
from .rounding import FACTOR, moved_by_units
from .scores import Scores, rms

__all__ = ["Change", "Comparer", "Floor", "worst"]

#: A symmetry holds if this share of the jets obeys it: where constituents are ordered or grouped, a unit in the last
#: place may change the groups of a few jets.
_SHARE = 0.9


class Floor(NamedTuple):
    """Change that one unit in the last place of the inputs or of the arithmetic makes: largest, and quantile at 90%."""

    largest: float
    most: float

    def at_least(self, other: Floor) -> Floor:
        """The larger of each."""
        return Floor(max(self.largest, other.largest), max(self.most, other.most))


@dataclass(frozen=True)
class Change:
    """Change of the scores under one transformation, in units of their spread over jets.

    Attributes
    ----------
    parameter : float
        Angle, γ, softness, ... of the transformation.
    rms, largest, most : float
        Root mean square over the jets, largest, and the quantile at 90%.
    floor : Floor
        What rounding alone does there.
    moved : int
        Jets whose change is larger than rounding explains.
    """

    parameter: float
    rms: float
    largest: float
    most: float
    floor: Floor
    moved: int

    @property
    def is_rounding(self) -> bool:
        """Whether rounding explains it, but for less than a tenth of the jets."""
        return self.most <= FACTOR * self.floor.most

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "parameter": self.parameter,
            "rms": self.rms,
            "largest": self.largest,
            "quantile_90": self.most,
            "floor": self.floor.largest,
            "floor_quantile_90": self.floor.most,
            "jets_beyond_rounding": self.moved,
        }


def worst(changes: Sequence[Change]) -> Change:
    """The one that is farthest above its floor."""
    return max(changes, key=lambda change: change.most / change.floor.most)


class Comparer:
    """Compares scores of transformed jets with those of the jets themselves.

    Parameters
    ----------
    scores : Scores
        The function.
    jets : ak.Array
        Flat jets (px, py, pz, mass).
    """

    def __init__(self, scores: Scores, jets: ak.Array) -> None:
        self.scores, self.jets = scores, jets
        self.reference = scores(jets)
        #: Rounding in the arithmetic itself, of whatever frame.
        self.floor = self._rounded(jets, scores.unit, self.reference).at_least(Floor(scores.unit, scores.unit))

    def change(self, parameter: float, matrix: Floats, *, with_floor: bool = True) -> Change:
        """Scores after a transformation, (4, 4) or (J, 4, 4), beside rounding there, or if not `with_floor` at rest."""
        moved = transform(self.jets, matrix)
        found = self.scores(moved, matrix)
        floor = self.floor
        if with_floor:
            floor = floor.at_least(self._rounded(moved, self.scores.input_unit, found, matrix))
        return self.between(parameter, found, self.reference, floor)

    def curve(
        self, matrix: Callable[[float], Floats], parameters: Iterable[float], *, with_floor: bool = True
    ) -> list[Change]:
        """`change` for each parameter."""
        return [self.change(parameter, matrix(parameter), with_floor=with_floor) for parameter in parameters]

    def between(self, parameter: float, found: F8, reference: F8, floor: Floor) -> Change:
        """Compare standardised outputs, row by row."""
        each = np.sqrt(np.mean(np.square(found - reference), axis=1))
        largest, most = _tail(each)
        return Change(parameter, rms(each), largest, most, floor, int((each > FACTOR * floor.largest).sum()))

    def _rounded(self, jets: ak.Array, unit: float, reference: F8, matrix: Floats | None = None) -> Floor:
        found = self.scores(moved_by_units(jets, unit), matrix)
        return Floor(*_tail(np.abs(found - reference).max(axis=1)))


def _tail(changes: F8) -> tuple[float, float]:
    """The largest of the jets' changes, and the quantile at 90%."""
    if not len(changes):
        return 0.0, 0.0
    return float(changes.max()), float(np.quantile(changes, _SHARE, method="higher"))
