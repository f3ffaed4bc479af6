"""RNTuples: the same jets as from TTrees, with only the columns that are needed read."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from coffea_equitag import make_jets, read_jets
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


def test_edm4hep_as_podio_writes_it(shared_data, tmp_path):
    """The collections of a real file as records of an RNTuple, read by a mapping; momenta sum to those of the jets."""
    source = shared_data / "p8_ee_WW_ecm240_edm4hep.root"
    with uproot.open(source) as file:
        tree = file["events"]

        def momenta(name):
            axes = {axis: tree[f"{name}.momentum.{axis}"].array() for axis in "xyz"}
            return ak.zip(axes)

        def column(name):
            return tree[name].array()

        jets = {"momentum": momenta("Jet"), "energy": column("Jet.energy")}
        jets |= {name: column(f"Jet.{name}") for name in ("particles_begin", "particles_end")}
        particles = {"momentum": momenta("ReconstructedParticles")}
        particles |= {name: column(f"ReconstructedParticles.{name}") for name in ("energy", "charge")}
        events = {
            "Jet": ak.zip(jets, depth_limit=2),
            "ReconstructedParticles": ak.zip(particles, depth_limit=2),
            "_Jet_particles": ak.zip({"index": column("_Jet_particles.index")}),
        }
    with uproot.recreate(tmp_path / "edm4hep.root") as file:
        file.mkrntuple("events", events)
    jets = mapped(tmp_path / "edm4hep.root", EDM4HEP)
    assert jets.tolist() == mapped(source, EDM4HEP).tolist()
    summed = ak.sum(ak.values_astype(jets.constituents, np.float64), axis=-1)
    for name in ("px", "py", "pz", "E"):
        expected = ak.flatten(jets[name]).to_numpy()
        assert ak.flatten(getattr(summed, name)).to_numpy() == pytest.approx(expected, abs=1e-3)
