"""Shifts of particle-flow candidates. Jets keep their stored four-momenta, and get constituents that are shifted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from .uniform import uniform

__all__ = ["CandidateScale", "PuppiWeights", "TrackingEfficiency"]

#: Kinds of particles by abs(pdgId) as CMS writes them; 1 and 2 are hadrons and photons of the forward calorimeter.
_KINDS = {
    "charged": (211,),
    "photon": (22, 2),
    "neutral": (130, 1),
    "electron": (11,),
    "muon": (13,),
}


@dataclass(frozen=True)
class CandidateScale:
    """Multiply pT and mass of candidates by 1 + shift, by kind of particle.

    Parameters
    ----------
    charged, photon, neutral, electron, muon : float
        Relative shifts of charged hadrons, photons, neutral hadrons and leptons.
    table : str, optional
        The candidates; by default ``PFCands`` or ``PFCand``.
    """

    charged: float = 0.0
    photon: float = 0.0
    neutral: float = 0.0
    electron: float = 0.0
    muon: float = 0.0
    table: str | None = None

    def __call__(self, events: ak.Array) -> ak.Array:
        """The events with shifted candidates."""
        table = _table(events, self.table, ("pt", "mass", "pdgId"))
        candidates = events[table]
        kind = abs(candidates["pdgId"])
        factor: Any = np.float32(1)
        for name, codes in _KINDS.items():
            for code in codes if getattr(self, name) else ():
                factor = ak.where(kind == code, np.float32(1 + getattr(self, name)), factor)
        if isinstance(factor, np.float32):
            return events
        return _with(events, table, pt=candidates["pt"] * factor, mass=candidates["mass"] * factor)


@dataclass(frozen=True)
class TrackingEfficiency:
    """Lose tracks at random: charged candidates get pT 0, which removes them from their jets.

    Which ones is decided by run, luminosity block, event and place in the table: it depends neither on the chunk nor on
    the process, and a larger loss loses the same candidates and more.

    Parameters
    ----------
    loss : float or callable
        Probability, or a function of the candidates that returns one each.
    seed : int
        For another choice of the same size.
    table : str, optional
        As for `CandidateScale`.
    """

    loss: float | Callable[[ak.Array], ak.Array]
    seed: int = 0
    table: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.loss) and not 0 <= self.loss <= 1:
            raise JetError(explain(f"a loss of {self.loss!r}", "a probability between 0 and 1", "correct it"))

    def __call__(self, events: ak.Array) -> ak.Array:
        """The events without the lost tracks."""
        table = _table(events, self.table, ("pt", "pdgId"))
        candidates = events[table]
        kind = abs(candidates["pdgId"])
        charged = (kind == 211) | (kind == 11) | (kind == 13)
        loss = self.loss(candidates) if callable(self.loss) else self.loss
        drawn = uniform(events, candidates["pdgId"], self.seed)
        return _with(events, table, pt=ak.where(charged & (drawn < loss), np.float32(0), candidates["pt"]))


@dataclass(frozen=True)
class PuppiWeights:
    """Other PUPPI weights: scaled and limited to 1, or computed by a function.

    Parameters
    ----------
    change : float or callable
        Factor on the weights below 1, or a function of the candidates that returns new weights.
    table : str, optional
        As for `CandidateScale`. Candidates of central NanoAOD v15, which are stored weighted, have no weights.
    """

    change: float | Callable[[ak.Array], ak.Array]
    table: str | None = None

    def __call__(self, events: ak.Array) -> ak.Array:
        """The events with other weights."""
        table = _table(events, self.table, ("puppiWeight",))
        candidates = events[table]
        if callable(self.change):
            return _with(events, table, puppiWeight=self.change(candidates))
        return _with(events, table, puppiWeight=np.minimum(candidates["puppiWeight"] * np.float32(self.change), 1))


def _table(events: ak.Array, given: str | None, columns: tuple[str, ...]) -> str:
    """Name of the table of candidates, which has these columns."""
    names = ("PFCands", "PFCand") if given is None else (given,)
    table = next((name for name in names if name in events.fields), None)
    missing = columns if table is None else [name for name in columns if name not in events[table].fields]
    if table is None or missing:
        what = f"events without {' or '.join(names)}" if table is None else f"{table} without {', '.join(missing)}"
        raise JetError(explain(what, f"candidates with {', '.join(columns)}", "name another table: table=..."))
    return table


def _with(events: ak.Array, table: str, **columns: Any) -> ak.Array:
    candidates = events[table]
    for name, column in columns.items():
        candidates = ak.with_field(candidates, column, name)
    return ak.with_field(events, candidates, table)
