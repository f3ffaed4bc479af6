from __future__ import annotations

import awkward as ak
import coffea.util
import numpy as np
import pytest
import scipy.stats
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

import coffea_equitag as eqt
from arithmetic import rounding_of_scores
from coffea_equitag.cli import main
from coffea_equitag.demo import PACKAGED_FILE, PACKAGED_JETS, PACKAGED_TAGGER
from coffea_equitag.demo.run import further_scores_and_truth, in_range


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


def test_further_jets_are_of_the_same_kind(made):
    """Enough for a curve: at an efficiency of 80% the rejection is known to 20%."""
    jets, first = eqt.read_jets(PACKAGED_JETS), ak.flatten(eqt.read_jets(PACKAGED_FILE, jets="FatJet"))
    first = first[in_range(first) & (first.isTop + first.isQCD == 1)]
    assert np.bincount(ak.to_numpy(jets.label)).tolist() == [2000, 2000]
    assert ak.all(in_range(jets))
    for mine, theirs in ((jets[jets.label == k], first[first.isTop == k]) for k in (0, 1)):
        assert scipy.stats.ks_2samp(*(ak.to_numpy(ak.num(one.constituents)) for one in (mine, theirs))).pvalue > 1e-3
        assert scipy.stats.ks_2samp(ak.to_numpy(mine.mass), ak.to_numpy(theirs.mass)).pvalue > 1e-3
    rejection = eqt.evaluation.measure(*further_scores_and_truth(), efficiencies=[0.8]).rejections[0]
    assert rejection.passed >= 25


def test_packaged_tagger_tells_tops_from_qcd():
    jets = eqt.read_jets(PACKAGED_FILE, jets="FatJet")
    jets = ak.flatten(jets)
    jets = jets[(jets.pt > 550) & (jets.pt < 650) & (jets.isTop + jets.isQCD == 1)]
    metrics = eqt.evaluation.measure(eqt.load(PACKAGED_TAGGER, "cpu")(jets), jets.isTop)
    assert metrics.auc > 0.95


def test_packaged_files_are_small():
    assert PACKAGED_FILE.stat().st_size < 2_000_000
    assert PACKAGED_JETS.stat().st_size < 2_000_000
    assert sum(p.stat().st_size for p in eqt.zoo.path(PACKAGED_TAGGER).iterdir()) < 2_000_000
