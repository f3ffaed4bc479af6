"""What the pages suppose to be there: files in the working folder, and the names that their first block uses.

Files are small: packaged events with a few columns more, packaged jets, and networks of a few weights.
"""

from __future__ import annotations

import functools
import gzip
import shutil
import tempfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest
import torch
from coffea import processor
from coffea.nanoevents import NanoEventsFactory, PFNanoAODSchema
from matplotlib.figure import Figure

import coffea_equitag as eqt
from coffea_equitag.demo import PACKAGED_JETS
from coffea_equitag.tagger import Tagger
from coffea_equitag.training import RunConfig, train
from pages.checkpoints import write_checkpoints
from pages.clusters import dask, parsl, triton, web
from pages.event_files import link_samples, treemaker, write_delphes, write_nano, write_top_landscape
from pages.jet_files import write_jets
from pages.lengths import shorten, shorten_simulations
from processor.correction_files import btv, jme
from scouting_events import scouting_events, write_scouting


def lay_out(folder, monkeypatch):
    """Put the files into a folder, and shorten trainings and executors; names that all pages may use."""
    shutil.copytree(_files(), folder, dirs_exist_ok=True)
    monkeypatch.setenv("COFFEA_EQUITAG_TAGGERS", str(folder / ".taggers"))
    monkeypatch.setattr(PFNanoAODSchema, "warn_missing_crossrefs", False)
    monkeypatch.setattr(processor, "FuturesExecutor", lambda **_: processor.IterativeExecutor(status=False))
    shorten(monkeypatch)
    return {"eqt": eqt, "ak": ak, "np": np, "processor": processor}


def names(page, folder, monkeypatch, request):
    """Names that a page's first block does not define; what only this page supposes is laid out first."""
    if page.startswith("docs/networks/"):
        return {}
    _AROUND.get(page, lambda *_: None)(folder, monkeypatch, request)
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


def _of_training(folder, monkeypatch, request):
    pytest.importorskip("optuna")
    _of_simulation(folder, monkeypatch, request)
    train(RunConfig(model="pfn", data=["top.parquet"], output="other_run", device="cpu"), progress=False)


def _of_evaluation(folder, *_):
    shutil.copytree(folder / "my-tagger", folder / "run")


def _of_simulation(folder, monkeypatch, request):
    pytest.importorskip("pythia8mc")
    shorten_simulations(monkeypatch)
    shutil.copy(folder / "top.parquet", folder / "top_landscape_1000.parquet")
    shutil.copytree(folder / "my-tagger", folder / "official-lorentznet")


def _of_export(folder, monkeypatch, request):
    for name in ("onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    Tagger.from_model(_small_pfn(), name="top-pfn-mass", classes=("QCD", "top")).save(folder / "top-pfn-mass")
    with zipfile.ZipFile(folder / "tagger.zip", "w") as archive:
        for file in (folder / "my-tagger").iterdir():
            archive.write(file, f"my-tagger/{file.name}")
    web(monkeypatch, folder / "tagger.zip")
    triton(monkeypatch)


def _of_scoring(folder, *_):
    for name in ("data/a/1.root", "data/b/2.root"):
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(folder / "nano.root", folder / name)


def _of_symmetry(folder, *_):
    shutil.copytree(folder / "three", folder / "other-tagger")


def _of_datasets(folder, monkeypatch, request):
    monkeypatch.setenv("COFFEA_EQUITAG_DATASETS", str(folder))
    write_top_landscape(folder / "top-landscape" / "test.h5")


def _of_edm4hep(folder, monkeypatch, request):
    sample = request.getfixturevalue("coffea_sample")
    link_samples(folder, sample, edm4hep="p8_ee_WW_ecm240_edm4hep.root", old="test_FCC_Winter2023.root")


def _of_physlite(folder, monkeypatch, request):
    link_samples(folder, request.getfixturevalue("coffea_sample"), DAOD_PHYSLITE="PHYSLITE_example.root")


_AROUND = {
    "docs/symmetry.md": _of_symmetry,
    "docs/howto/training.md": _of_training,
    "docs/howto/evaluation.md": _of_evaluation,
    "docs/howto/simulation.md": _of_simulation,
    "docs/howto/export.md": _of_export,
    "docs/howto/scoring.md": _of_scoring,
    "docs/howto/checkpoints.md": lambda folder, *_: write_checkpoints(folder),
    "docs/howto/executors/dask.md": lambda folder, monkeypatch, request: dask(monkeypatch, request),
    "docs/howto/executors/parsl.md": lambda folder, monkeypatch, request: parsl(monkeypatch),
    "docs/howto/readers/datasets.md": _of_datasets,
    "docs/howto/readers/delphes.md": lambda folder, monkeypatch, _: write_delphes(folder / "delphes.root", monkeypatch),
    "docs/howto/readers/edm4hep.md": _of_edm4hep,
    "docs/howto/readers/physlite.md": _of_physlite,
    "docs/howto/readers/scouting.md": lambda folder, *_: write_scouting(scouting_events(), folder / "scouting.root"),
}


@functools.cache
def _files():
    folder = Path(tempfile.mkdtemp())
    write_nano(folder / "nano.root")
    shutil.copy(folder / "nano.root", folder / "ttbar.root")
    write_jets(eqt.read_jets(PACKAGED_JETS)[:200], folder)
    for name, classes in (("my-tagger", ("QCD", "top")), ("three", ("qcd", "W", "top")), ("btag", ("light", "c", "b"))):
        torch.manual_seed(1)
        Tagger.from_model(_small_pfn(len(classes)), name=name, classes=classes).save(folder / name)
    for write, name, published in (
        (btv, "btagging.json.gz", {"net_": "deepJet_"}),
        (jme, "jmar.json.gz", {"Net_Top": "ParticleNet_Top_Nominal"}),
    ):
        text = write(folder / "corrections.json").read_text()
        for ours, theirs in published.items():
            text = text.replace(ours, theirs)
        (folder / name).write_bytes(gzip.compress(text.encode()))
    return folder


def _small_pfn(n_classes=2):
    return eqt.models.build("pfn", n_classes=n_classes, phi=(8, 8), f=(8,))


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
    tracks = ak.zip({name: candidates[name] for name in ("pt", "eta", "phi", "charge")})
    for table, columns in (("ScoutingTrack", tracks), ("GenCands", candidates)):
        events = ak.with_field(events, columns, table)
    return {"events": events, "particles": candidates, "my_candidates": weighted}


def _training():
    return {"model": eqt.models.build("pfn")}


def _ntuples():
    return {"events": treemaker(Path())}


_NAMES = {
    "docs/howto/analysis.md": _analysis,
    "docs/howto/systematics.md": _systematics,
    "docs/howto/calibration.md": _calibration,
    "docs/howto/evaluation.md": _evaluation,
    "docs/howto/training.md": _training,
    "docs/howto/readers/clustering.md": _clustering,
    "docs/howto/readers/ntuples.md": _ntuples,
    "docs/reference/jets.md": _jets,
}
