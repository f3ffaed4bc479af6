"""Samples in folders: the same bytes whatever the workers, killed and resumed or not."""

import json

import awkward as ak
import pytest

pytest.importorskip("pythia8mc")

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.simulation import production, sample_folder, simulate_folder

N = 7


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(production, "SHARD", 3)
    monkeypatch.setattr(sample_folder, "SHARD", 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(production, "SHARD", 3)
        patch.setattr(sample_folder, "SHARD", 3)
        return simulate_folder("btag", N, tmp_path_factory.mktemp("sample") / "jets", seed=6)


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_holds_the_jets(folder):
    jets = read_jets(folder / "*.parquet")
    assert len(jets) == N
    assert "ip" in jets.constituents.fields
    assert len(list(folder.glob("shard-*.parquet"))) == 3
    facts = json.loads((folder / "sample.json").read_text())
    assert sum(made["selected"] for made in facts["yields"]) >= N
    assert {made["process"] for made in facts["yields"]} == {"ttbar", "QCD"}


def test_same_bytes_with_two_workers(folder, tmp_path):
    assert _bytes(simulate_folder("btag", N, tmp_path / "again", seed=6, workers=2)) == _bytes(folder)


def test_same_bytes_when_killed_and_resumed(folder, tmp_path, monkeypatch):
    target, seen = tmp_path / "jets", []
    write = sample_folder.write_parquet

    def full(path, jets):
        if path.name == "shard-00001.parquet":
            path.with_name(".shard-00001.77.part.parquet").write_bytes(b"half")
            raise OSError("No space left on device")
        write(path, jets)

    monkeypatch.setattr(sample_folder, "write_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        simulate_folder("btag", N, target, seed=6)
    assert not (target / "shard-00001.parquet").exists()
    monkeypatch.setattr(sample_folder, "write_parquet", write)
    simulate_folder("btag", N, target, seed=6, progress=lambda done, n: seen.append((done, n)))
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert _bytes(target) == _bytes(folder)


def test_nothing_is_made_twice(folder, monkeypatch):
    monkeypatch.setattr(sample_folder, "jet_shard", None)
    before = _bytes(folder)
    assert _bytes(simulate_folder("btag", N, folder, seed=6)) == before


@pytest.mark.parametrize(
    ("change", "word"), [({"seed": 7}, "seed"), ({"mpi": False}, "recipe"), ({"particle_level": True}, "recipe")]
)
def test_another_sample_is_refused(folder, change, word):
    with pytest.raises(JetError, match=f"another {word}"):
        simulate_folder("btag", N, folder, **({"seed": 6} | change))


def test_refuses_files_and_foreign_folders(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(JetError, match="is a file"):
        simulate_folder("qg", 2, tmp_path / "file", seed=1)
    ak.to_parquet(ak.Array([1]), tmp_path / "other.parquet")
    with pytest.raises(JetError, match=r"no sample\.json"):
        simulate_folder("qg", 2, tmp_path, seed=1)
    with pytest.raises(JetError, match="n = 0"):
        simulate_folder("qg", 0, tmp_path / "new", seed=1)
    assert not (tmp_path / "new").exists()
