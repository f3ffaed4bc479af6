"""Early stopping, time limits, and more epochs of a run."""

from __future__ import annotations

import json
import math
import os
import signal

import pytest
import torch

from coffea_equitag import TaggerError, TimeLimitError, fit, load, models
from coffea_equitag.cli import main
from coffea_equitag.training.comparison import FinishedRun
from coffea_equitag.training.loop import stopping
from coffea_equitag.training.loop.module import Training
from coffea_equitag.training.loop.stopping import Clock, Stopping, seconds_of

SETTINGS = {"batch_size": 16, "device": "cpu", "progress": False, "seed": 4, "save_every": 1e9}


def build():
    torch.manual_seed(1)
    return models.build("pfn", phi=(6,), f=(6,))


def last(run):
    return torch.load(run / "last.ckpt", weights_only=True)


def rows(*losses):
    return [{"epoch": k + 1, "loss": loss, "auc": -loss} for k, loss in enumerate(losses)]


def test_patience():
    loss = Stopping(2, "loss", lower_is_better=True)
    assert not loss.ends([])
    assert not loss.ends(rows(3, 2, 1, 1.5))
    assert loss.ends(rows(3, 2, 1, 1.5, 1.0))
    assert not loss.ends(rows(3, 2, 1, 1.5, 0.9))
    assert Stopping(2, "auc", lower_is_better=False).ends(rows(1, 2, 3))
    assert not Stopping(None, "loss", lower_is_better=True).ends(rows(1, 2, 3, 4))
    # counted anew where a run was given more epochs
    assert not Stopping(2, "loss", True, since=3).ends(rows(1, 2, 3, 4))
    assert Stopping(2, "loss", True, since=3).ends(rows(1, 2, 3, 4, 5))


def test_a_run_stops_early_and_stays_stopped(tmp_path, toy, monkeypatch):
    # the loss of validation grows from the second epoch on
    finish = Training.on_validation_epoch_end

    def worse(self):
        finish(self)
        self.row["loss"] = abs(self.row["epoch"] - 2.0)

    monkeypatch.setattr(Training, "on_validation_epoch_end", worse)
    settings = SETTINGS | {"epochs": 9, "patience": 2, "out": tmp_path / "run"}
    fit(build(), toy(60), **settings)
    assert [row["epoch"] for row in last(tmp_path / "run")["rows"]] == [1, 2, 3, 4]
    assert load(tmp_path / "run").card.metrics["epoch"] == 2
    assert FinishedRun(tmp_path / "run", "run").is_finished
    before = (tmp_path / "run" / "last.ckpt").read_bytes()
    fit(build(), toy(60), **settings)
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before
    # with more epochs it goes on, for another patience
    fit(build(), toy(60), **(settings | {"epochs": 12}))
    assert [row["epoch"] for row in last(tmp_path / "run")["rows"]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, None),
        (90, 90.0),
        (0.5, 0.5),
        ("90", 90.0),
        ("2:30", 150.0),
        ("3:50:00", 13800.0),
        ("1-12:00:00", 129600.0),
    ],
)
def test_times(given, seconds):
    assert seconds_of(given) == seconds


@pytest.mark.parametrize("given", [0, -1, "soon", "1:2:3:4", float("nan"), float("inf"), (3,), "-3:00"])
def test_times_refused(given):
    with pytest.raises(TaggerError, match="time_limit"):
        Clock(given)


def test_the_time_limit_leaves_a_checkpoint_that_resumes(tmp_path, toy, monkeypatch):
    settings = SETTINGS | {"epochs": 2}
    fit(build(), toy(100), out=tmp_path / "unbroken", **settings)
    clock = [0.0]
    step = Training.training_step

    def slow(*arguments):
        clock[0] += 10
        return step(*arguments)

    monkeypatch.setattr(Training, "training_step", slow)
    monkeypatch.setattr(stopping.time, "monotonic", lambda: clock[0])
    # 6 batches of 10 s per epoch
    with pytest.raises(TimeLimitError, match=r"in epoch 1 after batch 3 of 6[\s\S]*repeat the call"):
        fit(build(), toy(100), out=tmp_path / "broken", time_limit="0:30", **settings)
    assert last(tmp_path / "broken")["progress"]["batches"] == 3
    assert not (tmp_path / "broken" / "tagger").exists()
    with pytest.raises(TimeLimitError, match=r"after epoch 1\n"):
        fit(build(), toy(100), out=tmp_path / "broken", time_limit=30, **settings)
    fit(build(), toy(100), out=tmp_path / "broken", time_limit=60, **settings)
    for name, value in last(tmp_path / "unbroken")["model"].items():
        assert torch.equal(value, last(tmp_path / "broken")["model"][name])
    assert (tmp_path / "unbroken/metrics.csv").read_text() == (tmp_path / "broken/metrics.csv").read_text()


def test_sigterm_leaves_a_checkpoint(tmp_path, toy, monkeypatch):
    handler, step, left = signal.getsignal(signal.SIGTERM), Training.training_step, [3]

    def evicted(*arguments):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments)

    monkeypatch.setattr(Training, "training_step", evicted)
    with pytest.raises(TimeLimitError, match="SIGTERM: training stopped in epoch 1 after batch 3"):
        fit(build(), toy(100), out=tmp_path / "run", epochs=2, **SETTINGS)
    assert last(tmp_path / "run")["progress"]["batches"] == 3
    assert signal.getsignal(signal.SIGTERM) is handler
    fit(build(), toy(100), out=tmp_path / "run", epochs=2, **SETTINGS)


def test_the_command_says_try_again(tmp_path, toy, monkeypatch, capsys):
    import awkward as ak

    ak.to_parquet(toy(60), tmp_path / "toy.parquet")
    words = ["train", "pfn", str(tmp_path / "toy.parquet"), "-o", str(tmp_path / "run"), "--epochs", "2"]
    words += ["--option", "phi=[4]", "--option", "f=[4]", "--device", "cpu", "--batch-size", "16"]
    assert main([*words, "--time-limit", "0.000001"]) == 75
    assert "time limit: training stopped in epoch 1 after batch 1" in capsys.readouterr().err
    assert main(words) == 0


def test_more_epochs_of_a_finished_run(tmp_path, toy):
    settings = SETTINGS | {"out": tmp_path / "run", "recipe": {"first_cycle": 4, "epochs": 4}}
    fit(build(), toy(60), epochs=2, **settings)
    first = last(tmp_path / "run")
    tagger = fit(build(), toy(60), epochs=4, **settings)
    end = last(tmp_path / "run")
    assert [row["epoch"] for row in end["rows"]] == [1, 2, 3, 4]
    assert end["rows"][:2] == first["rows"]
    # the schedule was that of two epochs, and is that of four from there on; an epoch has 4 steps
    rates = [0.5e-3 * (1 + math.cos(math.pi * (epoch + 3.5 / 4) / total)) for epoch, total in ((1, 2), (3, 4))]
    assert [end["rows"][k]["learning_rate"] for k in (1, 3)] == pytest.approx(rates)
    # the run and the card say so
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["settings"]["epochs"], record["continued"]) == (4, [{"at": 2, "epochs_before": 2}])
    assert tagger.card.training.recipe["continued"] == [{"at": 2, "epochs_before": 2}]
    # it is now a run of four epochs
    fit(build(), toy(60), epochs=4, **settings)
    with pytest.raises(TaggerError, match=r"settings.epochs = 2 \(stored run: 4\)"):
        fit(build(), toy(60), epochs=2, **settings)
    with pytest.raises(TaggerError, match=r"settings.seed"):
        fit(build(), toy(60), epochs=5, **(settings | {"seed": 5}))
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == record


def test_a_run_that_may_go_on_is_not_finished(toy, tmp_path, monkeypatch):
    ends = Stopping.ends
    monkeypatch.setattr(Stopping, "ends", lambda self, rows: ends(self, rows) or len(rows) == 3)
    fit(build(), toy(60), **SETTINGS, epochs=9, patience=8, out=tmp_path / "run")
    assert last(tmp_path / "run")["progress"]["epoch"] == 3
    assert not FinishedRun(tmp_path / "run", "run").is_finished
