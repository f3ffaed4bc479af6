"""Jets from CMS scouting NanoAOD, which stores candidates but no links to them: the jets are clustered again.

CMSSW makes these jets with anti-kT from the stored candidates (``PhysicsTools/NanoAOD/python/run3scouting_cff.py``):

==============================================  ====  ===================================================
jets                                            R     clustered from
==============================================  ====  ===================================================
``ScoutingPFJetRecluster``, ``ScoutingJet``     0.4   ``ScoutingPFCandidate`` (``ScoutingParticle``), all
``ScoutingFatPFJetRecluster``, ``ScoutingFatJet``  0.8   the same
``ScoutingPFJet``                               0.4   the trigger's candidates, before its cut in pT
==============================================  ====  ===================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import awkward as ak
import numpy as np

from ..array_types import I8
from ..errors import ConstituentsWarning, JetError, explain
from ..jets.nesting import unmasked
from ..jets.tracing import is_traced
from .clustering import cluster
from .jet_axes import distance
from .links import listed
from .particles import particles
from .shifted_jets import Constituents, check_constituents, matching, with_constituents
from .stored_jets import find_stored, touch_identities

__all__ = ["PREFIX", "candidate_table", "scouting"]

#: Names of all tables of scouting begin with it.
PREFIX = "Scouting"

#: Tables of candidates, in order of preference.
_TABLES = ("ScoutingPFCandidate", "ScoutingParticle")

#: A clustered jet is the stored one if their pT agree within this factor: calibrations and lost candidates change it.
_SAME_PT = 2.0


def scouting(
    events: ak.Array,
    collection: str = "ScoutingFatPFJetRecluster",
    *,
    R: float | None = None,
    fields: Iterable[str] | None = None,
    constituents: Constituents = "nominal",
) -> ak.Array:
    """Jets of scouting NanoAOD with the candidates they were clustered from.

    The candidates are clustered with anti-kT, and each jet gets the constituents of the clustered jet nearest in
    (η, φ), within R/2 and a factor of two in pT. For jets of any other radius or algorithm, and for events without
    jets, cluster them yourself: ``cluster(particles(events, "ScoutingPFCandidate"), R=1.5)``.

    Parameters
    ----------
    events : ak.Array
        NanoEvents (``ScoutingNanoAODSchema``, ``NanoAODSchema``; virtual, eager or traced), or event records.
    collection : str
        The jet collection.
    R : float, optional
        Its radius; by default 0.8 if its name contains "Fat", else 0.4.
    fields, constituents
        As for `readers.nanoaod`.

    Returns
    -------
    ak.Array
        ``[event][jet]``, parallel to ``events[collection]``, with ``constituents`` in the units and signs of
        `readers.nanoaod`. Impact parameters are relative to the first primary vertex, their errors come from the stored
        significances, and masses and charges from pdgId where they are not stored. Jets that are not found among the
        clustered ones are missing.

    Raises
    ------
    JetError
        If the file has no candidates, or lacks the collection or a column.

    Warns
    -----
    ConstituentsWarning
        If jets are not found among the clustered ones; with their number.
    """
    check_constituents(constituents)
    table = candidate_table(events.fields, collection)
    R = (0.8 if "Fat" in collection else 0.4) if R is None else R
    jets, candidates = events[collection], particles(events, table, fields=fields)
    stored = find_stored(events, collection, table)
    clustered = cluster(candidates, R)
    if is_traced(jets):
        touch_identities(jets)
        nested, found = clustered["constituents"], None
    else:
        nested, found = _nearest(jets if stored is None else stored.jets, clustered, R, collection)
    jets, exists = unmasked(jets)
    nested, jets = matching(nested, jets, stored, collection, constituents)
    return with_constituents(jets, nested, found, exists)


def candidate_table(tables: Sequence[str], collection: str) -> str:
    """Name of the table of candidates.

    Raises
    ------
    JetError
        If it or the collection is not among the tables.
    """
    table = next((name for name in _TABLES if name in tables), None)
    if table is None:
        raise JetError(
            explain(
                f"scouting NanoAOD without candidates; its tables are "
                f"{listed(name for name in tables if name.startswith(PREFIX))}",
                f"'{_TABLES[0]}' or '{_TABLES[1]}', which jets are clustered from again: the format stores no links",
                "make the file with addScoutingPFCandidate (or addScoutingParticle) of CMSSW's "
                "PhysicsTools/NanoAOD/python/custom_run3scouting_cff.py",
            )
        )
    if collection not in tables:
        found = [name for name in tables if name.startswith(PREFIX) and "Jet" in name]
        raise JetError(
            explain(
                f"scouting events without '{collection}'",
                f"the name of a jet collection; these events have {listed(found)}",
                f"pass one of them, or cluster jets with readers.cluster(readers.particles(events, '{table}'), R=0.8)",
            )
        )
    return table


def _nearest(jets: ak.Array, clustered: ak.Array, R: float, collection: str) -> tuple[ak.Array, ak.Array | None]:
    """Constituents of the clustered jet that each jet is, and which jets have one; None if all have."""
    pt, eta, phi = (ak.fill_none(jets[name], np.nan, axis=1) for name in ("pt", "eta", "phi"))
    ratio = pt[:, :, None] / clustered["pt"][:, None]
    apart = distance(eta[:, :, None], phi[:, :, None], clustered["eta"][:, None], clustered["phi"][:, None])
    allowed = (apart < R / 2) & (ratio < _SAME_PT) & (ratio > 1 / _SAME_PT)
    found = ak.any(allowed, axis=-1)
    place = ak.fill_none(ak.argmin(ak.where(allowed, apart, np.inf), axis=-1), 0, axis=1)
    numbers = ak.num(found, axis=1)
    first = np.cumsum(ak.num(clustered, axis=1)) - ak.num(clustered, axis=1)
    flat_found = ak.to_numpy(ak.flatten(found, axis=1))
    rows = ak.to_numpy(ak.flatten(place + first, axis=1))
    lists = _lists_at(ak.flatten(clustered["constituents"], axis=1), rows, flat_found)
    _warn(jets, found, collection)
    return ak.unflatten(lists, numbers), None if flat_found.all() else found


def _lists_at(lists: ak.Array, rows: I8, found: np.ndarray) -> ak.Array:
    """The lists of these rows; an empty one where none was found."""
    picked = lists[rows[found]]
    counts = np.zeros(len(rows), dtype=np.int64)
    counts[found] = ak.to_numpy(ak.num(picked, axis=1))
    return ak.unflatten(ak.flatten(picked, axis=1), counts)


def _warn(jets: ak.Array, found: ak.Array, collection: str) -> None:
    present = ak.fill_none(jets["pt"] > 0, False, axis=1)
    lost, total = int(ak.sum(present & ~found)), int(ak.sum(present))
    if lost:
        warnings.warn(
            explain(
                f"of {total} {collection}, {lost} are not among the jets clustered from the stored candidates: they "
                "get no score",
                "candidates of every jet, and the radius with which the jets were clustered",
                "pass the radius (R=...), and select jets for which the file keeps candidates",
            ),
            ConstituentsWarning,
            stacklevel=4,
        )
