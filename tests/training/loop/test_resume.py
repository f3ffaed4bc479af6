"""A run interrupted anywhere ends bit for bit like the uninterrupted one."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import CheckpointError, TaggerError, fit, load, make_jets, models
from coffea_equitag.training.loop.checkpoint import decode
from coffea_equitag.training.loop.folder import RunFolder
from coffea_equitag.training.loop.module import Training
from interrupted_runs import SETTINGS, CutOffError, assert_equal, assert_same_end, cut_off_at

SAVED = Path(__file__).parents[2] / "saved_by_0_1" / "runs" / "finished"


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, toy, build_small):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("unbroken") / "run"
    fit(build_small(dropout=0.3), toy(100), out=out, **SETTINGS)
    torch.set_num_threads(threads)
    return out


def test_kill_9_in_mid_epoch(unbroken, tmp_path, toy, build_small):
    # 90 jets to train on: 6 batches per epoch
    words = [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(tmp_path / "run"), "10"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, cwd=tmp_path, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    progress = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["progress"]
    assert (progress["epoch"], progress["batches"]) == (1, 3)
    # the second call has other initial weights: the run continues with its own
    model = build_small(dropout=0.3)
    torch.nn.init.zeros_(model.embedding.weight)
    fit(model, toy(100), out=tmp_path / "run", **SETTINGS)
    assert_same_end(unbroken, tmp_path / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("owner", "method", "call", "save_every"),
    [
        (Training, "training_step", 1, 0),  # before the first step
        (Training, "training_step", 9, 0),  # in mid-epoch
        (Training, "training_step", 9, 1e9),  # in mid-epoch, with nothing since the epoch's start
        (Training, "validation_step", 1, 0),  # after the epoch's last step
        (Training, "on_validation_epoch_end", 2, 0),
        (RunFolder, "write_metrics", 2, 0),  # best written, last not
        (RunFolder, "write", 5, 0),
    ],
)
def test_cut_off_anywhere(unbroken, tmp_path, monkeypatch, toy, build_small, owner, method, call, save_every):
    settings = SETTINGS | {"save_every": save_every, "out": tmp_path / "run"}
    with monkeypatch.context() as patched:
        cut_off_at(patched, owner, method, call)
        with pytest.raises(CutOffError):
            fit(build_small(dropout=0.3), toy(100), **settings)
    other = build_small(dropout=0.3)
    if (tmp_path / "run" / "last.ckpt").exists():
        with torch.no_grad():
            other.embedding.weight.zero_()
    torch.manual_seed(99)
    fit(other, toy(100), **settings)
    assert_same_end(unbroken, tmp_path / "run")


def test_cut_off_while_a_file_is_written(unbroken, tmp_path, monkeypatch, toy, build_small):
    settings = SETTINGS | {"out": tmp_path / "run"}
    with monkeypatch.context() as patched:
        cut_off_at(patched, os, "fsync", 4)
        with pytest.raises(CutOffError):
            fit(build_small(dropout=0.3), toy(100), **settings)
    torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    fit(build_small(dropout=0.3), toy(100), **settings)
    assert_same_end(unbroken, tmp_path / "run")


def test_finished_run_is_only_loaded(unbroken, monkeypatch, toy, build_small):
    cut_off_at(monkeypatch, Training, "training_step", 1)
    before = {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    model = build_small(dropout=0.3)
    tagger = fit(model, toy(100), out=unbroken, **SETTINGS)
    assert tagger.content_hash == load(unbroken).content_hash
    assert {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")} == before
    assert_equal(model.state_dict(), torch.load(unbroken / "last.ckpt", weights_only=True)["model"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 2}, r"settings.epochs = 2 \(stored run: 3\)"),
        ({"batch_size": 8}, "settings.recipe.batch_size = 8"),
        ({"seed": 5}, "settings.seed = 5"),
        ({"learning_rate": 0.1}, "settings.recipe.learning_rate = 0.1"),
        ({"class_weights": (1, 2)}, "settings.class_weights"),
        ({"pair_budget": 500}, "settings.pair_budget = 500"),
        ({"validation": 0.2}, "jets.training.number = 80"),
    ],
)
def test_other_settings_are_refused(unbroken, toy, build_small, changed, message):
    with pytest.raises(TaggerError, match=message):
        fit(build_small(dropout=0.3), toy(100), **(SETTINGS | {"out": unbroken} | changed))


def test_other_model_or_jets_are_refused(unbroken, toy, build_small):
    with pytest.raises(TaggerError, match=r"settings.options.dropout = 0.1"):
        fit(build_small(dropout=0.1), toy(100), out=unbroken, **SETTINGS)
    with pytest.raises(TaggerError, match=r"jets.training.sha256"):
        fit(build_small(dropout=0.3), toy(100, seed=1), out=unbroken, **SETTINGS)
    jets = toy(100)
    constituents = ak.with_field(jets.constituents, jets.constituents.pt * (1 + 1e-15), "pt")
    with pytest.raises(TaggerError, match="resume=False"):
        fit(build_small(dropout=0.3), make_jets(constituents, label=jets.label), out=unbroken, **SETTINGS)


def test_begin_anew(tmp_path, toy, build_small):
    settings = SETTINGS | {"out": tmp_path / "run", "epochs": 1}
    first = fit(build_small(), toy(60), **settings)
    again = fit(build_small(), toy(60, seed=1), **settings, resume=False)
    assert again.content_hash != first.content_hash
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 2


def test_unfinished_files_of_a_killed_process_are_removed(tmp_path, toy, build_small):
    settings = SETTINGS | {"out": tmp_path / "run", "epochs": 1}
    fit(build_small(), toy(60), **settings)
    (tmp_path / "run" / ".last.77.part.ckpt").write_bytes(b"half of it")
    fit(build_small(), toy(60), **settings)
    assert not list((tmp_path / "run").glob(".*"))


def test_damaged_checkpoint(tmp_path, toy, build_small):
    settings = SETTINGS | {"out": tmp_path / "run", "epochs": 1}
    fit(build_small(), toy(60), **settings)
    (tmp_path / "run" / "last.ckpt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"last\.ckpt cannot be read"):
        fit(build_small(), toy(60), **settings)


def test_checkpoint_with_code_is_not_run(tmp_path, toy, build_small):
    settings = SETTINGS | {"out": tmp_path / "run", "epochs": 1}
    fit(build_small(), toy(60), **settings)

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save({"model": Trap()}, tmp_path / "run" / "last.ckpt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        fit(build_small(), toy(60), **settings)
    assert not (tmp_path / "sprung").exists()


def test_folders_that_are_no_runs_are_left_alone(tmp_path, toy, build_small):
    settings = SETTINGS | {"epochs": 1}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TaggerError, match="is a file"):
        fit(build_small(), toy(60), out=tmp_path / "file", **settings)
    (tmp_path / "other" / "tagger").mkdir(parents=True)
    with pytest.raises(TaggerError, match=r"holds tagger, but no run\.json"):
        fit(build_small(), toy(60), out=tmp_path / "other", **settings)


def test_damage_anywhere_is_refused_and_the_previous_checkpoint_is_named(
    unbroken, tmp_path, monkeypatch, toy, build_small
):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        cut_off_at(patched, Training, "training_step", 9)
        with pytest.raises(CutOffError):
            fit(build_small(dropout=0.3), toy(100), out=out, **SETTINGS)
    whole = (out / "last.ckpt").read_bytes()
    generator = np.random.default_rng(5)
    places = [*generator.integers(0, len(whole), 60), *range(len(whole) - 95, len(whole))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(generator.integers(8))
        (out / "last.ckpt").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"last\.ckpt cannot be read"):
            RunFolder(out).read(out / "last.ckpt")
    for length in generator.integers(0, len(whole), 10):
        (out / "last.ckpt").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"last\.ckpt cannot be read"):
            RunFolder(out).read(out / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"delete it to continue from .*previous\.ckpt"):
        fit(build_small(dropout=0.3), toy(100), out=out, **SETTINGS)
    (out / "last.ckpt").unlink()
    fit(build_small(dropout=0.3), toy(100), out=out, **SETTINGS)
    assert_same_end(unbroken, out)


def test_damaged_checkpoint_of_the_first_version():
    buffer = io.BytesIO()
    torch.save({"weights": torch.arange(1000.0)}, buffer)
    whole = buffer.getvalue()
    assert torch.equal(decode(whole)["weights"], torch.arange(1000.0))
    place = whole.index(torch.arange(1000.0).numpy().tobytes()) + 500
    with pytest.raises(ValueError, match="is damaged"):
        decode(whole[:place] + b"\xff" + whole[place + 1 :])


def test_a_run_of_the_first_version_resumes_with_its_default_recipe(tmp_path, toy):
    """Then, PELICAN was trained by LorentzNet's recipe; a new run is by its own."""

    def build():
        torch.manual_seed(1)
        return models.build("pelican", size=(4, 3, 2))

    out, settings = tmp_path / "run", {"epochs": 2, "device": "cpu", "progress": False}
    fit(build(), toy(40), out=out, recipe="lorentznet", **settings)
    record = json.loads((out / "run.json").read_text())
    with pytest.raises(TaggerError, match=r"recipe.weight_decay = 0.005 \(stored run: 0.01\)"):
        fit(build(), toy(40), out=out, **settings)
    known = set(json.loads((SAVED / "run.json").read_text())["settings"]["recipe"])
    record["settings"]["recipe"] = {
        name: value for name, value in record["settings"]["recipe"].items() if name in known
    }
    (out / "run.json").write_text(json.dumps(record))
    fit(build(), toy(40), out=out, **settings)


def test_cut_off_with_everything_that_a_step_depends_on(tmp_path, monkeypatch, toy, build_small):
    tagger = fit(build_small(), toy(60, seed=1), out=tmp_path / "before", **(SETTINGS | {"epochs": 1}))
    settings = SETTINGS | {
        "epochs": 2,
        "batch_size": 8,
        "accumulate": 2,
        "label_smoothing": 0.1,
        "ema": 0.9,
        "patience": 5,
        "max_constituents": 6,
        "init_from": tagger,
        "classes": ("w", "z"),
        "frozen": ("embedding",),
        "pretrained_rate": 0.5,
        "loggers": ["csv"],
        "log_every": 1,
        "recipe": {"optimizer": "amsgrad", "gradient_clip": 1.0},
    }
    fit(build_small(dropout=0.3), toy(100), out=tmp_path / "unbroken", **settings)
    with monkeypatch.context() as patched:
        cut_off_at(patched, Training, "training_step", 9)
        with pytest.raises(CutOffError):
            fit(build_small(dropout=0.3), toy(100), out=tmp_path / "run", **settings)
    other = build_small(dropout=0.3)
    with torch.no_grad():
        other.embedding.weight.zero_()
    fit(other, toy(100), out=tmp_path / "run", **settings)
    assert_same_end(tmp_path / "unbroken", tmp_path / "run")
    assert (tmp_path / "run/steps.csv").read_text() == (tmp_path / "unbroken/steps.csv").read_text()
