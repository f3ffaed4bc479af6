"""Event records for the tests of readers and processors: small ones with special cases, and those of real files."""

import importlib
import warnings

import awkward as ak
import numpy as np


def nano_events(path, mode="virtual", schema="PFNanoAODSchema", **options):
    nanoevents = importlib.import_module("coffea.nanoevents")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # coffea warns about cross-references that the file lacks
        factory = nanoevents.NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=getattr(nanoevents, schema), mode=mode, **options
        )
        return factory.events()


def small_events(table="PFCands", index="pFCandsIdx", **changes):
    """Three events: two jets (links out of order), none, three jets (the middle one empty)."""
    candidates = {
        "pt": [[10.0, 20.0, 30.0, 5.0], [], [7.0, 8.0]],
        "eta": [[0.1, 1.0, 0.0, 1.1], [3.0][:0], [2.0, -1.0]],
        "phi": [[0.0, 2.0, 0.1, 2.1], [], [3.1, 0.5]],
        "mass": [[0.14, 0.0, 0.14, 0.14], [], [0.14, -1e-3]],
        "pdgId": [[211, 22, -211, 11], [], [130, -13]],
        "charge": [[1, 0, -1, -1], [], [0, 1]],
        "d0": [[0.5, -1.0, -0.25, 0.125], [], [-1.0, 0.5]],
        "d0Err": [[0.1, -1.0, 0.2, 0.1], [], [-1.0, 0.1]],
        "puppiWeight": [[1.0, 0.5, 1.0, 0.0], [], [1.0, 0.5]],
    }
    jets = {
        "pt": [[40.0, 10.0], [], [7.0, 6.0, 4.0]],
        "eta": [[0.0, 1.0], [], [2.0, 0.0, -1.0]],
        "phi": [[0.0, 2.0], [], [-3.1, 0.0, 0.5]],
        "mass": [[4.0, 1.0], [], [1.0, 0.0, 0.0]],
        "hadronFlavour": [[5, 0], [], [4, 0, 0]],
        "nConstituents": [[2, 2], [], [1, 0, 1]],
    }
    links = {
        "jetIdx": [[1, 0, 0, 1, -1], [], [2, 0]],
        index: [[1, 2, 0, 3, 0], [], [1, 0]],
    }
    tables = {table: candidates, "FatJet": jets, f"FatJet{table}": links}
    for name, columns in changes.items():
        tables[name].update(columns or {})
    zipped = {
        name: ak.zip({k: ak.values_astype(ak.Array(v), _dtype(k)) for k, v in columns.items() if v is not None})
        for name, columns in tables.items()
    }
    return ak.zip(zipped, depth_limit=1)


def _dtype(name):
    return np.int32 if name.endswith(("Idx", "Id", "charge", "Flavour", "Constituents")) else np.float32
