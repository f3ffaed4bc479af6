"""`fit` on a stream: it learns, resumes bit for bit, and refuses files that have changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import awkward as ak
import pytest
import torch

from coffea_equitag import JetError, TaggerError, fit, load, readers
from coffea_equitag.evaluation.metrics import measure
from coffea_equitag.training.loop.module import Training
from interrupted_runs import SETTINGS, CutOffError, assert_same_end, cut_off_at


@pytest.fixture(scope="module")
def path(tmp_path_factory, toy):
    path = tmp_path_factory.mktemp("jets") / "jets.parquet"
    ak.to_parquet(toy(100), path, row_group_size=11)
    return path


@pytest.fixture(scope="module")
def unbroken(path, tmp_path_factory, build_small):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("unbroken") / "run"
    fit(build_small(dropout=0.3), readers.stream(path, shuffle=40), out=out, **SETTINGS)
    torch.set_num_threads(threads)
    return out


def test_kill_9_in_mid_epoch(unbroken, path, tmp_path, build_small):
    script = Path(__file__).with_name("killed_run.py")
    words = [sys.executable, str(script), str(tmp_path / "run"), "10", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, cwd=tmp_path, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    progress = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["progress"]
    # 91 jets to train on: 6 batches per epoch
    assert (progress["epoch"], progress["batches"]) == (1, 3)
    model = build_small(dropout=0.3)
    torch.nn.init.zeros_(model.embedding.weight)
    # other workers, and the time of the file's last change, do not matter
    os.utime(path)
    fit(model, readers.stream(path, shuffle=40, workers=0), out=tmp_path / "run", **SETTINGS)
    assert_same_end(unbroken, tmp_path / "run")


@pytest.mark.parametrize("call", [1, 7])
def test_cut_off_anywhere(unbroken, path, tmp_path, monkeypatch, build_small, call):
    with monkeypatch.context() as patched:
        cut_off_at(patched, Training, "training_step", call)
        with pytest.raises(CutOffError):
            fit(build_small(dropout=0.3), readers.stream(path, shuffle=40), out=tmp_path / "run", **SETTINGS)
    fit(build_small(dropout=0.3), readers.stream(path, shuffle=40), out=tmp_path / "run", **SETTINGS)
    assert_same_end(unbroken, tmp_path / "run")


def test_it_learns_and_its_metrics_are_those_of_the_jets(path, tmp_path, toy, build_small):
    settings = {"batch_size": 16, "seed": 4, "device": "cpu", "progress": False, "epochs": 6, "learning_rate": 3e-3}
    other = tmp_path / "other.parquet"
    ak.to_parquet(toy(80, seed=3), other, row_group_size=16)
    model = build_small()
    tagger = fit(model, readers.stream(path), validation=readers.stream(other), out=tmp_path / "one", **settings)
    jets = readers.read_jets(other)
    measured = measure(tagger(jets), jets.label)
    assert tagger.card.metrics["auc"] == pytest.approx(measured.auc, abs=1e-12)
    assert measured.auc > 0.9
    assert tagger.card.training.num_jets == 100
    assert tagger.card.training.num_validation_jets == 80
    # jets in memory to validate with, and the other way round
    again = fit(build_small(), readers.stream(path), validation=jets, out=tmp_path / "two", **settings)
    assert again.card.metrics == tagger.card.metrics
    fit(build_small(), jets, validation=readers.stream(path), out=tmp_path / "three", **(settings | {"epochs": 1}))


def test_files_that_change(unbroken, path, tmp_path, monkeypatch, toy, build_small):
    mine = tmp_path / "jets.parquet"
    mine.write_bytes(path.read_bytes())
    out = tmp_path / "run"
    begin = Training.on_train_batch_start

    def change(self: Training, batch: object, index: int) -> None:
        if (self.progress.epoch, self.progress.batches) == (1, 0):
            ak.to_parquet(toy(100, seed=1), mine, row_group_size=11)
        begin(self, batch, index)

    monkeypatch.setattr(Training, "on_train_batch_start", change)
    with pytest.raises(JetError, match=r"jets\.parquet, which has changed since the stream was opened"):
        fit(build_small(dropout=0.3), readers.stream(mine, shuffle=40), out=out, **SETTINGS)
    with pytest.raises(TaggerError, match=r"jets\.training\.files\.jets\.parquet"):
        fit(build_small(dropout=0.3), readers.stream(mine, shuffle=40), out=out, **SETTINGS)
    # put back, it is the same run
    monkeypatch.undo()
    mine.write_bytes(path.read_bytes())
    fit(build_small(dropout=0.3), readers.stream(mine, shuffle=40), out=out, **SETTINGS)
    assert_same_end(unbroken, out)


def test_another_buffer_is_another_run(unbroken, path, build_small):
    with pytest.raises(TaggerError, match=r"jets\.training\.shuffle = 41 \(stored run: 40\)"):
        fit(build_small(dropout=0.3), readers.stream(path, shuffle=41), out=unbroken, **SETTINGS)
    assert load(unbroken).card.training.data.startswith("1 file, jets.parquet")


def test_a_class_without_jets(path, tmp_path, build_small):
    background = tmp_path / "background.parquet"
    jets = readers.read_jets(path)
    ak.to_parquet(jets[jets.label == 0], background)
    with pytest.raises(JetError, match=r"no training jets of class 1 \('signal'\) among"):
        fit(build_small(), readers.stream(background), out=tmp_path / "run", **SETTINGS)
    with pytest.raises(JetError, match=r"validation = 1\.5"):
        fit(build_small(), readers.stream(path), validation=1.5, out=tmp_path / "run", **SETTINGS)
