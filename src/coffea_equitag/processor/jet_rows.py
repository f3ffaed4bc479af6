"""Jets as flat columns, and products over the jets of each event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import F8, I8, AnyArray, Bools
from ..errors import JetError, explain

__all__ = ["EventFactors", "FlatJets"]


@dataclass(frozen=True)
class EventFactors:
    """One factor per event, and variation -> (up, down)."""

    nominal: F8
    variations: Mapping[str, tuple[F8, F8]]


class FlatJets:
    """Columns of ``[event][jet]``, one entry per jet.

    Parameters
    ----------
    jets : ak.Array
        The jets.
    """

    def __init__(self, jets: ak.Array) -> None:
        self.jets = ak.fill_none(jets, [], axis=0) if ak.any(ak.is_none(jets, axis=0)) else jets
        counts: I8 = np.asarray(ak.to_numpy(ak.num(self.jets, axis=1)), np.int64)
        self.event: I8 = np.repeat(np.arange(len(counts)), counts)
        self.num_events, self.number = len(counts), int(counts.sum())

    def values(self, source: str | Callable[[ak.Array], ak.Array]) -> ak.Array:
        """A field or property of the jets, or a function of them.

        Raises
        ------
        JetError
            If the jets have no such field.
        """
        if callable(source):
            found = source(self.jets)
        elif source in self.jets.fields:
            found = self.jets[source]
        elif hasattr(type(self.jets), source):
            found = getattr(self.jets, source)
        else:
            raise JetError(
                explain(
                    f"jets without a field '{source}'",
                    "a field of the jets that scale factors depend on",
                    "name another field, or give a function of the jets (flavour=, inputs=)",
                )
            )
        return ak.flatten(ak.Array(found), axis=1)

    def numbers(self, source: Any, use: Bools) -> F8:
        """One number per jet; 0 for jets that are not used.

        Raises
        ------
        JetError
            If it is missing or not finite for a jet that is used.
        """
        found = np.asarray(ak.to_numpy(ak.fill_none(self.values(source), np.nan)), np.float64)
        if bad := int((use & ~np.isfinite(found)).sum()):
            raise JetError(
                explain(f"{bad} jets without a finite {source}", "one number per jet", "leave them out with where=")
            )
        return np.where(use, found, 0.0)

    def integers(self, source: Any, use: Bools) -> I8:
        """One integer per jet; -1 for jets that are not used."""
        return np.where(use, np.abs(self.numbers(source, use)), -1.0).astype(np.int64)

    def boolean(self, given: Any) -> Bools:
        """One boolean per jet; missing ones are False."""
        found = ak.flatten(ak.Array(given), axis=1)
        return np.asarray(ak.to_numpy(ak.fill_none(found, False)), bool)

    def decision(self, field: str, use: Bools) -> Bools:
        """Whether each jet passes a working point.

        Raises
        ------
        JetError
            If the jets have no such field, or a jet that is used has no score.
        """
        if field not in self.jets.fields:
            raise JetError(
                explain(
                    f"jets without a decision '{field}'",
                    "jets scored with working points",
                    "attach(events, taggers, working_points='wp.json'), or TaggerProcessor(..., working_points=)",
                )
            )
        values = ak.flatten(self.jets[field], axis=1)
        if bad := int((use & np.asarray(ak.to_numpy(ak.is_none(values)), bool)).sum()):
            raise JetError(
                explain(
                    f"{bad} jets without a score, whose scale factors are asked for",
                    "scored jets",
                    "leave them out: where=lambda jets: ~ak.is_none(jets.score, axis=1)",
                )
            )
        return np.asarray(ak.to_numpy(ak.fill_none(values, False)), bool)

    def product(self, factors: AnyArray) -> F8:
        """The product over the jets of each event; 1 without jets."""
        found: F8 = np.ones(self.num_events)
        np.multiply.at(found, self.event, factors)
        return found
