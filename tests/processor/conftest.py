"""Small PFNano-like files and a small tagger on disk."""

from collections.abc import Sequence
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
from coffea.nanoevents import NanoEventsFactory, PFNanoAODSchema

from coffea_equitag import models
from coffea_equitag.tagger import Tagger


class QuietSchema(PFNanoAODSchema):
    warn_missing_crossrefs = False


def write_nano(path: Path, jets_per_event: Sequence[int], seed: int = 0, **extra) -> Path:
    """Events with the given numbers of jets; every third jet has no constituents, and says so."""
    rng = np.random.default_rng(seed)
    num_jets = np.asarray(jets_per_event, dtype=np.int64)
    total, num_events = int(num_jets.sum()), len(num_jets)
    eta, phi = rng.uniform(-2, 2, total), rng.uniform(-3, 3, total)
    counts = np.where(np.arange(total) % 3 == 2, 0, rng.integers(1, 8, total))
    size = int(counts.sum())

    def events_of(column, kind=np.float32):
        per_jet = ak.unflatten(ak.unflatten(np.asarray(column).astype(kind), counts), num_jets)
        return ak.flatten(per_jet, axis=2)

    def jagged(column, kind=np.float32):
        return ak.unflatten(np.asarray(column).astype(kind), num_jets)

    position = ak.flatten(ak.local_index(jagged(eta)), axis=None)
    candidates = ak.zip(
        {
            "pt": events_of(rng.exponential(20, size) + 1),
            "eta": events_of(np.repeat(eta, counts) + rng.normal(0, 0.2, size)),
            "phi": events_of(np.repeat(phi, counts) + rng.normal(0, 0.2, size)),
            "mass": events_of(np.full(size, 0.14)),
            "charge": events_of(rng.integers(-1, 2, size), np.int32),
            "pdgId": events_of(np.full(size, 211), np.int32),
            "d0": events_of(rng.normal(0, 0.01, size)),
            "dz": events_of(rng.normal(0, 0.01, size)),
        }
    )
    trees = {
        "run": np.ones(num_events, np.uint32),
        "luminosityBlock": np.ones(num_events, np.uint32),
        "event": np.arange(num_events, dtype=np.uint64),
        "genWeight": np.linspace(-0.5, 2, num_events).astype(np.float32),
        "HLT_PFJet500": np.arange(num_events) % 2 == 0,
        "FatJet": ak.zip(
            {
                "pt": jagged(rng.uniform(200, 900, total)),
                "eta": jagged(eta),
                "phi": jagged(phi),
                "mass": jagged(rng.uniform(0, 200, total)),
                "msoftdrop": jagged(rng.uniform(0, 200, total)),
                "nConstituents": jagged(counts, np.uint8),
            }
        ),
        "PFCands": candidates,
        "FatJetPFCands": ak.zip(
            {
                "jetIdx": events_of(np.repeat(np.asarray(position, dtype=np.int64), counts), np.int32),
                "pFCandsIdx": ak.values_astype(ak.local_index(candidates), np.int32),
            }
        ),
        **extra,
    }
    with uproot.recreate(path) as file:
        types = {name: getattr(ak.type(ak.Array(v)), "content", None) for name, v in trees.items()}
        types = {
            name: t if name in ("FatJet", "PFCands", "FatJetPFCands") else trees[name].dtype
            for name, t in types.items()
        }
        tree = file.mktree("Events", types, field_name=lambda outer, inner: f"{outer}_{inner}")
        if num_events:
            tree.extend(trees)
        file.mktree("Runs", {"run": np.dtype("u4"), "genEventCount": np.dtype("i8")}).extend(
            {"run": np.array([1], "u4"), "genEventCount": np.array([num_events], "i8")}
        )
        file["tag"] = "made for tests"
        file["counts"] = np.histogram(num_jets, bins=3, range=(0, 3))
    return path


@pytest.fixture(scope="session")
def nano_writer():
    return write_nano


@pytest.fixture(scope="session")
def nano_file(tmp_path_factory):
    return write_nano(tmp_path_factory.mktemp("nano") / "nano.root", [2, 0, 3, 1, 1, 0, 4, 2, 1, 0, 2, 1])


@pytest.fixture(scope="session")
def open_nano():
    def read(path, mode="virtual", **options):
        return NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=QuietSchema, mode=mode, **options
        ).events()

    return read


@pytest.fixture(scope="session")
def saved_tagger(tmp_path_factory):
    """A LorentzNet with random weights, saved."""
    torch.manual_seed(1)
    tagger = Tagger.from_model(models.build("lorentznet", n_classes=2), name="small-net", classes=("qcd", "top"))
    tagger.save(tmp_path_factory.mktemp("tagger") / "small")
    return tagger


@pytest.fixture(scope="session")
def three_class_tagger(tmp_path_factory):
    torch.manual_seed(2)
    tagger = Tagger.from_model(models.build("lorentznet", n_classes=3), name="three", classes=("qcd", "top", "H->bb"))
    tagger.save(tmp_path_factory.mktemp("tagger") / "three")
    return tagger
