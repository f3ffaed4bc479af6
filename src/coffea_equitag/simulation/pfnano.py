"""Simulated events as a ROOT file in the style of CMS PFNano."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from ..atomic_file import atomic_file
from ..errors import JetError, explain
from .particles import MOMENTUM
from .provenance import KEY
from .writing import Writer, explained

__all__ = ["collection_name", "pfnano_branches", "pfnano_file", "write_pfnano"]

#: Events per basket of the tree.
STEP = 1000


#: Columns that are not whole numbers.
_FLOATS = {*MOMENTUM, *(f"true_{name}" for name in MOMENTUM), "puppiWeight", "d0", "d0Err", "dz", "dzErr"}

#: From our mm with Delphes' sign of d0 to the file's cm with the sign of CMS' dxy.
_TRACK_FACTORS = {"d0": -0.1, "d0Err": 0.1, "dz": 0.1, "dzErr": 0.1}

#: Value of these columns where no track was measured.
_NO_TRACK = -1.0


def collection_name(radius: float) -> str:
    """CMS' name for anti-kT jets of this radius: ``Jet`` (0.4), ``FatJet`` (0.8)."""
    return "Jet" if radius < 0.6 else "FatJet"


def pfnano_branches(events: ak.Array, collection: str = "FatJet", first: int = 0) -> dict[str, ak.Array]:
    """Arrange simulated events as the collections of PFNano.

    Parameters
    ----------
    events : ak.Array
        Events of `simulate_events`.
    collection : str
        Name of the jets.
    first : int
        Number of events written before these: events without ``event`` are numbered on from there.

    Returns
    -------
    dict of str to ak.Array
        ``FatJet`` (with its ``label`` and further truth as given by `simulate_events`), ``PFCands`` (every constituent
        of these jets, by decreasing pT; ``puppiWeight`` is 1, as there is no pile-up; after a detector with impact
        parameters also ``d0, dz, d0Err, dzErr`` in cm with the sign of CMS' dxy, all -1 where no track is measured),
        ``FatJetPFCands`` (``jetIdx``, ``pFCandsIdx``; jet by jet), ``GenPart``, and ``run``, ``luminosityBlock``,
        ``event``, ``genWeight``. float32 and int32, GeV.

    Raises
    ------
    JetError
        If these are not events from `simulate_events`.
    """
    missing = {"jets", "partons", "weight"} - set(events.fields)
    if missing:
        raise JetError(
            explain(
                f"events without {sorted(missing)}",
                "events from simulate_events",
                "simulate_events(recipe, n, seed=...)",
            )
        )
    jets, partons = events.jets, events.partons
    counts = ak.num(jets.constituents, axis=2)
    listed = ak.flatten(jets.constituents, axis=2)
    order = ak.argsort(listed.pt, axis=1, ascending=False, stable=True)
    candidates = listed[order]
    jet_index = ak.flatten(ak.broadcast_arrays(ak.local_index(counts), jets.constituents.pt)[0], axis=2)
    number = ak.to_numpy(events.event) if "event" in events.fields else first + 1 + np.arange(len(events))
    truth = [name for name in jets.fields if name not in (*MOMENTUM, "constituents")]
    return {
        "run": np.ones(len(events), np.uint32),
        "luminosityBlock": (1 + (number - 1) // 1000).astype(np.uint32),
        "event": number.astype(np.uint64),
        "genWeight": ak.values_astype(events.weight, np.float32),
        collection: _collection({name: jets[name] for name in (*MOMENTUM, *truth)} | {"nConstituents": counts}),
        # the inverse of the ordering: where each jet's constituents are among the candidates
        f"{collection}PFCands": _collection({"jetIdx": jet_index, "pFCandsIdx": ak.argsort(order, axis=1)}),
        "PFCands": _collection(
            {
                **{name: candidates[name] for name in MOMENTUM},
                "charge": candidates.charge,
                "pdgId": candidates.pdgId,
                "puppiWeight": ak.ones_like(candidates.pt),
                **_tracks(candidates),
            }
        ),
        "GenPart": _collection(
            {
                **{name: partons[name] for name in MOMENTUM},
                "pdgId": partons.pdgId,
                "status": partons.status,
                "genPartIdxMother": partons.mother,
            }
        ),
    }


def _tracks(candidates: ak.Array) -> dict[str, ak.Array]:
    if not set(_TRACK_FACTORS) <= set(candidates.fields):
        return {}
    measured = candidates.d0Err > 0
    return {name: ak.where(measured, candidates[name] * by, _NO_TRACK) for name, by in _TRACK_FACTORS.items()}


@contextmanager
def pfnano_file(path: str | os.PathLike[str], collection: str = "FatJet") -> Iterator[Writer]:
    """Open a PFNano-like ROOT file whose TTree ``Events`` grows with every call of ``add``.

    Raises
    ------
    JetError
        If ``path`` cannot be written, or the disk is full.
    """
    target, written = Path(path), 0
    with atomic_file(target) as part:
        with explained(target):
            file = uproot.recreate(part, compression=uproot.ZSTD(9))
        tree: Any = None

        def add(events: ak.Array) -> None:
            nonlocal tree, written
            branches = pfnano_branches(events, collection, written)
            written += len(events)
            with explained(target):
                if tree is None:
                    tree = file.mktree(
                        "Events",
                        {name: _branch_type(array) for name, array in branches.items()},
                        title="simulated jets",
                        counter_name=lambda collection: f"n{collection}",
                        field_name=lambda collection, field: f"{collection}_{field}",
                    )
                for start in range(0, len(events), STEP):
                    tree.extend({name: array[start : start + STEP] for name, array in branches.items()})

        writer = Writer(add)
        try:
            yield writer
            with explained(target):
                if writer.facts:
                    file[KEY] = json.dumps(writer.facts)
                file.close()
        except BaseException:
            with suppress(OSError):
                file.close()
            raise


def write_pfnano(path: str | os.PathLike[str], events: ak.Array) -> None:
    """Write simulated events as the TTree ``Events`` of a PFNano-like ROOT file.

    coffea opens it with ``PFNanoAODSchema`` (``events.FatJet.constituents.pf``) and ``NanoAODSchema``, and
    `coffea_equitag.read_jets` reads it with ``jets="FatJet"``. The jets are called ``FatJet``, or ``Jet`` for recipes
    with a radius below 0.6. The file appears under its name only when it is complete. Branches are those of
    `pfnano_branches`; the string ``coffea_equitag`` beside the tree records in JSON how the events were made.

    Parameters
    ----------
    path : path-like
        The file to write.
    events : ak.Array
        Events of `simulate_events`.

    Raises
    ------
    JetError
        If ``path`` cannot be written, the disk is full, or these are not events from `simulate_events`.
    """
    facts = dict(events.attrs.get(KEY, {}))
    with pfnano_file(path, collection_name(facts.get("recipe", {}).get("radius", 0.8))) as file:
        file.add(events)
        file.facts = facts


def _collection(fields: dict[str, ak.Array]) -> ak.Array:
    columns = {}
    for name, column in fields.items():
        kind = np.float32 if name in _FLOATS else np.int32
        columns[name] = ak.values_astype(ak.to_packed(ak.without_parameters(column)), kind)
    return ak.zip(columns)


def _branch_type(array: Any) -> Any:
    return array.dtype if isinstance(array, np.ndarray) else array.type.content
