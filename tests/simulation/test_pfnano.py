"""The PFNano-like file opens in coffea and holds what was simulated."""

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory, PFNanoAODSchema

pytest.importorskip("pythia8mc")

from coffea_equitag.errors import JetError
from coffea_equitag.simulation import simulate_events, write_pfnano


@pytest.fixture(scope="module")
def simulated():
    return simulate_events("top", 12, seed=6)


@pytest.fixture(scope="module")
def path(simulated, tmp_path_factory):
    path = tmp_path_factory.mktemp("pfnano") / "events.root"
    write_pfnano(path, simulated)
    return path


def _open(path, schema, mode="virtual"):
    # Files without electrons, muons, ... lack their cross-references: coffea warns of each unless told not to.
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
    with pytest.raises(OSError, match="disk full"):
        write_pfnano(path, simulated)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_truth_counts(simulated):
    truth = ak.to_numpy(ak.flatten(simulated.jets.isTop))
    assert truth.dtype == np.bool_
    assert 0 < truth.sum() < len(truth)
