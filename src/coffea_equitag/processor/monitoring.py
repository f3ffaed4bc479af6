"""What a tagger was given and gave: counts of jets that deserve a look, per chunk."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import AnyArray, Bools
from ..errors import ConstituentsWarning, JetError, explain
from ..jets.coordinates import coordinates_of
from ..jets.nesting import unnest
from ..jets.tracing import is_traced
from ..scoring.score_columns import JetScorer, name_of

__all__ = ["MonitoredTagger"]


class MonitoredTagger:
    """A tagger that counts the jets it scores.

    Jets with momenta or columns that are not finite, which the tagger would refuse, are left unscored and counted.
    Whatever else is asked of it (its name, card, hash), the tagger answers.

    Parameters
    ----------
    tagger : JetScorer
        The tagger.

    Attributes
    ----------
    counts : Counter
        ``empty``: jets without constituents; ``out_of_range``: jets of a pT outside the range on the tagger's card;
        ``non_finite``: jets with numbers that are not finite, or such a score.
    """

    def __init__(self, tagger: JetScorer) -> None:
        self.tagger = tagger
        self.counts: Counter[str] = Counter()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.tagger.classes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tagger, name)

    def __call__(self, jets: ak.Array) -> ak.Array:
        """Score jets, and count them."""
        if is_traced(jets):
            return self.tagger(jets)
        try:
            scores = self.tagger(jets)
        except JetError:
            valid = self._valid(jets)
            if valid is None:
                raise
            jets = ak.mask(jets, valid)
            scores = self.tagger(jets)
        if "constituents" in jets.fields:
            self.counts["empty"] += int(np.sum(_flat(ak.num(jets["constituents"], axis=-1)) == 0))
            self.counts["out_of_range"] += self._out_of_range(jets)
        columns = [scores[name] for name in scores.fields] or [scores]
        valid = np.all([np.isfinite(_flat(one)) for one in columns], axis=0)
        self.counts["non_finite"] += int(np.sum(~valid))
        return scores

    def numbers(self) -> dict[str, int]:
        """The counts, zeros included."""
        return {name: self.counts[name] for name in ("empty", "out_of_range", "non_finite")}

    def _valid(self, jets: ak.Array) -> ak.Array | None:
        """Which jets have only finite numbers; None if all have."""
        nesting, records = unnest(jets)
        valid = _finite(records)
        number = int(np.sum(~valid))
        if number == 0:
            return None
        self.counts["non_finite"] += number
        warnings.warn(
            explain(
                f"{number} of {len(valid)} jets given to {name_of(self.tagger)} with numbers that are NaN or infinite",
                "finite momenta and columns",
                "look at these jets; they get no score, and are counted as non_finite",
            ),
            ConstituentsWarning,
            stacklevel=2,
        )
        return ak.fill_none(nesting.restore(valid), False, axis=-1)

    def _out_of_range(self, jets: ak.Array) -> int:
        bounds = getattr(getattr(getattr(self.tagger, "card", None), "contract", None), "pt_range", None)
        if bounds is None:
            return 0
        pt = _transverse(jets)
        return int(np.sum((pt < bounds[0]) | (pt > bounds[1])))


def _flat(values: ak.Array) -> AnyArray:
    """All entries that are not missing; other columns of the jets stay unread."""
    return np.asarray(ak.to_numpy(ak.flatten(values, axis=None)))


def _transverse(jets: ak.Array) -> AnyArray:
    """Transverse momentum of jets: their own, or that of the sum of their constituents."""
    names = coordinates_of(jets.fields)
    if names is not None and "pt" in names:
        return _flat(jets[names["pt"]])
    if names is not None:
        px, py = (_flat(jets[names[name]]) for name in ("px", "py"))
    else:
        px, py = (_flat(ak.sum(getattr(jets["constituents"], name), axis=-1)) for name in ("px", "py"))
    return np.asarray(np.hypot(px, py))


def _finite(records: ak.Array) -> Bools:
    """Which jets have only finite numbers, in their own columns of coordinates and in all of their constituents."""
    valid = np.ones(len(records), bool)
    own = coordinates_of(records.fields) or {}
    for column in (records[name] for name in own.values()):
        valid &= np.isfinite(ak.to_numpy(column))
    constituents = records["constituents"]
    for name in constituents.fields:
        column = constituents[name]
        if not column.fields:
            valid &= ak.to_numpy(ak.all(np.isfinite(column), axis=1))
    return valid
