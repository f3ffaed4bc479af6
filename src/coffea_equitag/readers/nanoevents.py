"""Jets from CMS NanoAOD with particle-flow candidates: PFNano, BTV and JME custom NanoAOD, central NanoAOD v15.

The tables, with their names in `PFNano <https://github.com/cms-jet/PFNano>`_ and in CMSSW's
``PhysicsTools/NanoAOD/python/jetConstituents_cff.py``:

============  ================  ==================================  ==========
jets          link table        its columns                         candidates
============  ================  ==================================  ==========
``FatJet``    ``FatJetPFCands``  ``jetIdx``, ``pFCandsIdx``          ``PFCands``  (PFNano, BTV)
``FatJet``    ``FatJetPFCand``   ``jetIdx``, ``pfCandIdx``           ``PFCand``   (v15, JME)
============  ================  ==================================  ==========

and likewise for ``Jet``. Central v15 stores pt and mass already multiplied by the PUPPI weight, and has links
only for AK8 jets with abs(eta) <= 2.5. Scouting NanoAOD has no link tables: see `readers.scouting`.
"""

from __future__ import annotations

from collections.abc import Iterable

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.nesting import unmasked
from ..jets.tracing import is_traced
from .candidates import MOMENTUM, STANDARD_FIELDS, column_of, is_weighted, wanted_columns
from .completeness import are_stored
from .jet_axes import check_axes
from .links import REMEDY, checked_links, gather, link_counts, link_tables
from .scouting import PREFIX, scouting
from .shifted_jets import Constituents, check_constituents, matching, with_constituents
from .stored_jets import find_stored, touch_identities

__all__ = ["STANDARD_FIELDS", "nanoaod"]


def nanoaod(
    events: ak.Array,
    collection: str = "FatJet",
    *,
    puppi: bool | None = None,
    fields: Iterable[str] | None = None,
    check: bool = True,
    constituents: Constituents = "nominal",
) -> ak.Array:
    """Jets with their particle-flow constituents from NanoEvents.

    The result is parallel to ``events[collection]``: same events, same jets, same order, with all jet columns
    (read on demand if `events` is virtual). Select before or afterwards::

        jets = eqt.readers.nanoaod(events, "FatJet")
        good = jets[jets.pt > 500]

    The file links candidates to jets by their place in the event. In events that coffea opened, jets that were
    filtered, re-sorted or shifted in energy (``events["FatJet"] = ...``) are found again among those of the file (see
    `readers.stored_jets`). Elsewhere they must be as stored, and `check` refuses them if they are not.

    Parameters
    ----------
    events : ak.Array
        NanoEvents (``PFNanoAODSchema`` or ``NanoAODSchema``; virtual, eager or traced; sliced or not), or any
        array of event records with the three tables.
    collection : str
        The jet collection: ``"FatJet"`` (AK8), ``"Jet"`` (AK4), ...
    puppi : bool, optional
        Multiply pt and mass of each constituent by its ``puppiWeight`` (the column itself is kept). By default, this
        is done if that column exists. Tables whose pt is described as PUPPI-weighted (central v15) are never weighted
        again. CHS jets (AK4 in Run 2) were clustered without weights: use ``puppi=False``.
    fields : iterable of str, optional
        Constituent columns besides the four-momentum; by default those of `STANDARD_FIELDS` that the file has;
        ``()`` for none. Any other column of the candidate table may be given and is used as is; for ``"ip.x"`` (and
        y, z) charge, d0 and dz are read, from which networks compute the impact parameter.
    check : bool
        Where the jets of the file are not known, reject jets that are not clearly closer in (eta, phi) to their own
        constituents than to those of another jet.
    constituents : {"nominal", "scaled"}
        What jets shifted in energy look like to a network. ``"nominal"``: like the stored jet, whose pt, eta, phi and
        mass they get. ``"scaled"``: they keep their own four-momentum, and pt and mass of their constituents are
        multiplied by pT / (pT stored).

    Returns
    -------
    ak.Array
        ``[event][jet]``, with ``constituents`` (pt, eta, phi, mass in GeV). Rules:

        * a jet is missing (None) if none of its candidates are stored: it has no links, and ``nConstituents`` is not
          0. Taggers give it no score;
        * constituents with pT 0 (PUPPI weight 0, or stored as 0) are dropped; a jet may end up without constituents;
        * ``d0, d0Err, dz, dzErr`` are in mm (cm in the file), with the sign of Delphes' D0: the point of closest
          approach is (d0 sin φ, −d0 cos φ, dz), so that d0 is minus CMS's dxy;
        * a candidate without a measured track (error −1 in the file; all neutrals) has all four 0: an
          error of 0 means "not measured";
        * ``charge`` is derived from pdgId if the table lacks it;
        * masses are kept as stored; the few negative ones count as 0 wherever jets enter a network.

    Collections whose names begin with "Scouting" are read by `readers.scouting`, which has neither `puppi` nor `check`.

    Raises
    ------
    JetError
        If tables or columns are missing, indices point outside their tables, `check` fails, or ``"scaled"`` is asked
        for where the stored pT is not known.

    Warns
    -----
    ConstituentsWarning
        If jets have no stored candidates, or other numbers of them than ``nConstituents``; with counts.
    """
    check_constituents(constituents)
    if isinstance(events, ak.Record):
        raise JetError(explain("one event (ak.Record)", "an array of events", "slice: events[:1], not events[0]"))
    if collection.startswith(PREFIX):
        return scouting(events, collection, fields=fields, constituents=constituents)
    table, link, index_column = link_tables(events.fields, collection, lambda name: events[name].fields)
    jets, links, candidates = events[collection], events[link], events[table]
    if jets.ndim != 2:
        raise JetError(
            explain(
                f"events whose '{collection}' are {ak.type(jets)}",
                "a list of jets for each event",
                "take the first jets with events.FatJet[:, :1], or read the jets first and select afterwards",
            )
        )
    weighted = is_weighted(candidates, puppi, table)
    columns = wanted_columns(candidates, fields, table)

    stored = find_stored(events, collection, link)
    place = ak.values_astype(ak.local_index(jets, axis=1), np.int64) if stored is None else stored.place
    jet_index, candidate_index = checked_links(
        links["jetIdx"],
        links[index_column],
        ak.num(place, axis=1),
        ak.num(candidates, axis=1),
        collection,
        link,
    )
    order = ak.argsort(jet_index, axis=1, stable=True)
    jet_index, candidate_index = jet_index[order], candidate_index[order]
    linked = link_counts(jet_index, place)

    picked = {name: column_of(candidates, name, candidate_index) for name in MOMENTUM}
    if is_traced(jets):
        touch_identities(jets)
    elif check and stored is None:
        check_axes(jets, gather(picked, linked), collection, REMEDY.format(collection=collection))
    if weighted:
        weight = candidates["puppiWeight"][candidate_index]
        picked["pt"], picked["mass"] = picked["pt"] * weight, picked["mass"] * weight
    # masked candidates are lost ones; NaN is kept, so that validate rejects it rather than it being dropped
    kept = ak.fill_none(~(picked["pt"] == 0), False, axis=-1)
    picked = {name: column[kept] for name, column in picked.items()}
    for name in columns:
        picked[name] = column_of(candidates, name, candidate_index[kept])
    nested = gather(picked, link_counts(jet_index[kept], place))
    if stored is not None and stored.position is not None:
        nested, linked = nested[stored.position], linked[stored.position]

    known = are_stored(jets, linked, collection)
    jets, exists = unmasked(jets)
    nested, jets = matching(nested, jets, stored, collection, constituents)
    return with_constituents(jets, nested, known, exists)
