"""``equitag simulate``."""

import json
import sys

import awkward as ak
import pytest
import uproot

pytest.importorskip("pythia8mc")

from coffea_equitag import atomic_file
from coffea_equitag.cli import main
from coffea_equitag.simulation import simulate


def test_parquet(tmp_path, capsys):
    path = tmp_path / "jets.parquet"
    assert main(["simulate", "qg", "-n", "6", "--seed", "2", "-o", str(path)]) == 0
    assert ak.array_equal(ak.from_parquet(path), simulate("qg", 6, seed=2), check_parameters=False)
    assert "6 jets of recipe qg, seed 2" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]
    before = path.read_bytes()
    assert main(["simulate", "top", "-n", "2", "-o", str(path)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert main(["simulate", "qg", "-n", "2", "-o", str(path), "--overwrite"]) == 0
    assert len(ak.from_parquet(path)) == 2


def test_root(tmp_path):
    path = tmp_path / "events.root"
    assert main(["simulate", "top", "-n", "5", "-o", str(path)]) == 0
    with uproot.open(path) as file:
        assert file["Events"].num_entries == 5
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("recipe", "n", "name", "words"),
    [
        ("bottom", "5", "x.parquet", "no recipe 'bottom'"),
        ("top", "0", "x.parquet", "n = 0"),
        ("top", "-2", "x.root", "n = -2"),
        ("top", "5", "x.csv", "an output named x.csv"),
        ("top", "5", "nowhere/x.root", "there is no folder"),
        ("top", "5", "folder.root", "is a folder"),
        ("top-1M", "5", "new", "no recipe 'top-1M'"),
    ],
)
def test_refuses_and_leaves_nothing(tmp_path, capsys, recipe, n, name, words):
    (tmp_path / "folder.root").mkdir()
    assert main(["simulate", recipe, "-n", n, "-o", str(tmp_path / name)]) == 1
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.root"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["qg"], "no output"),
        (["-o", "x.parquet"], "no RECIPE"),
        (["qg", "-o", "x.parquet", "-j", "0"], "workers = 0"),
        (["qg", "-o", "x", "-j", "-3"], "workers = -3"),
        (["qg", "-o", "x", "--seed", "-1"], "seed = -1"),
        (["qg", "-o", "x.root", "--seed", "99999999999999999999"], "a whole number from 0 to 9223372036854775807"),
    ],
)
def test_refuses_arguments(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *arguments]) == 1
    err = capsys.readouterr().err
    assert words in err
    assert "expected:" in err
    assert "to fix:" in err
    assert list(tmp_path.iterdir()) == []


def test_refuses_what_is_no_number(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["simulate", "qg", "-n", "many", "-o", "x"])
    assert "argument -n: invalid int value: 'many'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x.parquet", "x.root", "new"])
def test_missing_pythia(tmp_path, capsys, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    for recipe in ("qg", *(["qg-100k"] if name == "new" else [])):
        assert main(["simulate", recipe, "-o", str(tmp_path / name)]) == 1
        assert "pip install 'coffea-equitag[simulate]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_dask_without_a_scheduler(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["simulate", "qg", "-o", str(tmp_path / "new"), "--dask", "tcp://127.0.0.1:1"]) == 1
    assert "pip install 'coffea-equitag[dask]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_folder_without_write_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_file.os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="is not writable"):
        atomic_file.check_writable(tmp_path / "x.root")


def test_folder(tmp_path, capsys):
    folder = tmp_path / "new" / "jets"
    assert main(["simulate", "qg", "-n", "4", "--no-mpi", "-o", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["sample.json", "shard-00000.parquet"]
    out = capsys.readouterr().out
    assert "4 jets of recipe qg, seed 1" in out
    assert "content sha256:" in out
    assert main(["simulate", "qg", "-n", "4", "-o", str(folder)]) == 1
    assert "holds a sample with another recipe" in capsys.readouterr().err


def test_metadata_in_the_file(tmp_path):
    path = tmp_path / "jets.parquet"
    assert main(["simulate", "top", "-n", "2", "--particle-level", "-o", str(path)]) == 0
    facts = ak.from_parquet(path).attrs["coffea_equitag"]
    assert facts["recipe"]["detector"] is None
    events = tmp_path / "events.root"
    assert main(["simulate", "top", "-n", "2", "-o", str(events)]) == 0
    with uproot.open(events) as file:
        assert json.loads(str(file["coffea_equitag"]))["recipe"]["detector"] == "ATLAS"
