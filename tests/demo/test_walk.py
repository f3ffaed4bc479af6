from __future__ import annotations

import awkward as ak
import coffea.util
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

import coffea_equitag as eqt
from arithmetic import rounding_of_scores
from coffea_equitag.cli import main
from coffea_equitag.demo import PACKAGED_FILE, PACKAGED_TAGGER


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    assert main(["demo", "-o", str(folder)]) == 0
    return folder


def test_makes_its_files(made):
    assert sorted(p.name for p in made.iterdir()) == [
        "histograms.coffea",
        "histograms.root",
        "roc.png",
        "scored.root",
        "scores.png",
    ]
    assert (made / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_scores_in_the_file_are_the_taggers(made):
    class Schema(NanoAODSchema):
        warn_missing_crossrefs = False

    events = NanoEventsFactory.from_root({str(made / "scored.root"): "Events"}, schemaclass=Schema).events()
    jets = eqt.read_jets(PACKAGED_FILE, jets="FatJet")
    jets = jets[jets.pt > 550]
    jets = jets[jets.pt < 650]
    tagger = eqt.load(PACKAGED_TAGGER, "cpu")
    expected, allowed = tagger(jets), rounding_of_scores(tagger, jets[:40])
    found = events.FatJet.top[(events.FatJet.pt > 550) & (events.FatJet.pt < 650)]
    np.testing.assert_allclose(ak.flatten(found), ak.flatten(expected), rtol=0, atol=allowed)


def test_histograms_hold_the_scored_jets(made):
    output = coffea.util.load(made / "histograms.coffea")
    scored = output["jet_cutflow"]["FatJet"]["packaged"]["scored"]
    assert scored > 300
    mass = output["jets"]["FatJet"]["mass"]
    assert mass[{"dataset": sum, "working_point": "inclusive", "decision": "pass"}].sum(flow=True).value == scored
    with uproot.open(made / "histograms.root") as file:
        passed, failed = (file[f"FatJet_mass_tight_{d}"].values(flow=True).sum() for d in ("pass", "fail"))
    assert passed + failed == scored


def test_packaged_tagger_tells_tops_from_qcd():
    jets = eqt.read_jets(PACKAGED_FILE, jets="FatJet")
    jets = ak.flatten(jets)
    jets = jets[(jets.pt > 550) & (jets.pt < 650) & (jets.isTop + jets.isQCD == 1)]
    metrics = eqt.evaluation.measure(eqt.load(PACKAGED_TAGGER, "cpu")(jets), jets.isTop)
    assert metrics.auc > 0.95


def test_packaged_files_are_small():
    assert PACKAGED_FILE.stat().st_size < 2_000_000
    assert sum(p.stat().st_size for p in eqt.zoo.path(PACKAGED_TAGGER).iterdir()) < 2_000_000
