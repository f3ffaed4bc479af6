"""The PFNano-like file opens in coffea and holds what was simulated."""

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory, PFNanoAODSchema

pytest.importorskip("pythia8mc")

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.jets import flatten
from coffea_equitag.jets.impact_parameter import IMPACT_COLUMNS, impact_parameters
from coffea_equitag.simulation import (
    RECIPES,
    read_provenance,
    sample_request,
    simulate,
    simulate_events,
    simulate_file,
    write_pfnano,
)
from coffea_equitag.training.folds import fold_of


@pytest.fixture(scope="module")
def simulated():
    return simulate_events("top", 12, seed=6)


@pytest.fixture(scope="module")
def path(simulated, tmp_path_factory):
    path = tmp_path_factory.mktemp("pfnano") / "events.root"
    write_pfnano(path, simulated)
    return path


def _open(path, schema, mode="virtual"):
    # Files without electrons, muons, ... lack their cross-references, and coffea warns about each of them.
    quiet = type("Quiet", (schema,), {"warn_missing_crossrefs": False})
    return NanoEventsFactory.from_root({str(path): "Events"}, schemaclass=quiet, mode=mode).events()


@pytest.mark.parametrize("schema", [PFNanoAODSchema, NanoAODSchema])
@pytest.mark.parametrize("mode", ["virtual", "eager"])
def test_opens_in_coffea(path, simulated, schema, mode):
    events = _open(path, schema, mode)
    for name in ("pt", "eta", "phi", "mass"):
        assert ak.array_equal(events.FatJet[name], simulated.jets[name], check_parameters=False)
    assert ak.all(events.FatJet.isTop == simulated.jets.isTop)
    assert ak.all(events.GenPart.pdgId == simulated.partons.pdgId)
    assert ak.all(events.genWeight == simulated.weight)


def test_constituents_through_the_cross_reference(path, simulated):
    found = _open(path, PFNanoAODSchema).FatJet.constituents.pf
    made = simulated.jets.constituents
    for name in ("pt", "eta", "phi", "mass", "charge", "pdgId"):
        assert ak.to_list(found[name]) == ak.to_list(made[name])
    assert ak.all(found.puppiWeight == 1)


def test_cross_reference_survives_slicing(path, simulated):
    found = _open(path, PFNanoAODSchema)[3:9].FatJet.constituents.pf.pt
    assert ak.to_list(found) == ak.to_list(simulated.jets.constituents.pt[3:9])


def test_candidates_are_sorted_and_mothers_are_found(path):
    events = _open(path, PFNanoAODSchema)
    pt = events.PFCands.pt
    assert ak.all(pt[:, 1:] <= pt[:, :-1])
    is_w = abs(events.GenPart.pdgId) == 24
    assert ak.all(abs(events.GenPart[is_w].parent.pdgId) == 6)


def test_branch_types(path):
    with uproot.open(path) as file:
        tree = file["Events"]
        assert tree["event"].typename == "uint64_t"
        assert tree["PFCands_pt"].typename == "float[]"
        assert tree["FatJetPFCands_pFCandsIdx"].typename == "int32_t[]"
        assert tree["FatJet_isTop"].typename == "int32_t[]"
        assert ak.all(tree["nFatJet"].array() == ak.num(tree["FatJet_pt"].array()))


def test_event_numbers(simulated, tmp_path):
    bare = ak.zip({name: simulated[name] for name in ("jets", "partons", "weight")}, depth_limit=1)
    for events, expected in ((simulated[::-1], range(12, 0, -1)), (bare[::-1], range(1, 13))):
        write_pfnano(tmp_path / "x.root", events)
        with uproot.open(tmp_path / "x.root") as file:
            assert file["Events"]["event"].array().to_list() == list(expected)


def test_jets_know_their_events(path, simulated):
    jets = read_jets(path, jets="FatJet")
    for name, expected in (("event", simulated.event), ("run", 1), ("luminosityBlock", 1), ("genWeight", 1)):
        assert ak.all(jets[name] == expected)
        assert ak.num(jets[name]).to_list() == ak.num(simulated.jets).to_list()
    folds = fold_of(jets, 3)
    assert ak.all(ak.max(folds, axis=1) == ak.min(folds, axis=1))
    with_event_only = ak.with_field(simulated.jets, ak.broadcast_arrays(simulated.event, simulated.jets.pt)[0], "event")
    assert ak.all(fold_of(jets, 3, ["event"]) == fold_of(with_event_only, 3))


def test_no_events(simulated, tmp_path):
    write_pfnano(tmp_path / "none.root", simulated[:0])
    with uproot.open(tmp_path / "none.root") as file:
        assert file["Events"].num_entries == 0


def test_events_without_jets(simulated, tmp_path):
    events = ak.with_field(simulated, simulated.jets[simulated.jets.pt < 0], "jets")
    write_pfnano(tmp_path / "bare.root", events)
    found = _open(tmp_path / "bare.root", PFNanoAODSchema)
    assert ak.all(ak.num(found.FatJet) == 0)
    assert len(found) == len(simulated)


def test_refuses_other_arrays(tmp_path):
    with pytest.raises(JetError, match="events without"):
        write_pfnano(tmp_path / "x.root", ak.Array([{"pt": 1.0}]))
    assert list(tmp_path.iterdir()) == []


def test_refuses_missing_folder(simulated, tmp_path):
    with pytest.raises(JetError, match="there is no folder"):
        write_pfnano(tmp_path / "nowhere" / "x.root", simulated)


def test_failure_leaves_the_former_file(simulated, tmp_path, monkeypatch):
    path = tmp_path / "x.root"
    path.write_bytes(b"former")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(uproot.writing.writable.WritableTree, "extend", fail)
    with pytest.raises(JetError, match="cannot be written: disk full"):
        write_pfnano(path, simulated)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_truth_counts(simulated):
    truth = ak.to_numpy(ak.flatten(simulated.jets.isTop))
    assert truth.dtype == np.bool_
    assert 0 < truth.sum() < len(truth)


#: Enough for a jet of each kind, whichever Pythia made them.
EVENTS = 10

OTHERS = {"qg": "Jet", "btag": "Jet", "w": "FatJet"}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Events of the other recipes, and their files, written a few at a time."""
    folder = tmp_path_factory.mktemp("others")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_request, "SHARD", 3)
        return {
            name: (simulate_events(name, EVENTS, seed=3), simulate_file(name, EVENTS, folder / f"{name}.root", seed=3))
            for name in OTHERS
        }


@pytest.mark.parametrize("name", OTHERS)
def test_other_recipes_are_read_back(others, name):
    made, path = others[name]
    jets = read_jets(path, jets=OTHERS[name])
    assert read_provenance(path) == made.attrs["coffea_equitag"]
    exact = [field for field in made.jets.fields if field != "constituents"]
    assert "label" in exact
    for field in exact:
        assert ak.array_equal(jets[field], made.jets[field], check_parameters=False)
    for field in ("pt", "eta", "phi", "mass", "charge", "pdgId"):
        assert ak.array_equal(jets.constituents[field], made.jets.constituents[field], check_parameters=False)
    found = _open(path, PFNanoAODSchema)[OTHERS[name]].constituents.pf
    assert ak.to_list(found.pt) == ak.to_list(made.jets.constituents.pt)
    with uproot.open(path) as file:
        assert file["Events/event"].array().to_list() == list(range(1, EVENTS + 1))


def test_impact_parameters_are_read_back(others):
    made, path = others["btag"]
    jets = read_jets(path, jets="Jet")
    for name in ("d0", "dz", "d0Err", "dzErr"):
        wanted, found = (ak.to_numpy(ak.flatten(of.constituents[name], axis=None)) for of in (made.jets, jets))
        np.testing.assert_allclose(found, wanted, rtol=3e-7)
    # the vector is derived from what is in the file
    flat = flatten(ak.flatten(jets), ("d0", "dz", "charge"))
    vectors = impact_parameters(flat.momenta.p4[:, 1:], *(flat.columns[name] for name in ("d0", "dz", "charge")))
    simulated = flatten(ak.flatten(made.jets), IMPACT_COLUMNS)
    wanted = np.stack([simulated.columns[name] for name in IMPACT_COLUMNS], axis=1)
    assert np.count_nonzero(wanted) > 100
    np.testing.assert_allclose(vectors, wanted, atol=2e-5, rtol=1e-4)


def test_impact_parameters_are_stored_as_cms_does(others):
    made, path = others["btag"]
    with uproot.open(path) as file:
        columns = {
            name: ak.to_numpy(ak.flatten(file[f"Events/PFCands_{name}"].array()))
            for name in ("charge", "d0", "d0Err", "dz", "dzErr", "pt")
        }
    neutral = columns["charge"] == 0
    for name in ("d0", "d0Err", "dz", "dzErr"):
        assert np.all(columns[name][neutral] == -1)
    assert np.all(columns["d0Err"][~neutral] > 0)
    # the hardest candidate: cm, and the sign of dxy
    hardest = ak.flatten(made.jets.constituents[0])
    hardest = hardest[ak.argsort(hardest.pt, ascending=False)]
    (first,) = np.flatnonzero(hardest.charge != 0)[:1]
    np.testing.assert_allclose(columns["d0"][first], -hardest.d0[first] / 10, rtol=3e-7)
    np.testing.assert_allclose(columns["dz"][first], hardest.dz[first] / 10, rtol=3e-7)


def test_leading_jets_of_other_recipes_are_labelled(others):
    for name, (events, _) in others.items():
        labels = events.jets.label
        if name == "btag":  # every jet has a flavour
            assert set(ak.to_list(ak.flatten(labels))) <= {0, 1, 2}
        else:
            assert ak.all(labels[:, 1:] == -1)
        assert set(ak.to_list(labels[:, 0])) <= {-1, *range(len(RECIPES[name].classes))}
        assert name == "w" or ak.all(labels[:, 0] >= 0)
        assert not {"isTop", "isQCD", "flavour"} & set(events.jets.fields)
    # a process that keeps every event in the range gives the same jets either way
    events, _ = others["qg"]
    np.testing.assert_array_equal(np.sort(events.jets.pt[:, 0]), np.sort(_flat("qg").pt))
    assert ak.sum(events.jets.label[:, 0] == 1) == ak.sum(_flat("qg").label == 1)


def _flat(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_request, "SHARD", 3)
        return simulate(name, EVENTS, seed=3)


def test_leading_w_jets_know_their_boson(others):
    jets = others["w"][0].jets
    boson = jets.label == 0
    assert ak.sum(boson) > 0
    # a width of 2 GeV, and Pythia's lowest mass of 10
    assert ak.all((jets.true_mass > 10) == boson)
    assert ak.all((jets.true_pt > 0) == boson)
    true, found = (ak.to_numpy(ak.flatten(column[boson])) for column in (jets.true_eta, jets.eta))
    np.testing.assert_allclose(true, found, atol=0.3)


def test_top_jets_have_labels(simulated):
    jets = simulated.jets
    assert ak.all((jets.label == 1) == jets.isTop)
    assert ak.all((jets.label == 0) == jets.isQCD)
