"""JetClass: ROOT files in the published layout."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.readers import read_jetclass
from coffea_equitag.readers.datasets.jetclass import CLASSES

FLAGS = ["isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon"]


def columns(counts=(5, 1, 3), classes=(0, 8, 9), seed=0):
    """Branches of the published files."""
    rng = np.random.default_rng(seed)
    total = sum(counts)
    p = rng.normal(0, 30, (total, 3))
    flat = {
        "part_px": p[:, 0],
        "part_py": p[:, 1],
        "part_pz": p[:, 2],
        "part_energy": np.sqrt((p**2).sum(axis=1)) * 1.001,
        "part_deta": p[:, 0] / 100,
        "part_dphi": p[:, 1] / 100,
        "part_d0val": p[:, 2] / 1000,
        "part_d0err": np.full(total, 0.01),
        "part_dzval": p[:, 0] / 1000,
        "part_dzerr": np.full(total, 0.02),
        "part_charge": np.resize([1, 0, 0, -1, 1], total),
    }
    flat |= {f"part_{flag}": np.resize(np.eye(5, dtype=int)[i], total) for i, flag in enumerate(FLAGS)}
    table = {
        name: ak.unflatten(np.asarray(values, dtype=np.float32), np.asarray(counts, dtype=np.int64))
        for name, values in flat.items()
    }
    for name, value in {"pt": 600.0, "eta": 0.5, "phi": 1.0, "energy": 800.0, "nparticles": 3, "sdmass": 80.0}.items():
        table[f"jet_{name}"] = np.full(len(counts), value, dtype=np.float32)
    for i, name in enumerate(CLASSES):
        table[f"label_{name}"] = (np.asarray(classes, dtype=int) == i).astype(np.float32 if i == 0 else np.bool_)
    return table


def write(path, table):
    types = {
        name: ak.Array(values).type.content if isinstance(values, ak.Array) else values.dtype
        for name, values in table.items()
    }
    with uproot.recreate(path) as file:
        file.mktree("tree", types)
        file["tree"].extend(table)
    return path


def test_columns(tmp_path):
    table = columns()
    jets = read_jetclass(write(tmp_path / "HToBB_000.root", table))
    assert jets.label.tolist() == [0, 8, 9]
    assert [CLASSES[i] for i in jets.label] == ["QCD", "Tbqq", "Tbl"]
    assert not [name for name in jets.fields if name.startswith("label_")]
    assert ak.num(jets.constituents).tolist() == [5, 1, 3]
    assert jets.constituents.px.tolist() == table["part_px"].tolist()
    assert jets.constituents.E.tolist() == table["part_energy"].tolist()
    assert jets.constituents.d0.tolist() == table["part_d0val"].tolist()
    assert jets.constituents.dzErr.tolist() == table["part_dzerr"].tolist()
    assert jets.constituents.pdgId[0].tolist() == [211, 130, 22, 11, -13]
    np.testing.assert_allclose(jets.mass, np.sqrt(800**2 - (600 * np.cosh(0.5)) ** 2), rtol=1e-5)
    np.testing.assert_allclose(jets.px, 600 * np.cos(1.0), rtol=1e-6)  # still a vector


def test_agrees_with_read_jets(tmp_path):
    path = write(tmp_path / "a.root", columns())
    jets, flat = read_jetclass(path), read_jets(path)
    assert jets.constituents.tolist() == flat.constituents.tolist()
    assert flat.label_Tbqq.tolist() == [0, 1, 0]


def test_parquet(tmp_path):
    table = columns()
    ak.to_parquet(ak.zip(table, depth_limit=1), tmp_path / "a.parquet")
    by_root = read_jetclass(write(tmp_path / "a.root", table))
    assert read_jetclass(tmp_path / "a.parquet").label.tolist() == by_root.label.tolist()


def test_ranges(tmp_path):
    paths = [write(tmp_path / f"{i}.root", columns(seed=i)) for i in range(2)]
    whole = read_jetclass(paths)
    assert len(whole) == 6
    assert read_jetclass(str(tmp_path / "*.root"), entry_start=2, entry_stop=5).tolist() == whole[2:5].tolist()
    assert len(read_jetclass(paths, entry_start=3, entry_stop=3)) == 0


def test_no_jets_and_an_empty_jet(tmp_path):
    assert len(read_jetclass(write(tmp_path / "none.root", columns((), ())))) == 0
    jets = read_jetclass(write(tmp_path / "empty.root", columns((0, 2), (1, 2))))
    assert ak.num(jets.constituents).tolist() == [0, 2]


def test_missing_label_lists_what_there_is(tmp_path):
    table = columns()
    del table["label_Hcc"]
    with pytest.raises(JetError, match=r"without label_Hcc; besides .* label_QCD"):
        read_jetclass(write(tmp_path / "a.root", table))


@pytest.mark.parametrize("value", [0, 1])
def test_no_class_or_two(tmp_path, value):
    table = columns(classes=(0, 8, 9))
    table["label_Hbb"] = np.array([0, 1, 0], dtype=np.bool_)
    table["label_Tbqq"] = np.array([0, value, 0], dtype=np.bool_)
    table["label_Hbb"] &= bool(value)
    with pytest.raises(JetError, match=f"jet 1 of .* belongs to {2 * value} classes"):
        read_jetclass(write(tmp_path / "a.root", table))
