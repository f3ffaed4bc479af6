"""Simulated events as a ROOT file in the manner of CMS PFNano."""

from __future__ import annotations

import json
import os
from typing import Any

import awkward as ak
import numpy as np
import uproot

from ..errors import JetError, explain
from ..whole_file import whole_file
from .provenance import KEY

__all__ = ["pfnano_branches", "write_pfnano"]

#: Events a basket of the tree.
STEP = 1000

_MOMENTUM = ("pt", "eta", "phi", "mass")


def pfnano_branches(events: ak.Array) -> dict[str, ak.Array]:
    """Lay simulated events out as the collections of PFNano.

    Parameters
    ----------
    events : ak.Array
        Events of `simulate_events`.

    Returns
    -------
    dict of str to ak.Array
        ``FatJet`` (with the truth ``isTop``, ``isQCD``), ``PFCands`` (every constituent of these jets, by falling pT;
        ``puppiWeight`` 1: no pile-up), ``FatJetPFCands`` (``jetIdx``, ``pFCandsIdx``; jet by jet), ``GenPart``, and
        ``run``, ``luminosityBlock``, ``event``, ``genWeight``. float32 and int32, GeV.

    Raises
    ------
    JetError
        If these are not events of `simulate_events`.
    """
    missing = {"jets", "partons", "weight"} - set(events.fields)
    if missing:
        raise JetError(
            explain(
                f"events without {sorted(missing)}", "events of simulate_events", "simulate_events(recipe, n, seed=...)"
            )
        )
    jets, partons = events.jets, events.partons
    counts = ak.num(jets.constituents, axis=2)
    listed = ak.flatten(jets.constituents, axis=2)
    order = ak.argsort(listed.pt, axis=1, ascending=False, stable=True)
    candidates = listed[order]
    jet_index = ak.flatten(ak.broadcast_arrays(ak.local_index(counts), jets.constituents.pt)[0], axis=2)
    serial = np.arange(len(events))
    return {
        "run": np.ones(len(events), np.uint32),
        "luminosityBlock": (1 + serial // 1000).astype(np.uint32),
        "event": (1 + serial).astype(np.uint64),
        "genWeight": ak.values_astype(events.weight, np.float32),
        "FatJet": _collection(
            {
                **{name: jets[name] for name in _MOMENTUM},
                "nConstituents": counts,
                "isTop": jets.isTop,
                "isQCD": jets.isQCD,
            }
        ),
        # The inverse of the ordering: where the candidate of each jet's list now stands.
        "FatJetPFCands": _collection({"jetIdx": jet_index, "pFCandsIdx": ak.argsort(order, axis=1)}),
        "PFCands": _collection(
            {
                **{name: candidates[name] for name in _MOMENTUM},
                "charge": candidates.charge,
                "pdgId": candidates.pdgId,
                "puppiWeight": ak.ones_like(candidates.pt),
            }
        ),
        "GenPart": _collection(
            {
                **{name: partons[name] for name in _MOMENTUM},
                "pdgId": partons.pdgId,
                "status": partons.status,
                "genPartIdxMother": partons.mother,
            }
        ),
    }


def write_pfnano(path: str | os.PathLike[str], events: ak.Array) -> None:
    """Write simulated events as the TTree ``Events`` of a PFNano-like ROOT file.

    coffea opens it with ``PFNanoAODSchema`` (``events.FatJet.constituents.pf``) and ``NanoAODSchema``. The file appears
    under its name only when it is complete. Branches as in `pfnano_branches`; the string ``coffea_equitag`` beside the
    tree says in JSON how the events were made.

    Parameters
    ----------
    path : path-like
        The file to write.
    events : ak.Array
        Events of `simulate_events`.

    Raises
    ------
    JetError
        If ``path`` cannot be written or these are not events of `simulate_events`.
    """
    branches = pfnano_branches(events)
    with whole_file(path) as part, uproot.recreate(part, compression=uproot.ZSTD(9)) as file:
        tree = file.mktree(
            "Events",
            {name: _branch_type(array) for name, array in branches.items()},
            title="simulated jets",
            counter_name=lambda collection: f"n{collection}",
            field_name=lambda collection, field: f"{collection}_{field}",
        )
        for start in range(0, len(events), STEP):
            tree.extend({name: array[start : start + STEP] for name, array in branches.items()})
        if KEY in events.attrs:
            file[KEY] = json.dumps(events.attrs[KEY])


def _collection(fields: dict[str, ak.Array]) -> ak.Array:
    columns = {}
    for name, column in fields.items():
        kind = np.float32 if name in _MOMENTUM or name == "puppiWeight" else np.int32
        columns[name] = ak.values_astype(ak.to_packed(ak.without_parameters(column)), kind)
    return ak.zip(columns)


def _branch_type(array: Any) -> Any:
    return array.dtype if isinstance(array, np.ndarray) else array.type.content
