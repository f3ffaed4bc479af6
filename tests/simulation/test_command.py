"""``equitag simulate``."""

import json

import awkward as ak
import pytest
import uproot

pytest.importorskip("pythia8mc")

from coffea_equitag import whole_file
from coffea_equitag.cli import main
from coffea_equitag.simulation import simulate


def test_parquet(tmp_path, capsys):
    path = tmp_path / "jets.parquet"
    assert main(["simulate", "top", "-n", "6", "--seed", "2", "-o", str(path)]) == 0
    assert ak.array_equal(ak.from_parquet(path), simulate("top", 6, seed=2), check_parameters=False)
    assert "6 jets of recipe top, seed 2" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


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
    ],
)
def test_refuses_and_leaves_nothing(tmp_path, capsys, recipe, n, name, words):
    (tmp_path / "folder.root").mkdir()
    assert main(["simulate", recipe, "-n", n, "-o", str(tmp_path / name)]) == 1
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.root"]


def test_folder_without_write_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_file.os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="is not writable"):
        whole_file.check_writable(tmp_path / "x.root")


def test_folder(tmp_path, capsys):
    folder = tmp_path / "new" / "jets"
    assert main(["simulate", "qg", "-n", "4", "--no-mpi", "-o", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["sample.json", "shard-00000.parquet"]
    assert "4 jets of recipe qg, seed 1" in capsys.readouterr().out
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
