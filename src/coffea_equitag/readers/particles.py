"""Particles of events, of whatever table, in canonical columns: what jets can be clustered from."""

from __future__ import annotations

from collections.abc import Iterable

import awkward as ak
import vector

from ..errors import JetError, explain
from .candidates import MOMENTUM, column_of, is_weighted, wanted_columns
from .links import listed

__all__ = ["particles"]


def particles(
    events: ak.Array,
    table: str = "PFCands",
    *,
    fields: Iterable[str] | None = None,
    puppi: bool | None = None,
    mass: float | None = None,
) -> ak.Array:
    """Particle-flow candidates, tracks or generator particles of CMS's event records, for `readers.cluster`.

    ::

        candidates = eqt.readers.particles(events, "PFCands")
        jets = eqt.readers.cluster(candidates, R=1.5, min_pt=200)

    Parameters
    ----------
    events : ak.Array
        NanoEvents, or any array of event records.
    table : str
        ``"PFCands"``, ``"PFCand"``, ``"ScoutingPFCandidate"``, ``"ScoutingTrack"``, ``"GenCands"``, ``"GenPart"``, ...
    fields : iterable of str, optional
        Columns besides the four-momentum; by default those of `readers.candidates.STANDARD_FIELDS` that the table has.
    puppi : bool, optional
        Multiply pt and mass by ``puppiWeight``; by default if that column exists, as in `readers.nanoaod`.
    mass : float, optional
        Mass of every particle in GeV, in place of the stored one: 0.13957 for tracks. By default the table's ``mass``
        or ``m``, else that of the particle ``pdgId`` stands for.

    Returns
    -------
    ak.Array
        ``[event][particle]``, parallel to ``events[table]``: pt, eta, phi, mass in GeV, and the columns with the units
        and signs of `readers.nanoaod` (mm, d0 as Delphes' D0).

    Raises
    ------
    JetError
        If the table or a column is missing.
    """
    if table not in events.fields:
        found = [name for name in events.fields if any(word in name for word in ("PFCand", "Cands", "Part", "Track"))]
        raise JetError(
            explain(
                f"events without '{table}'",
                f"a table of particles; these events have {listed(found)}",
                "pass one of them as table, or read a format that stores candidates (PFNano, scouting with candidates)",
            )
        )
    given = events[table]
    if mass is not None:
        given = ak.with_field(given, ak.full_like(given["pt"], mass), "mass")
    weighted = is_weighted(given, puppi, table)
    columns = {name: column_of(given, name) for name in (*MOMENTUM, *wanted_columns(given, fields, table))}
    if weighted:
        weight = given["puppiWeight"]
        columns["pt"], columns["mass"] = columns["pt"] * weight, columns["mass"] * weight
    behavior = vector.backends.awkward.behavior
    return ak.zip(columns, with_name="Momentum4D", behavior=behavior)
