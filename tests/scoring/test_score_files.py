"""Many files: one output each, resumed by hashes, failures at the end, several processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

import scoring_work
from coffea_equitag import ConstituentsWarning, Tagger, models, score_file, score_files
from coffea_equitag.cli import main
from coffea_equitag.demo import PACKAGED_FILE
from coffea_equitag.errors import JetError
from coffea_equitag.readers import nanoaod
from coffea_equitag.scoring import FailedFilesError
from coffea_equitag.scoring.manifest import MANIFEST, append_entry, read_manifest
from coffea_equitag.scoring.workers import DeadWorkerError, each
from coffea_equitag.worker_processes import available_cores, threads_per_worker
from interruptible import interruptible


def net_of(path):
    return uproot.open(path)["Events/FatJet_net"].array()


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def statuses(report):
    return [file.status for file in report.files]


@pytest.fixture
def folder(nano_writer, tmp_path):
    """A folder with three files, two of the same name."""
    for seed, name in enumerate(("a.root", "b.root", "deep/a.root")):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        nano_writer(tmp_path / "in" / name, [2, 0, 1 + seed], seed=seed)
    return tmp_path / "in"


@pytest.fixture
def score(folder, saved_tagger):
    """Score the folder into its neighbour."""

    def call(sources=folder, tagger=saved_tagger, **options):
        settings = {"name": "net", "progress": False, "chunk_size": 2, **options}
        return score_files(tagger, sources, folder.parent / "out", **settings)

    return call


OUTPUTS = ["a.root", "b.root", "deep/a.root", MANIFEST]


def test_an_output_for_each_input(score, folder, saved_tagger, tmp_path):
    report = score()
    assert files_in(tmp_path / "out") == sorted(OUTPUTS)
    assert statuses(report) == 3 * ["scored"]
    assert [file.jets for file in report.files] == [3, 4, 5]
    assert report.branches == ("FatJet_net",)
    for file in report.files:
        assert (file.events, file.unscored, file.fault) == (3, 0, None)
        score_file(saved_tagger, file.source, tmp_path / "one.root", name="net", overwrite=True, progress=False)
        assert np.allclose(
            ak.flatten(net_of(file.output)), ak.flatten(net_of(tmp_path / "one.root")), rtol=0, atol=1e-6
        )


def test_what_is_complete_is_kept(score, folder, tmp_path, monkeypatch):
    score()
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in (tmp_path / "out").rglob("*.root")}
    (tmp_path / "out" / "b.root").unlink()
    (tmp_path / "in" / "b.root").touch()
    assert statuses(score()) == ["kept", "scored", "kept"]
    for path, state in before.items():
        if path.name != "b.root":
            assert (path.stat().st_mtime_ns, path.stat().st_ino) == state
    assert score().scored == ()
    # hashes decide where the times of files do not
    for path in (tmp_path / "in").rglob("*.root"):
        os.utime(path)
    shutil.copytree(tmp_path / "out", tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "copy").rename(tmp_path / "out")
    assert statuses(score()) == 3 * ["kept"]


def test_what_is_out_of_date_is_refused_or_scored_again(score, folder, nano_writer, tmp_path):
    score()
    torch.manual_seed(5)
    other = Tagger.from_model(models.build("lorentznet", n_classes=2), name="other", classes=("qcd", "top"))
    nano_writer(folder / "b.root", [1, 1, 1], seed=9)
    with uproot.update(tmp_path / "out" / "a.root") as file:
        file["note"] = "changed"
    (tmp_path / "out" / "deep" / "a.root").rename(tmp_path / "out" / "deep" / "b.root")
    nano_writer(folder / "deep" / "b.root", [1])
    content = {name: (tmp_path / "out" / name).read_bytes() for name in files_in(tmp_path / "out")}
    with pytest.raises(JetError) as caught:
        score()
    message = str(caught.value)
    assert "3 outputs are there already" in message
    assert "out/a.root: it has changed since it was written" in message
    assert f"out/b.root: its input was another ({folder}/b.root, sha256:" in message
    assert f"out/deep/b.root: {MANIFEST} has no entry for it" in message
    for options, why in [
        ({"tagger": other, "name": "net"}, "it was scored by another tagger (small_net, "),
        ({"friend": True, "branches": None}, "it was written with other options (friend=False)"),
        ({"name": "new"}, "it was written with other options (name='net')"),
    ]:
        with pytest.raises(JetError) as caught:
            score(**options)
        assert why in str(caught.value)
        assert "--overwrite" in str(caught.value)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files_in(tmp_path / "out")} == content
    report = score(overwrite=True)
    assert statuses(report) == 4 * ["scored"]
    assert statuses(score()) == 4 * ["kept"]
    assert statuses(score(tagger=other, overwrite=True)) == 4 * ["scored"]


def test_the_manifest(score, folder, saved_tagger, tmp_path):
    score()
    lines = [json.loads(line) for line in (tmp_path / "out" / MANIFEST).read_text().splitlines()]
    assert [line["output"] for line in lines] == ["a.root", "b.root", "deep/a.root"]
    assert lines[0]["tagger_hash"] == saved_tagger.content_hash
    assert lines[0]["input"] == str(folder / "a.root")
    entries = read_manifest(tmp_path / "out")
    with (tmp_path / "out" / MANIFEST).open("ab") as file:
        file.write(b'{"output": "torn')
    assert read_manifest(tmp_path / "out") == entries
    append_entry(tmp_path / "out", entries["a.root"].model_copy(update={"jets": 7}))
    assert read_manifest(tmp_path / "out")["a.root"].jets == 7
    assert statuses(score()) == 3 * ["kept"]


def test_all_inputs_are_checked_first(score, folder, tmp_path):
    (folder / "a.root").write_bytes(100 * b"not ROOT")
    (folder / "b.root").write_bytes((folder / "b.root").read_bytes()[:-10])
    with pytest.raises(JetError, match="2 of 3 inputs cannot be scored, and nothing has been written") as caught:
        score()
    assert "a.root, which cannot be read" in str(caught.value)
    assert "b.root, which cannot be read" in str(caught.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(FailedFilesError, match="2 of 3 files were not scored") as failed:
        score(keep_going=True)
    assert statuses(failed.value.report) == ["failed", "failed", "scored"]
    assert files_in(tmp_path / "out") == ["deep/a.root", MANIFEST]


def test_names_that_collide(score, folder, tmp_path):
    with pytest.raises(JetError, match=r"out/a\.root: .*in/a\.root, .*in/deep/a\.root\n"):
        score([folder / "a.root", folder / "deep" / "a.root"])
    with pytest.raises(JetError, match="which is also the output"):
        score_files(load_nothing(), folder / "a.root", folder, progress=False)
    with pytest.raises(JetError, match="workers=0"):
        score(workers=0)
    assert not (tmp_path / "out").exists()


def load_nothing():
    class Tagger:
        name, classes = "net", ("a", "b")

        def __call__(self, jets):
            return jets.pt * 0

    return Tagger()


def test_failures_are_gathered(score, folder, tmp_path):
    """One file fails while it is scored: the others are there, and the next call scores it."""
    broken = []

    def reader(events, collection):
        if len(events.FatJet) and ak.sum(ak.num(events.FatJet)) == 2 and not broken:
            broken.append(1)
            raise RuntimeError("no magnet current")
        return nanoaod(events, collection)

    with pytest.raises(FailedFilesError, match="1 of 3 files were not scored:\n  RuntimeError: no magnet") as caught:
        score(reader=reader)
    assert statuses(caught.value.report) == ["failed", "scored", "scored"]
    assert files_in(tmp_path / "out") == ["b.root", "deep/a.root", MANIFEST]
    assert statuses(score(reader=reader)) == ["scored", "kept", "kept"]


def test_interrupted(score, folder, tmp_path):
    """What was complete is there; nothing else is."""
    calls = []

    def reader(events, collection):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return nanoaod(events, collection)

    with pytest.raises(KeyboardInterrupt):
        score(reader=reader)
    assert files_in(tmp_path / "out") == ["a.root", MANIFEST]
    assert statuses(score()) == ["kept", "scored", "scored"]


def test_one_warning_for_all_files(score, folder, nano_writer, tmp_path):
    """Jets without candidates in every chunk of every file."""
    for path in folder.rglob("*.root"):
        with uproot.open(path) as file:
            columns = {b.name: b.array() for b in file["Events"].branches}
        columns["FatJet_nConstituents"] = columns["FatJet_nConstituents"] + np.uint8(2)
        jagged = {"FatJet", "PFCands", "FatJetPFCands"}
        data = {name: column for name, column in columns.items() if name.split("_")[0] not in jagged}
        data = {name: column for name, column in data.items() if name[1:] not in jagged}
        for table in jagged:
            members = {name: c for name, c in columns.items() if name.startswith(f"{table}_")}
            data[table] = ak.zip({name[len(table) + 1 :]: c for name, c in members.items()})
        with uproot.recreate(path) as file:
            types = {n: (c.type.content if c.ndim > 1 else c.type.content.primitive) for n, c in data.items()}
            tree = file.mktree("Events", types, field_name=lambda outer, inner: f"{outer}_{inner}")
            tree.extend(data)
    with pytest.warns(ConstituentsWarning) as caught:
        score(chunk_size=1)
    assert len(caught) == 1
    text = "of 12 FatJet, 3 whose candidates are not stored: they get no score; 9 with another number of candidates"
    assert str(caught[0].message).startswith(text)
    with pytest.warns(ConstituentsWarning) as one:
        score_file(load_nothing(), folder / "b.root", tmp_path / "one.root", chunk_size=1, progress=False)
    assert len(one) == 1


def test_several_processes(score, folder, tmp_path, monkeypatch):
    """With a tagger that exists in memory alone."""
    monkeypatch.setenv("COFFEA_EQUITAG_TAGGERS", str(tmp_path / "taggers"))
    torch.manual_seed(3)
    tagger = Tagger.from_model(models.build("pfn", phi=(8,), f=(8,)), name="unsaved", classes=("qcd", "top"))
    report = score(tagger=tagger, workers=2)
    assert statuses(report) == 3 * ["scored"]
    assert files_in(tmp_path / "out") == sorted(OUTPUTS)
    several = {file.output: net_of(file.output) for file in report.files}
    shutil.rmtree(tmp_path / "out")
    for file in score(tagger=tagger).files:
        assert np.allclose(ak.flatten(several[file.output]), ak.flatten(net_of(file.output)), rtol=0, atol=1e-6)


def test_what_cannot_be_sent_to_other_processes(score, tmp_path):
    with pytest.raises(JetError, match="a reader that is a function of a module"):
        score(reader=lambda events, jets: nanoaod(events, jets), workers=2)
    assert not (tmp_path / "out").exists()


def test_each():
    assert sorted(each(scoring_work.square, range(5), 2, 1)) == [(k, k * k) for k in range(5)]
    found = dict(each(scoring_work.dies_of_three, range(6), 2, 1))
    assert isinstance(found.pop(3), DeadWorkerError)
    assert found == {k: k for k in range(6) if k != 3}
    with pytest.raises(DeadWorkerError, match="__name__"):
        list(each(scoring_work.dies, range(2), 2, 1))
    assert dict(each(scoring_work.threads, range(1), 2, 1)) == {0: ("1", 1)}


def test_threads():
    assert threads_per_worker(1, most=1) == 1
    assert threads_per_worker(10**6) == 1
    assert threads_per_worker(1) == available_cores()


def test_command(folder, saved_tagger, tmp_path, capsys):
    output = tmp_path / "out"
    words = ["score", str(saved_tagger.path), f"{folder}/*.root", "-o", str(output), "--name", "net", "--quiet"]
    assert main(words) == 0
    assert f"{output}: 2 files scored: 6 events, 7 jets, FatJet_net" in capsys.readouterr().out
    (folder / "a.root").write_bytes(b"no ROOT")
    (output / "b.root").unlink()
    assert main([*words, "--keep-going", "--overwrite"]) == 1
    shown = capsys.readouterr()
    assert f"{output}: 1 files scored: 3 events" in shown.out
    assert "1 of 2 files were not scored" in shown.err
    assert "again, for what is missing: equitag score " in shown.err
    assert f"'{folder}/*.root' -o {output} --name net --quiet --keep-going --overwrite" in shown.err
    assert main([*words[:3], "-o", str(tmp_path / "x.root"), "--workers", "2"]) == 1
    assert "a folder of outputs" in capsys.readouterr().err


def test_a_script_goes_on_after_failures(score, folder):
    """The error holds the report and goes through pickle, as from a worker."""
    import pickle

    (folder / "a.root").write_bytes(b"no ROOT")
    with warnings.catch_warnings(), pytest.raises(FailedFilesError) as caught:
        score(keep_going=True)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.report == caught.value.report
    assert load_nothing().name == "net"


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_an_interrupt_leaves_nothing_half_written(tmp_path):
    """Ctrl-C reaches the command and its workers, in the middle of files."""
    torch.manual_seed(3)
    tagger = Tagger.from_model(models.build("pfn", phi=(8,), f=(8,)), name="net", classes=("qcd", "top"))
    tagger.save(tmp_path / "tagger")
    for name in ("a.root", "b.root"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(PACKAGED_FILE, tmp_path / "in" / name)
    words = ["score", "tagger", "in", "-o", "out", "--workers", "2", "--chunk", "1", "--device", "cpu", "--quiet"]
    command = [sys.executable, "-m", "coffea_equitag", *words]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    ) as process:
        deadline = time.monotonic() + 240
        while not list((tmp_path / "out").glob(".*.part.root")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        assert "equitag score: interrupted" in process.communicate(timeout=120)[1]
        assert process.returncode == 130
    assert files_in(tmp_path / "out") == []
