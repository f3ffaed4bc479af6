"""Variations that coffea keeps on corrected jets: ``jets.JES_jes.up``, ``jets.JER.down``, ``jets.systematics``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import awkward as ak

from ..errors import JetError, explain
from ..jets.numbering import NUMBER

__all__ = ["FromJets", "from_jets"]

#: Where `add_systematic` keeps variations.
_HELD = "__systematics__"


def from_jets(collection: str = "FatJet", *, sources: tuple[str, ...] | None = None, sort: bool = True) -> FromJets:
    """The variations that the jets of a collection carry, for ``variations=``.

    ::

        jets = factory.build(jets)  # coffea's CorrectedJetsFactory
        events = ak.with_field(events, jets, "FatJet")
        events = eqt.attach(events, {"FatJet": tagger}, variations=eqt.variations.from_jets("FatJet"))

    They are called ``JES_jesUp``, ``JES_jesDown``, ``JERUp``, ...: the source, and the direction. Besides those of
    `CorrectedJetsFactory` these are the systematics of `add_systematic`, apart from weights.

    Parameters
    ----------
    collection : str
        The jets.
    sources : tuple of str, optional
        Those wanted; by default all.
    sort : bool
        Sort the varied jets by pT.
    """
    return FromJets(collection, sources, sort)


@dataclass(frozen=True)
class FromJets:
    """See `from_jets`."""

    collection: str
    sources: tuple[str, ...] | None = None
    sort: bool = True

    def __call__(self, events: ak.Array) -> dict[str, Callable[[ak.Array], ak.Array]]:
        """Name -> function of the events.

        Raises
        ------
        JetError
            If the jets do not carry a source that is asked for, or none at all.
        """
        jets = events[self.collection]
        found: dict[str, tuple[str, ...]] = {
            name: (name,) for name in jets.fields if set(jets[name].fields) == {"up", "down"}
        }
        if _HELD in jets.fields:
            names = [name for name in jets[_HELD].fields if not name.startswith("__")]
            shifts = [name for name in names if f"weight_{name}" not in jets[_HELD][name]["up"].fields]
            found |= {name: (_HELD, name) for name in shifts}
        wanted = tuple(found) if self.sources is None else self.sources
        missing = [name for name in wanted if name not in found]
        if missing or not found:
            raise JetError(
                explain(
                    f"{self.collection} without {', '.join(missing) or 'variations'}",
                    f"variations of coffea's CorrectedJetsFactory or add_systematic: {', '.join(found) or 'none here'}",
                    "correct the jets first, and put them into the events",
                )
            )
        return {
            f"{name}{direction.capitalize()}": partial(self._varied, path=(*found[name], direction))
            for name in wanted
            for direction in ("up", "down")
        }

    def _varied(self, events: ak.Array, path: tuple[str, ...]) -> ak.Array:
        jets = events[self.collection]
        varied = jets
        for name in path:
            varied = varied[name]
        if NUMBER in jets.fields:
            varied = ak.with_field(varied, jets[NUMBER], NUMBER)
        if self.sort:
            varied = varied[ak.argsort(varied["pt"], axis=1, ascending=False)]
        return ak.with_field(events, varied, self.collection)
