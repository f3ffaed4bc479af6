"""Shifts of the jets' own energy and mass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import awkward as ak

__all__ = ["JetScale", "up_and_down"]


@dataclass(frozen=True)
class JetScale:
    """Multiply the four-momenta of jets by 1 + shift, and sort them by pT.

    Parameters
    ----------
    shift : float or callable
        Relative shift, or a function of the jets that returns one each.
    collection : str
        The jets.
    mass : bool
        Multiply the mass too, as a change of the energy scale does.
    """

    shift: float | Callable[[ak.Array], ak.Array]
    collection: str = "FatJet"
    mass: bool = True

    def __call__(self, events: ak.Array) -> ak.Array:
        """The events with shifted jets."""
        jets = events[self.collection]
        factor = 1 + (self.shift(jets) if callable(self.shift) else self.shift)
        for name in ("pt", "mass") if self.mass else ("pt",):
            jets = ak.with_field(jets, jets[name] * factor, name)
        return ak.with_field(events, jets[ak.argsort(jets["pt"], axis=1, ascending=False)], self.collection)


def up_and_down(name: str, make: Callable[..., Any], size: float, **options: Any) -> dict[str, Any]:
    """Two variations, ``nameUp`` and ``nameDown``: ``make(size, **options)`` and ``make(-size, **options)``.

    ::

        up_and_down("jes", JetScale, 0.02, collection="Jet")
    """
    return {f"{name}Up": make(size, **options), f"{name}Down": make(-size, **options)}
