"""Configurations of runs: from YAML, TOML, flags and Python, and back."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import TaggerError, load
from coffea_equitag.cli import main
from coffea_equitag.training import RunConfig, train

SHORT = {"model": "pfn", "data": ["top.parquet"], "output": "run"}


def test_shortest():
    config = RunConfig.of(model="pfn", data="top.parquet", output="run")
    assert config == RunConfig.of(**SHORT)
    assert (config.validation, config.seed, config.epochs) == (0.1, 0, None)


@pytest.mark.parametrize("name", ["run.yaml", "run.toml"])
def test_read(tmp_path, name):
    texts = {
        "run.yaml": "model: pfn\ndata: [a.parquet, b.root]\noutput: run\nprecision: 32\n"
        "options: {hidden: 8}\nrecipe: {gradient_clip: 1.0}\nlearning_rate: 1e-3\n",
        "run.toml": 'model = "pfn"\ndata = ["a.parquet", "b.root"]\noutput = "run"\nprecision = "32"\n'
        "learning_rate = 1e-3\n[options]\nhidden = 8\n[recipe]\ngradient_clip = 1.0\n",
    }
    (tmp_path / name).write_text(texts[name])
    expected = RunConfig.of(
        model="pfn",
        data=["a.parquet", "b.root"],
        output="run",
        options={"hidden": 8},
        recipe={"gradient_clip": 1.0},
        learning_rate=1e-3,
    )
    assert RunConfig.read(tmp_path / name) == expected
    assert RunConfig.read(tmp_path / name, output="other").output == "other"


def test_written_and_read_again(tmp_path):
    config = RunConfig.of(
        **SHORT,
        class_weights=np.array([1.0, 2.0]),
        classes=("qcd", "top"),
        validation=["a.parquet"],
        recipe="lorentznet",
    )
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert RunConfig.read(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: pfn\n", "data = .*Field required"),
        ("model: pfn\ndata: []\noutput: run\n", "data = "),
        ("model: pfn\ndata: a\noutput: run\nepoch: 3\n", "epoch = 3: Extra inputs"),
        ("model: pfn\ndata: a\noutput: run\nepochs: many\n", "epochs = 'many'"),
        ("- pfn\n", "a list, not keys and values"),
        ("model: [pfn\n", "run.yaml"),
        ("", "a NoneType"),
    ],
)
def test_refused(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(TaggerError, match=message):
        RunConfig.read(path)


def test_no_file(tmp_path):
    with pytest.raises((TaggerError, OSError), match=r"run\.yaml"):
        RunConfig.read(tmp_path / "run.yaml")


def test_file_flags_and_python_give_the_same_run(tmp_path, toy, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ak.to_parquet(toy(60), "top.parquet")
    text = (
        "model: pfn\ndata: [top.parquet]\noutput: from_file\nepochs: 1\nbatch_size: 16\nseed: 3\ndevice: cpu\n"
        "validation: 0.3\nclasses: [qcd, top]\nrecipe: {gradient_clip: 1.0}\n"
    )
    (tmp_path / "run.yaml").write_text(text)
    before = torch.get_rng_state()
    assert main(["train", "run.yaml"]) == 0
    flags = ["--epochs", "1", "--batch-size", "16", "--seed", "3", "--device", "cpu"]
    flags += ["--validation", "0.3", "--classes", "qcd,top", "--recipe", "{gradient_clip: 1.0}"]
    assert main(["train", "pfn", "top.parquet", "-o", "from_flags", *flags]) == 0
    train(RunConfig.read("run.yaml", output="from_python"), progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    runs = [tmp_path / name for name in ("from_file", "from_flags", "from_python")]
    assert len({(run / "run.json").read_text() for run in runs}) == 1
    assert len({load(run).content_hash for run in runs}) == 1
    # the folder's own configuration resumes the finished run, and a flag replaces a key
    assert main(["train", "from_flags/config.yaml"]) == 0
    assert main(["train", "from_flags/config.yaml", "--seed", "4"]) == 1
    assert "settings.seed = 4 (stored run: 3)" in capsys.readouterr().err
    assert json.loads((runs[0] / "run.json").read_text())["settings"]["recipe"]["gradient_clip"] == 1.0


def test_seeds_are_runs_of_their_own(tmp_path, toy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ak.to_parquet(toy(60), "top.parquet")
    words = ["train", "pfn", "top.parquet", "-o", "runs", "--epochs", "1", "--seeds", "2", "--seed", "7"]
    assert main([*words, "--device", "cpu"]) == 0
    taggers = [load(f"runs/seed-{seed}") for seed in (7, 8)]
    assert [tagger.card.training.seed for tagger in taggers] == [7, 8]
    first = [next(tagger.model.parameters()) for tagger in taggers]
    assert not torch.equal(*first)
    assert RunConfig.read("runs/seed-8/config.yaml").repeats() == [RunConfig.read("runs/seed-8/config.yaml")]


def test_run_of_a_seed_is_the_same_among_several():
    """With validation files there is no split that the repeats would have to share."""
    given = {"model": "pfn", "data": "train.parquet", "seeds": 2, "seed": 7, "output": "runs"}
    repeats = RunConfig.of(validation="validation.parquet", **given).repeats()
    alone = [RunConfig.of(**given | {"seeds": 1, "seed": k}, validation="validation.parquet") for k in (7, 8)]
    changed = [one.model_copy(update={"output": other.output}) for one, other in zip(alone, repeats, strict=True)]
    assert repeats == changed
    assert [one.split_seed for one in RunConfig.of(validation=0.2, **given).repeats()] == [7, 7]


def test_jets_may_be_streamed(tmp_path, toy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ak.to_parquet(toy(60), "top.parquet", row_group_size=10)
    words = ["train", "pfn", "top.parquet", "-o", "run", "--epochs", "1", "--device", "cpu", "--shuffle", "40"]
    assert main([*words, "--workers", "0"]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())["jets"]
    assert record["training"]["shuffle"] == 40
    assert record["training"]["number"] + record["validation"]["number"] == 60
    assert main([*words, "--validation", "top.parquet", "-o", "other"]) == 0


def test_flags_alone_need_data_and_output(capsys):
    assert main(["train", "pfn", "-o", "run"]) == 1
    assert "without data" in capsys.readouterr().err
    assert main(["train", "pfn", "a.parquet"]) == 1
    assert "without output" in capsys.readouterr().err
