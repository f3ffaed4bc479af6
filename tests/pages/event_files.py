"""Files of events, of each format that pages read: packaged ones, made up ones, and those of coffea's tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoEventsFactory

from coffea_equitag.demo import PACKAGED_FILE
from coffea_equitag.readers import cluster
from delphes_events import delphes_events
from scouting_events import scouting_events

EVENTS = 40


def write_nano(path):
    """The first packaged events, with a trigger, muons, pile-up, and the fat jets as AK4 jets too."""
    with uproot.open(PACKAGED_FILE) as file:
        columns = file["Events"].arrays(entry_stop=EVENTS)
    trees = {name: columns[name] for name in ("run", "luminosityBlock", "event", "genWeight")}
    for name in ("FatJet", "PFCands", "FatJetPFCands", "GenPart"):
        fields = [one for one in columns.fields if one.startswith(f"{name}_")]
        trees[name] = ak.zip({one.removeprefix(f"{name}_"): columns[one] for one in fields})
    jets = trees["FatJet"]
    jets["msoftdrop"] = jets.mass
    jets["hadronFlavour"] = ak.values_astype(5 * jets.isTop, np.int32)
    trees |= {"FatJet": jets, "Jet": jets, "JetPFCands": trees["FatJetPFCands"]}
    trees["Muon"] = ak.zip({name: jets[name] for name in ("pt", "eta", "phi", "mass")} | {"charge": jets.isTop})
    trees["HLT_PFJet500"] = np.arange(EVENTS) % 4 != 0
    trees["Pileup_nTrueInt"] = np.linspace(10, 60, EVENTS).astype(np.float32)
    types = {name: getattr(ak.type(ak.Array(value)), "content", None) for name, value in trees.items()}
    with uproot.recreate(path) as file:
        file.mktree("Events", types, field_name=lambda outer, inner: f"{outer}_{inner}").extend(trees)


def write_delphes(path, monkeypatch):
    """A file by which Delphes is recognised; coffea opens it as columns made up, which uproot cannot write."""
    from_root = NanoEventsFactory.from_root

    def opened(files, **options):
        if Path(next(iter(files))).name == path.name:
            return SimpleNamespace(events=delphes_events)
        return from_root(files, **options)

    with uproot.recreate(path) as file:
        file["Delphes"] = {"Jet.fUniqueID": np.arange(len(delphes_events()))}
    monkeypatch.setattr(NanoEventsFactory, "from_root", opened)


def treemaker(folder):
    """Events under the names of coffea's TreeMakerSchema, and the mapping that reads them."""
    columns = {"pt": "pt", "eta": "eta", "phi": "phi", "E": "energy"}
    text = 'links = {index = "JetsAK8.constituentsIndex"}\n'
    for name, table in (("jets", "JetsAK8"), ("constituents", "JetsConstituents")):
        text += f"[{name}]\n" + "".join(f'{ours} = "{table}.{theirs}"\n' for ours, theirs in columns.items())
    (folder / "treemaker.toml").write_text(text)
    candidates = scouting_events()["ScoutingPFCandidate"]
    jets = cluster(candidates, 0.8, min_pt=100)
    numbered = ak.with_field(candidates, ak.local_index(candidates.pt), "place")
    index = cluster(numbered, 0.8, min_pt=100).constituents.place
    tables = {"JetsAK8": jets, "JetsConstituents": ak.with_name(candidates, "Momentum4D")}
    events = {
        name: ak.zip({theirs: getattr(table, ours) for ours, theirs in columns.items()})
        for name, table in tables.items()
    }
    events["JetsAK8"] = ak.with_field(events["JetsAK8"], index, "constituentsIndex")
    return ak.zip(events, depth_limit=1)


def write_top_landscape(path):
    """A small file in the published layout."""
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("tables")
    rng, slots = np.random.default_rng(0), 200
    p = np.zeros((20, slots, 3))
    p[:, :15] = rng.normal(0, 30, (20, 15, 3))
    values = np.concatenate([np.linalg.norm(p, axis=2, keepdims=True), p], axis=2).astype(np.float32)
    names = [f"{name}_{k}" for k in range(slots) for name in ("E", "PX", "PY", "PZ")]
    truth = pandas.DataFrame({f"truth{name}": np.zeros(20, np.float32) for name in ("E", "PX", "PY", "PZ")})
    labels = pandas.DataFrame({"ttv": np.full(20, 2), "is_signal_new": np.arange(20) % 2})
    path.parent.mkdir(parents=True)
    table = pandas.concat([pandas.DataFrame(values.reshape(20, -1), columns=names), truth, labels], axis=1)
    table.to_hdf(path, key="table", format="table")


def link_samples(folder, coffea_sample, **names):
    """Files of coffea's tests under the names that a page gives them."""
    for name, sample in names.items():
        (folder / f"{name}.root").symlink_to(coffea_sample(sample))
