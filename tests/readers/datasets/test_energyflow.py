"""The EnergyFlow quark/gluon datasets: npz files in the published layout."""

from __future__ import annotations

import zipfile

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.readers import read_energyflow
from coffea_equitag.readers.datasets import energyflow

IDS = [22, 211, -211, 321, -321, 130, 2112, -2112, 2212, -2212, 11, -11, 13, -13]


def arrays(counts=(3, 0, 14, 1), slots=20, seed=0):
    rng = np.random.default_rng(seed)
    X = np.zeros((len(counts), slots, 4))
    for jet, count in enumerate(counts):
        X[jet, :count, 0] = np.sort(rng.exponential(20, count))[::-1] + 0.1
        X[jet, :count, 1] = rng.normal(0.5, 0.2, count)
        X[jet, :count, 2] = rng.normal(3.1, 0.2, count)  # beyond π: the publisher lets φ follow the jet
        X[jet, :count, 3] = [IDS[i % len(IDS)] for i in range(count)]
    return X, (np.arange(len(counts)) % 2).astype(float)


def write(path, X, y, save=np.savez_compressed):
    save(path, X=X, y=y)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_columns(tmp_path, save):
    X, y = arrays()
    jets = read_energyflow(write(tmp_path / "QG_jets.npz", X, y, save))
    assert ak.num(jets.constituents).tolist() == [3, 0, 14, 1]
    assert jets.label.tolist() == [0, 1, 0, 1]
    particles = jets.constituents[2]
    np.testing.assert_allclose(particles.pt, X[2, :14, 0], rtol=1e-14)
    np.testing.assert_allclose(particles.rapidity, X[2, :14, 1], rtol=1e-12)
    np.testing.assert_allclose(np.cos(particles.phi - X[2, :14, 2]), 1, rtol=1e-14)
    assert particles.pdgId.tolist() == IDS
    assert particles.charge.tolist() == [0, 1, -1, 1, -1, 0, 0, 0, 1, -1, -1, 1, -1, 1]
    assert particles.mass[:4].tolist() == [0.0, 0.13957039, 0.13957039, 0.493677]
    assert jets.constituents.px.type.content.content == ak.types.NumpyType("float64")


def test_massless(tmp_path):
    X, y = arrays()
    jets = read_energyflow(write(tmp_path / "a.npz", X, y), masses="zero")
    assert ak.all(jets.constituents.mass == 0)
    np.testing.assert_allclose(jets.constituents[2].eta, X[2, :14, 1], rtol=1e-12)
    with pytest.raises(JetError, match="masses='pion'"):
        read_energyflow(tmp_path / "a.npz", masses="pion")


def test_single_precision_is_kept(tmp_path):
    X, y = arrays()
    jets = read_energyflow(write(tmp_path / "a.npz", X.astype(np.float32), y))
    for name in ("px", "py", "pz", "mass"):
        assert jets.constituents[name].type.content.content == ak.types.NumpyType("float32")


def test_ranges_and_blocks(tmp_path, monkeypatch):
    X, y = arrays()
    path = write(tmp_path / "a.npz", X, y)
    whole = read_energyflow([path, path])
    monkeypatch.setattr(energyflow, "_BLOCK", 3)
    assert read_energyflow([path, path]).tolist() == whole.tolist()
    assert read_energyflow([path, path], entry_start=2, entry_stop=6).tolist() == whole[2:6].tolist()
    assert read_jets(path, entry_start=-2).tolist() == whole[2:4].tolist()
    empty = read_energyflow(path, entry_start=1, entry_stop=1)
    assert len(empty) == 0
    assert empty.constituents.fields == whole.constituents.fields


def test_files_of_different_padding_join(tmp_path):
    first = write(tmp_path / "a.npz", *arrays(slots=20))
    second = write(tmp_path / "b.npz", *arrays(slots=25))
    jets = read_energyflow([first, second])
    assert jets[:4].tolist() == jets[4:].tolist()


@pytest.mark.parametrize("counts", [(), (0, 0)])
def test_no_jets_and_only_padding(tmp_path, counts):
    jets = read_energyflow(write(tmp_path / "a.npz", *arrays(counts)))
    assert ak.num(jets.constituents).tolist() == list(counts)


def test_unknown_particle(tmp_path):
    X, y = arrays()
    X[0, 1, 3] = -9999
    path = write(tmp_path / "a.npz", X, y)
    with pytest.raises(JetError, match="±9999"):
        read_energyflow(path)
    jets = read_energyflow(path, masses="zero")
    assert jets.constituents.pdgId[0, 1] == -9999


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"X": None}, "without 'X'; it has y"),
        ({"y": None}, "without 'y'; it has X"),
        ({"X": np.zeros((4, 20, 3))}, "shape"),
        ({"X": np.zeros((4, 80))}, "shape"),
        ({"y": np.zeros(3)}, r"y of shape \(3,\)"),
        ({"X": np.asfortranarray(np.ones((4, 20, 4)))}, "Fortran"),
        ({"X": -np.ones((4, 20, 4))}, "negative pT"),
        ({"y": np.array(["q", "g", "q", "g"])}, "'y' of type"),
        ({"X": np.array(3.0)}, "jets first"),
        ({"X": np.full((4, 20, 4), np.nan)}, "nan|NaN|finite"),
    ],
)
def test_wrong_arrays(tmp_path, change, said):
    X, y = arrays()
    content = {name: value for name, value in ({"X": X, "y": y} | change).items() if value is not None}
    np.savez(tmp_path / "wrong.npz", **content)
    with pytest.raises(JetError, match=said):
        read_energyflow(tmp_path / "wrong.npz", masses="zero")


def test_damaged(tmp_path):
    whole = write(tmp_path / "a.npz", *arrays()).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[:200])
    with pytest.raises(JetError, match="cannot be read as an npz file"):
        read_energyflow(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(whole[:120] + b"\x00" * 400 + whole[520:])
    with pytest.raises(JetError, match=r"c\.npz"):
        read_energyflow(tmp_path / "c.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_flipped_bits_are_noticed(tmp_path, save):
    path = write(tmp_path / "QG_jets.npz", *arrays(counts=(9,) * 50), save)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("X.npy")
    begin = member.header_offset + 200
    generator = np.random.default_rng(1)
    for place in generator.integers(begin, begin + member.compress_size - 300, 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(generator.integers(8))]) + whole[place + 1 :])
        with pytest.raises(JetError, match=r"QG_jets\.npz"):
            read_energyflow(path, validate=False)


def test_shape_that_does_not_fill_its_array(tmp_path):
    with zipfile.ZipFile(write(tmp_path / "whole.npz", *arrays())) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    path = tmp_path / "QG_jets.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b"(4, 20, 4)", b"(4, 10, 4)"))
    with pytest.raises(JetError, match="does not fill"):
        read_energyflow(path)
