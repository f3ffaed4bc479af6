"""JetNet: HDF5 files in the published layout."""

from __future__ import annotations

import awkward as ak
import h5py
import numpy as np
import pytest

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.readers import read_jetnet
from coffea_equitag.readers.datasets import jetnet


def write(path, counts=(3, 0, 30, 1), slots=30, seed=0, **changes):
    rng = np.random.default_rng(seed)
    particles = np.zeros((len(counts), slots, 4), dtype=np.float32)
    jets = np.zeros((len(counts), 4), dtype=np.float32)
    for jet, count in enumerate(counts):
        particles[jet, :count, :2] = rng.normal(0, 0.2, (count, 2))
        particles[jet, :count, 2] = rng.dirichlet(np.ones(count)) if count else 0
        particles[jet, :count, 3] = 1
        jets[jet] = rng.uniform(900, 1100), rng.normal(0, 1), rng.uniform(50, 200), count
    with h5py.File(path, "w") as file:
        for name, value in ({"particle_features": particles, "jet_features": jets} | changes).items():
            if value is not None:
                file.create_dataset(name, data=value, **({"compression": "gzip"} if value.size else {}))
    return path, particles, jets


@pytest.mark.parametrize("slots", [30, 150])
def test_columns(tmp_path, slots):
    path, particles, features = write(tmp_path / f"t{slots if slots > 30 else ''}.hdf5", slots=slots)
    jets = read_jetnet(path)
    assert ak.num(jets.constituents).tolist() == [3, 0, 30, 1]
    assert jets.label.tolist() == [2] * 4
    assert jets.num_particles.tolist() == [3, 0, 30, 1]
    np.testing.assert_array_equal(jets.pt, features[:, 0])
    np.testing.assert_array_equal(jets.eta, features[:, 1])
    np.testing.assert_array_equal(jets.mass, features[:, 2])
    assert jets.phi.tolist() == [0.0] * 4
    np.testing.assert_allclose(jets.constituents.pt[2], particles[2, :30, 2] * features[2, 0], rtol=1e-6)
    np.testing.assert_allclose(jets.constituents.eta[2], particles[2, :30, 0] + features[2, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(jets.constituents.phi[2], particles[2, :30, 1])
    assert ak.all(jets.constituents.mass == 0)


def test_masked_particles_are_dropped_wherever_they_stand(tmp_path):
    path, particles, features = write(tmp_path / "w.hdf5")
    particles[2, 5, 3] = 0
    write(tmp_path / "w.hdf5", particle_features=particles, jet_features=features)
    assert ak.num(read_jetnet(path).constituents).tolist() == [3, 0, 29, 1]


def test_classes_ranges_and_blocks(tmp_path, monkeypatch):
    files = [write(tmp_path / f"{name}.hdf5", seed=seed)[0] for seed, name in enumerate("gqtwz")]
    whole = read_jetnet(files)
    assert whole.label.tolist() == np.repeat(range(5), 4).tolist()
    monkeypatch.setattr(jetnet, "_BLOCK", 3)
    assert read_jetnet(files).tolist() == whole.tolist()
    assert read_jets(files, entry_start=2, entry_stop=9).tolist() == whole[2:9].tolist()


def test_class_given_or_unknown(tmp_path):
    path, _, _ = write(tmp_path / "mine.hdf5")
    assert "label" not in read_jetnet(path).fields
    assert read_jetnet(path, jet_type="z").label.tolist() == [4] * 4
    with pytest.raises(JetError, match="jet_type='b'"):
        read_jetnet(path, jet_type="b")


@pytest.mark.parametrize("counts", [(), (0, 0)])
def test_no_jets_and_only_padding(tmp_path, counts):
    jets = read_jetnet(write(tmp_path / "g.hdf5", counts)[0])
    assert ak.num(jets.constituents).tolist() == list(counts)
    assert jets.constituents.fields == ["pt", "eta", "phi", "mass"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jet_features": None}, "with particle_features"),
        ({"jet_features": np.zeros((3, 4))}, r"jet_features of shape \(3, 4\)"),
        ({"particle_features": np.zeros((4, 30, 3))}, r"particle_features of shape \(4, 30, 3\)"),
    ],
)
def test_wrong_datasets(tmp_path, change, said):
    path, _, _ = write(tmp_path / "g.hdf5", **change)
    with pytest.raises(JetError, match=said):
        read_jetnet(path)
