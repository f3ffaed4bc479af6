"""Loggers: steps.csv, TensorBoard and Lightning's."""

from __future__ import annotations

import csv

import pytest
import torch

from coffea_equitag import TaggerError, fit, models
from coffea_equitag.training.loop.module import Training
from interrupted_runs import cut_off_at

SETTINGS = {"epochs": 2, "batch_size": 16, "device": "cpu", "progress": False, "seed": 4}


def build():
    torch.manual_seed(1)
    return models.build("pfn", phi=(6,), f=(6,))


def steps(run):
    with (run / "steps.csv").open() as file:
        return list(csv.DictReader(file))


def test_steps_in_a_table(tmp_path, toy):
    fit(build(), toy(100), out=tmp_path / "run", loggers=["csv"], log_every=4, **SETTINGS)
    rows = steps(tmp_path / "run")
    # 6 steps per epoch
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    assert [float(row["epoch"]) for row in rows] == pytest.approx([4 / 6, 8 / 6, 2])
    assert all(float(row["learning_rate"]) == 1e-3 for row in rows)
    fit(build(), toy(100), out=tmp_path / "every", loggers=["csv"], log_every=1, **SETTINGS)
    every = [float(row["loss"]) for row in steps(tmp_path / "every")]
    assert float(rows[1]["loss"]) == every[7]
    # the mean over an epoch's steps is the epoch's loss
    with (tmp_path / "every" / "metrics.csv").open() as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert [sum(every[:6]) / 6, sum(every[6:]) / 6] == pytest.approx(losses, rel=1e-6)


def test_a_resumed_run_has_each_step_once(tmp_path, toy, monkeypatch):
    settings = SETTINGS | {"loggers": ["csv"], "log_every": 1}
    fit(build(), toy(100), out=tmp_path / "unbroken", **settings)
    # the last checkpoint is that of the first epoch
    with monkeypatch.context() as patched:
        cut_off_at(patched, Training, "training_step", 9, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(build(), toy(100), out=tmp_path / "broken", save_every=1e9, **settings)
    assert len(steps(tmp_path / "broken")) == 8
    with (tmp_path / "broken" / "steps.csv").open("a") as file:
        file.write("9,1.5,0.0")  # cut off in a line
    fit(build(), toy(100), out=tmp_path / "broken", **settings)
    assert (tmp_path / "broken/steps.csv").read_text() == (tmp_path / "unbroken/steps.csv").read_text()


def test_tensorboard(tmp_path, toy):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit(build(), toy(100), out=tmp_path / "run", loggers=["tensorboard"], log_every=3, **SETTINGS)
    found = reader.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in found.Scalars("train/loss")] == [3, 6, 9, 12]
    assert [event.step for event in found.Scalars("validation/auc")] == [6, 12]


def test_loggers_of_lightning(tmp_path, toy):
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path, name="theirs", version="", flush_logs_every_n_steps=1)
    fit(build(), toy(100), out=tmp_path / "run", loggers=[logger], log_every=6, **SETTINGS)
    text = (tmp_path / "theirs" / "metrics.csv").read_text()
    assert "train/loss" in text
    assert "validation/auc" in text


def test_refused(tmp_path, toy, monkeypatch):
    with pytest.raises(TaggerError, match="loggers = 'wandb'"):
        fit(build(), toy(40), out=tmp_path / "run", loggers=["wandb"], **SETTINGS)
    monkeypatch.setattr("coffea_equitag.training.loop.loggers.find_spec", lambda name: None)
    with pytest.raises(TaggerError, match=r"coffea-equitag\[tensorboard\]"):
        fit(build(), toy(40), out=tmp_path / "run", loggers=["tensorboard"], **SETTINGS)
