"""RNTuples: the same jets as from TTrees, with only the columns that are needed read."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from coffea_equitag import make_jets, read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.readers import mapped, nanoaod
from nano_events import nano_events, small_events


def nano_rntuple(events, path):
    """NanoAOD as ROOT's converter writes it: a field per column, and the counters."""
    columns = {f"{table}_{name}": events[table][name] for table in events.fields for name in events[table].fields}
    columns |= {f"n{table}": ak.values_astype(ak.num(events[table]), np.int32) for table in events.fields}
    columns |= dict.fromkeys(("run", "luminosityBlock", "event"), np.arange(len(events)))
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", columns)
    return path


def test_real_file_is_the_tree(shared_data):
    tree, ntuple = (read_jets(shared_data / f"pfnano{kind}.root", jets="FatJet") for kind in ("", "_rntuple"))
    assert ak.num(ntuple.constituents, axis=2)[0].tolist() == [43, 51, 31]
    assert ntuple.constituents.tolist() == tree.constituents.tolist()
    assert ntuple.pt.tolist() == tree.pt.tolist()
    assert set(ntuple.fields) == set(tree.fields)
    some = read_jets(shared_data / "pfnano_rntuple.root", jets="FatJet", entry_start=3, entry_stop=5)
    assert some.constituents.tolist() == tree.constituents[3:5].tolist()


def test_virtual_events_of_coffea(tmp_path):
    path = nano_rntuple(small_events(), tmp_path / "nano.root")
    log = []
    jets = nanoaod(nano_events(path, access_log=log), fields=("charge",))
    expected = nanoaod(small_events(), fields=("charge",))
    assert jets.constituents.tolist() == expected.constituents.tolist()
    read = {entry.branch for entry in log}
    assert {"PFCands_pt", "PFCands_charge"} <= read
    assert not {"PFCands_d0", "FatJet_hadronFlavour", "FatJet_mass"} & read


@pytest.mark.parametrize("layout", ["columns", "records"])
def test_only_needed_columns_are_read(tmp_path, monkeypatch, layout):
    """Of a table as columns, or as a field of records; other tables and columns are not touched."""
    events = small_events()
    events = ak.with_field(events, events.FatJet, "Muon")
    wide = ak.with_field(events.PFCands, events.PFCands.pt, "trkChi2")
    events = ak.with_field(events, wide, "PFCands")
    path = tmp_path / "nano.root"
    if layout == "columns":
        nano_rntuple(events, path)
    else:
        with uproot.recreate(path) as file:
            file.mkrntuple("Events", events)
    read, original = [], uproot.models.RNTuple.RField.array

    def array(field, *arguments, **options):
        read.append(field.path)
        return original(field, *arguments, **options)

    monkeypatch.setattr(uproot.models.RNTuple.RField, "array", array)
    jets = read_jets(path, jets="FatJet")
    assert jets.constituents.tolist() == nanoaod(small_events()).constituents.tolist()
    assert any(name.endswith("puppiWeight") for name in read)
    assert not [name for name in read if "Muon" in name or "trkChi2" in name]


def test_flat_layout(tmp_path):
    given = ak.zip({"part_px": [[1.0, 2.0], [3.0]], "part_py": [[0.0, 1.0], [1.0]], "part_pz": [[1.0, 1.0], [0.0]],
                    "part_energy": [[2.0, 3.0], [4.0]]}, depth_limit=1)  # fmt: skip
    with uproot.recreate(tmp_path / "flat.root") as file:
        file.mkrntuple("tree", ak.with_field(given, np.array([0, 1]), "label"))
    jets = read_jets(tmp_path / "flat.root")
    assert jets.label.tolist() == [0, 1]
    assert jets.constituents.px.tolist() == [[1, 2], [3]]
    assert isinstance(make_jets(jets.constituents, label=jets.label), ak.Array)


EDM4HEP = {
    "tree": "events",
    "jets": {short: f"Jet.{name}" for short, name in (("px", "momentum.x"), ("py", "momentum.y"), ("pz", "momentum.z"),
                                                      ("E", "energy"))},
    "constituents": {short: f"ReconstructedParticles.{name}" for short, name in (
        ("px", "momentum.x"), ("py", "momentum.y"), ("pz", "momentum.z"), ("E", "energy"), ("charge", "charge"))},
    "links": {"index": "_Jet_particles.index", "first": "Jet.particles_begin", "last": "Jet.particles_end"},
}  # fmt: skip


@pytest.fixture(scope="module")
def podio(shared_data, tmp_path_factory):
    """The jets, particles, tracks and track states of a real file as records of an RNTuple, as podio writes them."""
    source = shared_data / "p8_ee_WW_ecm240_edm4hep.root"
    with uproot.open(source) as file:
        tree = file["events"]

        def records(name, *columns):
            return ak.zip({column: tree[f"{name}.{column}"].array() for column in columns}, depth_limit=2)

        def particles(name):
            momentum = ak.zip({axis: tree[f"{name}.momentum.{axis}"].array() for axis in "xyz"})
            columns = [f"{relation}_{end}" for relation in ("particles", "tracks") for end in ("begin", "end")]
            return ak.with_field(records(name, "energy", "mass", "charge", "PDG", *columns), momentum, "momentum")

        states = records("_EFlowTrack_trackStates", "D0", "Z0")
        covariance = ak.zip({"values": tree["_EFlowTrack_trackStates.covMatrix.values[21]"].array()}, depth_limit=2)
        events = {
            "Jet": particles("Jet"),
            "ReconstructedParticles": particles("ReconstructedParticles"),
            "EFlowTrack": records("EFlowTrack", "trackStates_begin", "trackStates_end"),
            "_EFlowTrack_trackStates": ak.with_field(states, covariance, "covMatrix"),
        }
        for name in ("_Jet_particles", "_Jet_tracks", "_ReconstructedParticles_tracks"):
            events[name] = records(name, "index", "collectionID")
    path = tmp_path_factory.mktemp("podio") / "edm4hep.root"
    with uproot.recreate(path) as file:
        file.mkrntuple("events", events)
    return source, path


def test_edm4hep_by_a_mapping(podio):
    """The same from the tree and the RNTuple; momenta sum to those of the jets."""
    source, path = podio
    jets = mapped(path, EDM4HEP)
    assert jets.tolist() == mapped(source, EDM4HEP).tolist()
    assert ak.sum(ak.num(jets, axis=1)) == 26
    summed = ak.sum(ak.values_astype(jets.constituents, np.float64), axis=-1)
    for name in ("px", "py", "pz", "E"):
        expected = ak.flatten(jets[name]).to_numpy()
        assert ak.flatten(getattr(summed, name)).to_numpy() == pytest.approx(expected, abs=1e-3)


def test_edm4hep_is_recognised(podio):
    """With impact parameters and their errors, as the reader of the format gives them for the tree."""
    source, path = podio
    expected, jets = read_jets(source, jets="Jet"), read_jets(path, jets="Jet")
    assert set(jets.constituents.fields) == set(expected.constituents.fields)
    for name in jets.constituents.fields:
        assert jets.constituents[name].tolist() == expected.constituents[name].tolist(), name
    assert ak.any(jets.constituents.d0Err > 0, axis=None)
    assert jets.px.tolist() == expected.px.tolist()
    part = read_jets(path, jets="Jet", entry_start=2, entry_stop=4)
    assert part.constituents.d0.tolist() == expected.constituents.d0[2:4].tolist()
    with pytest.raises(JetError, match="with links to particles: Jet"):
        read_jets(path, jets="ReconstructedParticles")
    with pytest.raises(JetError, match="pass one of them"):
        read_jets(path)
