"""What the pages suppose to be there: files in the working folder, and the names that their first block uses.

Files are small: packaged events with a few columns more, packaged jets, and networks of a few weights.
"""

from __future__ import annotations

import functools
import gzip
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import awkward as ak
import numpy as np
import torch
import uproot
from coffea import processor
from coffea.nanoevents import NanoEventsFactory, PFNanoAODSchema
from matplotlib.figure import Figure

import coffea_equitag as eqt
from coffea_equitag.demo import PACKAGED_FILE, PACKAGED_JETS
from coffea_equitag.tagger import Tagger
from processor.correction_files import btv, jme

EVENTS = 40


def lay_out(folder, monkeypatch):
    """Put the files into a folder, and shorten trainings and executors; names that all pages may use."""
    shutil.copytree(_files(), folder, dirs_exist_ok=True)
    monkeypatch.setenv("COFFEA_EQUITAG_TAGGERS", str(folder / ".taggers"))
    monkeypatch.setattr(PFNanoAODSchema, "warn_missing_crossrefs", False)
    monkeypatch.setattr(processor, "FuturesExecutor", lambda **_: processor.IterativeExecutor(status=False))
    monkeypatch.setattr(eqt, "fit", functools.partial(eqt.fit, epochs=1, progress=False))
    monkeypatch.setattr(eqt.models, "build", _small(eqt.models.build))
    return {"eqt": eqt, "ak": ak, "np": np, "processor": processor}


def names(page):
    """Names that a page's first block does not define."""
    if page.startswith("docs/networks/"):
        return {}
    events = NanoEventsFactory.from_root({"nano.root": "Events"}, schemaclass=PFNanoAODSchema).events()
    tagger, jets = eqt.load("my-tagger"), eqt.read_jets("top.parquet")
    common = {
        "events": events,
        "tagger": tagger,
        "taggers": {"Jet": tagger, "FatJet": tagger},
        "jets": jets,
        "test_jets": jets,
        "run": processor.Runner(processor.IterativeExecutor(status=False), schema=PFNanoAODSchema),
        "fileset": {"ttbar": {"files": {"nano.root": "Events"}, "metadata": {"is_mc": True}}},
        "in_range": lambda jets: (jets.pt > 550) & (jets.pt < 650),
    }
    return common | _NAMES.get(page, dict)()


def _small(build):
    """Networks of a few weights, whatever a page asks for."""
    sizes = {"lorentznet": {"hidden": 4, "n_layers": 2}, "pelican": {"size": "3k"}}
    return lambda kind, **options: build(kind, **sizes.get(kind, {}) | options)


@functools.cache
def _files():
    folder = Path(tempfile.mkdtemp())
    _write_events(folder / "nano.root")
    shutil.copy(folder / "nano.root", folder / "ttbar.root")
    _write_jets(eqt.read_jets(PACKAGED_JETS)[:200], folder)
    for name, classes in (("my-tagger", ("QCD", "top")), ("three", ("qcd", "W", "top")), ("btag", ("light", "c", "b"))):
        torch.manual_seed(1)
        model = eqt.models.build("pfn", n_classes=len(classes), phi=(8, 8), f=(8,))
        Tagger.from_model(model, name=name, classes=classes).save(folder / name)
    for write, name, published in (
        (btv, "btagging.json.gz", {"net_": "deepJet_"}),
        (jme, "jmar.json.gz", {"Net_Top": "ParticleNet_Top_Nominal"}),
    ):
        text = write(folder / "corrections.json").read_text()
        for ours, theirs in published.items():
            text = text.replace(ours, theirs)
        (folder / name).write_bytes(gzip.compress(text.encode()))
    return folder


def _write_jets(jets, folder):
    """Labelled jets of a wide range of pT with weights, in the files that pages read."""
    rng = np.random.default_rng(0)
    factor = rng.uniform(0.6, 1.8, len(jets))
    jets = ak.with_field(jets, np.arange(len(jets)), "event")
    columns = jets.constituents
    scaled = ak.zip({name: columns[name] * (factor if name == "pt" else 1) for name in ("pt", "eta", "phi", "mass")})
    own = {name: jets[name] * (factor if name in ("pt", "mass") else 1) for name in ("pt", "eta", "phi", "mass")}
    fields = own | {"label": ak.to_numpy(jets.label), "weight": rng.uniform(0.5, 1.5, len(jets))}
    wide = eqt.make_jets(scaled, **fields)
    for name in ("top.parquet", "test.parquet", "validation.parquet", "top/top.parquet", "jets/0.parquet"):
        (folder / name).parent.mkdir(exist_ok=True)
        ak.to_parquet(wide if name == "validation.parquet" else jets, folder / name)
    (folder / "run.yaml").write_text("{model: pfn, data: [top.parquet], output: runs, epochs: 1, device: cpu}")


def _write_events(path):
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


def _analysis():
    def ones(events):
        return np.ones(len(events))

    jets = eqt.read_jets("top.parquet")
    return {
        "jets": ak.with_field(jets, 2 * jets.label, "label"),
        "tagger": eqt.load("three"),
        "pileup": lambda interactions: (np.ones(len(interactions)),) * 3,
        "efficiency": ones,
        "efficiency_up": ones,
        "sf": 1.0,
        "up": 1.1,
        "down": 0.9,
        "regions": {},
    }


def _systematics():
    def build(jets):
        up, down = (ak.with_field(jets, jets.pt * factor, "pt") for factor in (1.02, 0.98))
        shifted = ak.zip({"up": up, "down": down}, depth_limit=2)
        return ak.with_field(ak.with_field(jets, shifted, "JES_jes"), shifted, "JER")

    return {"factory": SimpleNamespace(build=build)}


def _calibration():
    return {"is_merged_top": lambda jets: jets.isTop == 1}


def _evaluation():
    jets = eqt.read_jets("top.parquet")
    jets = ak.with_field(jets, np.arange(len(jets)) % 3, "label")
    jets = ak.with_field(jets, np.ones(len(jets)), "weight")
    return {"tagger": eqt.load("btag"), "chunks": [jets[:100], jets[100:]], "figure": Figure()}


def _jets():
    jets = eqt.read_jets("top.parquet")
    columns = {name: jets.constituents[name] for name in ("pt", "eta", "phi", "mass")}
    charge = ak.values_astype(columns["mass"] > 0, np.int32)
    return columns | {"charge": charge, "label": ak.to_numpy(jets.label), "corrected": lambda jets: jets}


def _clustering():
    events = NanoEventsFactory.from_root({"nano.root": "Events"}, schemaclass=PFNanoAODSchema).events()[:5]
    candidates = eqt.readers.particles(events, "PFCands")
    weighted = ak.with_field(candidates, ak.ones_like(candidates.pt), "puppiWeight")
    return {"events": events, "particles": candidates, "my_candidates": weighted}


def _training():
    return {"model": eqt.models.build("pfn")}


_NAMES = {
    "docs/howto/analysis.md": _analysis,
    "docs/howto/systematics.md": _systematics,
    "docs/howto/calibration.md": _calibration,
    "docs/howto/evaluation.md": _evaluation,
    "docs/howto/training.md": _training,
    "docs/howto/readers/clustering.md": _clustering,
    "docs/reference/jets.md": _jets,
}
