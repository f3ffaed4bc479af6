"""Samples in folders: the same bytes for any workers, interrupted or not."""

import json
import multiprocessing
import shutil
import time
from dataclasses import replace

import awkward as ak
import pyarrow.parquet
import pytest

pytest.importorskip("pythia8mc")

from coffea_equitag import read_jets
from coffea_equitag.cli import main
from coffea_equitag.errors import JetError, SampleWarning
from coffea_equitag.simulation import (
    RECIPES,
    content_hash,
    provenance,
    read_provenance,
    sample_folder,
    sample_request,
    simulate,
    simulate_file,
    simulate_folder,
)
from coffea_equitag.simulation.validation.jet_sample import jet_files

N = 7


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(sample_request, "SHARD", 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_request, "SHARD", 3)
        return simulate_folder("qg", N, tmp_path_factory.mktemp("sample") / "jets", seed=6)


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_holds_the_jets(folder):
    jets = read_jets(folder)
    assert len(jets) == N
    assert len(list(folder.glob("shard-*.parquet"))) == 3
    facts = json.loads((folder / "sample.json").read_text())
    assert sum(made["selected"] for made in facts["yields"]) >= N
    assert {made["process"] for made in facts["yields"]} == {"Z quark", "Z gluon"}


def test_same_bytes_with_two_workers(folder, tmp_path):
    assert _bytes(simulate_folder("qg", N, tmp_path / "again", seed=6, workers=2)) == _bytes(folder)


def test_same_bytes_when_the_disk_was_full_and_resumed(folder, tmp_path, monkeypatch):
    target, seen = tmp_path / "jets", []
    write = sample_folder.write_bytes

    def full(path, content):
        if path.name == "shard-00001.parquet":
            path.with_name(".shard-00001.77.part.parquet").write_bytes(content[:100])
            raise OSError("No space left on device")
        write(path, content)

    monkeypatch.setattr(sample_folder, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        simulate_folder("qg", N, target, seed=6)
    assert not (target / "shard-00001.parquet").exists()
    monkeypatch.setattr(sample_folder, "write_bytes", write)
    simulate_folder("qg", N, target, seed=6, progress=lambda done, n: seen.append((done, n)))
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert _bytes(target) == _bytes(folder)


def test_nothing_is_made_twice(folder, monkeypatch):
    monkeypatch.setattr(sample_folder, "jet_shard", None)
    before = _bytes(folder)
    assert _bytes(simulate_folder("qg", N, folder, seed=6)) == before


def test_is_simulate_in_files(folder, tmp_path):
    jets = simulate("qg", N, seed=6)
    assert ak.array_equal(read_jets(folder), jets)
    path = simulate_file("qg", N, tmp_path / "jets.parquet", seed=6)
    assert ak.array_equal(read_jets(path), jets)
    assert pyarrow.parquet.read_metadata(path).num_row_groups == 3
    facts = json.loads((folder / "sample.json").read_text())
    assert facts.pop("content_hash") == content_hash([jets])
    assert (
        facts == jets.attrs["coffea_equitag"] == read_provenance(path) == ak.from_parquet(path).attrs["coffea_equitag"]
    )


def test_every_reader_finds_how_it_was_made(folder):
    path = folder / "shard-00001.parquet"
    facts = json.loads(pyarrow.parquet.read_schema(path).metadata[b"coffea_equitag"])
    assert facts == read_provenance(path) == ak.from_parquet(path).attrs["coffea_equitag"]
    assert (facts["shard"], facts["recipe"]["name"], facts["seed"]) == (1, "qg", 6)
    # types that every Parquet reader knows
    kinds = {str(field.type).split("<")[0] for field in pyarrow.parquet.read_schema(path)}
    assert kinds == {"float", "int32", "int64", "list"}


def test_events_are_numbered_over_all_shards(folder):
    jets = read_jets(folder)
    assert jets.event.to_list() == list(range(1, N + 1))
    assert jets.weight.to_list() == [1.0] * N
    assert read_jets(folder / "shard-00001.parquet").event.to_list() == [4, 5, 6]


def _interrupted(folder, target):
    """The sample without its second shard, as an interrupted call leaves it."""
    shutil.copytree(folder, target)
    (target / "shard-00001.parquet").unlink()
    manifest = target / "sample.json"
    facts = json.loads(manifest.read_text())
    command = f"equitag simulate qg -n {N} --seed 6 -o {target}"
    unfinished = {name: value for name, value in facts.items() if name not in ("yields", "content_hash")}
    manifest.write_text(json.dumps(unfinished | {"resume": command}))
    return command


def test_what_was_interrupted_is_not_read_as_whole(folder, tmp_path, capsys):
    target = tmp_path / "a b"
    again = _interrupted(folder, target)
    expected = rf"a b holds a simulation that was not completed: 2 of 3 shards, 4 of {N} jets[\s\S]*{again}"
    with pytest.raises(JetError, match=expected):
        read_jets(target)
    for words in (
        ["train", "pfn", "-o", str(tmp_path / "run")],
        ["evaluate", "top-lorentznet", "-o", str(tmp_path / "out")],
    ):
        assert main([*words[:2], str(target), *words[2:]]) == 1
        assert "2 of 3 shards" in capsys.readouterr().err
    with pytest.warns(SampleWarning, match="2 of 3 shards"):
        assert len(read_jets(target / "*.parquet")) == 4
    with pytest.raises(JetError, match="2 of 3 shards"):
        jet_files(target)
    # one shard is what it says
    assert len(read_jets(target / "shard-00000.parquet")) == 3
    # it is continued by the command, and then whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_folder, "_command", lambda *_: again)
        simulate_folder("qg", N, target, seed=6)
    assert _bytes(target) == _bytes(folder)
    (target / "shard-00002.parquet").unlink()
    with pytest.raises(JetError, match=rf"has lost files: 2 of 3 shards, 6 of {N} jets"):
        read_jets(target)


def test_the_manifest_has_the_command_until_it_is_complete(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample_folder, "run_shards", stop)
    own = replace(RECIPES["qg"], name="mine")
    for recipe, options, words in (
        ("qg", {}, "equitag simulate qg -n 7 --seed 6 -o "),
        (
            "top",
            {"mpi": False, "particle_level": True},
            "equitag simulate top -n 7 --seed 6 --no-mpi --particle-level ",
        ),
        ("top-particle", {}, "equitag simulate top-particle -n 7 --seed 6 -o "),
        (own, {}, "simulate_folder with this recipe, n=7, seed=6"),
        (replace(RECIPES["qg"], radius=0.5), {}, "simulate_folder with this recipe"),
    ):
        target = tmp_path / str(len(list(tmp_path.iterdir())))
        with pytest.raises(KeyboardInterrupt):
            simulate_folder(recipe, N, target, seed=6, **options)
        assert json.loads((target / "sample.json").read_text())["resume"].startswith(words)
        with pytest.raises(JetError, match="0 of 3 shards"):
            read_jets(target)


def test_folders_of_others_are_read(folder, tmp_path):
    shutil.copy(folder / "shard-00000.parquet", tmp_path / "x.parquet")
    for content in ("", "[]", "{}", '{"n": "many", "shard_size": 3}', '{"n": 3, "shard_size": 0}', "[" * 100_000):
        (tmp_path / "sample.json").write_text(content)
        assert len(read_jets(tmp_path)) == 3


def test_changed_and_damaged_files_are_found(folder, tmp_path):
    target = tmp_path / "jets"
    shutil.copytree(folder, target)
    shutil.copy(target / "shard-00001.parquet", target / "shard-00000.parquet")
    with pytest.raises(JetError, match="are not those it was made with"):
        simulate_folder("qg", N, target, seed=6)
    (target / "shard-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(JetError, match=r"shard-00000.parquet, which cannot be read[\s\S]*delete it"):
        simulate_folder("qg", N, target, seed=6)
    (target / "shard-00000.parquet").unlink()
    assert _bytes(simulate_folder("qg", N, target, seed=6)) == _bytes(folder)
    (target / "sample.json").write_text('{"recipe": ')
    with pytest.raises(JetError, match=r"sample.json, which cannot be read"):
        simulate_folder("qg", N, target, seed=6)


def test_other_software_may_not_help(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_versions", lambda: {"numpy": "0.1"})
    with pytest.raises(JetError, match=r"a worker with numpy 0.1\n  expected: numpy 2"):
        provenance.check_software({"numpy": "2"})


def test_files_of_others_do_not_say_how_they_were_made(tmp_path):
    ak.to_parquet(ak.Array([1]), tmp_path / "other.parquet")
    (tmp_path / "bad.root").write_bytes(b"root")
    with pytest.raises(JetError, match="has no record of how"):
        read_provenance(tmp_path / "other.parquet")
    for name in ("bad.root", "nothing.parquet"):
        with pytest.raises(JetError, match="cannot be read"):
            read_provenance(tmp_path / name)


@pytest.mark.parametrize(("change", "word"), [({"seed": 7}, "seed"), ({"mpi": False}, "recipe"), ({"n": 9}, "n")])
def test_another_sample_is_refused(folder, change, word):
    with pytest.raises(JetError, match=f"another {word}"):
        simulate_folder("qg", folder=folder, **({"seed": 6, "n": N} | change))


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


def test_workers_end_with_an_interrupted_call(tmp_path, monkeypatch):
    write = sample_folder.write_bytes

    def interrupted(path, content):
        if path.name != "sample.json":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(sample_folder, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt) as kept:  # a notebook keeps the traceback, and all that its frames hold
        simulate_folder("qg", N, tmp_path / "jets", seed=6, workers=2)
    end = time.monotonic() + 60
    while multiprocessing.active_children():
        assert time.monotonic() < end, "workers outlive the call"
        time.sleep(0.05)
    assert kept.value is not None
