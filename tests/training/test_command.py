"""``equitag train`` and ``equitag evaluate``, from files to files."""

from __future__ import annotations

import errno
import json

import awkward as ak
import pytest

from coffea_equitag import Tagger, load, models, read_jets
from coffea_equitag.cli import main
from coffea_equitag.demo import PACKAGED_FILE
from coffea_equitag.evaluation import measure


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_train_then_evaluate(tmp_path, toy, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ak.to_parquet(toy(80), "train.parquet")
    test = toy(60, seed=3)
    ak.to_parquet(test, "test.parquet")
    words = ["train", "lorentznet", "train.parquet", "-o", "run", "--epochs", "1", "--batch-size", "16", "--seed", "3"]
    words += ["--option", "hidden=8", "--option", "n_layers=1", "--option", "beams=false", "--device", "cpu"]
    assert main(words) == 0
    tagger = load("run")
    assert tagger.card.options["hidden"] == 8
    assert tagger.card.options["beams"] is False
    assert tagger.card.training is not None
    assert tagger.card.training.data == "train.parquet"
    assert "auc" in capsys.readouterr().out
    # the same command again: loaded, not trained
    assert main(words) == 0
    assert load("run").content_hash == tagger.content_hash

    assert main(["evaluate", "run", "test.parquet", "-o", "report", "--device", "cpu"]) == 0
    metrics = measure(tagger(test), test.label)
    assert str(metrics) in capsys.readouterr().out
    written = json.loads((tmp_path / "report/metrics.json").read_text())
    assert written["auc"] == metrics.auc
    assert metrics.as_dict().items() <= written.items()
    assert "rejection_50_low" in written
    assert written["content_hash"] == tagger.content_hash
    assert main(["evaluate", "run", "test.parquet", "-o", "test.parquet", "--device", "cpu"]) == 1
    assert "is a file" in capsys.readouterr().err
    before = {path: path.read_bytes() for path in (tmp_path / "report").iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(ak, "to_parquet", full_disk)
        assert main(["evaluate", "run", "test.parquet", "-o", "report", "--device", "cpu"]) == 1
        assert "No space left on device" in capsys.readouterr().err
        assert main(["evaluate", "run", "test.parquet", "-o", "new", "--device", "cpu"]) == 1
    assert {path: path.read_bytes() for path in (tmp_path / "report").iterdir()} == before
    assert not (tmp_path / "new").exists()
    ak.to_parquet(test, "scores.parquet")
    assert main(["evaluate", "run", "scores.parquet", "-o", ".", "--device", "cpu"]) == 1
    assert "which the report would replace" in capsys.readouterr().err
    assert ak.from_parquet("scores.parquet").fields == test.fields
    scores = ak.from_parquet("report/scores.parquet")
    assert ak.all(scores.score == tagger(test))
    assert ak.all(scores.label == test.label)
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"metrics.json", "scores.parquet", "score.png", "score.pdf", "roc.png", "roc.pdf"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lorentznet", "jets.parquet", "--option", "hidden"], "KEY=VALUE"),
        (["lorentznet", "jets.parquet", "--option", "width=3"], "no option 'width'"),
        (["transformer", "jets.parquet"], "no model 'transformer'"),
        (["lorentznet", "jets.parquet", "--labels", "truth"], "without a field 'truth'"),
        (["lorentznet", "none.parquet"], "none.parquet"),
    ],
)
def test_refused(tmp_path, toy, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    ak.to_parquet(toy(20), "jets.parquet")
    assert main(["train", *words, "-o", "run"]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_jets_of_nanoaod(tmp_path, capsys):
    run, report = str(tmp_path / "run"), str(tmp_path / "report")
    nano = [str(PACKAGED_FILE), "--labels", "isTop", "--device", "cpu"]
    assert main(["train", "pfn", *nano, "-o", run]) == 1
    assert "pass jets=..., one of FatJet (--jets)" in capsys.readouterr().err
    nano += ["--jets", "FatJet"]
    words = ["--option", "phi=[8]", "--option", "f=[8]", "--epochs", "1", "--validation", str(PACKAGED_FILE)]
    assert main(["train", "pfn", *nano, *words, "-o", run]) == 0
    training = load(run).card.training
    assert training is not None
    assert training.num_jets == training.num_validation_jets == ak.count(read_jets(PACKAGED_FILE, jets="FatJet").pt)
    assert main(["evaluate", run, *nano, "-o", report]) == 0
    assert json.loads((tmp_path / "report/metrics.json").read_text())["num_missing"] == 0


def test_vectors_without_momenta_are_not_evaluated(tmp_path, toy, capsys):
    model = models.build("vector_pfn", output="vector", features=4, mlp=(4,))
    Tagger.from_model(model, name="vertex", classes=()).save(tmp_path / "tagger")
    ak.to_parquet(toy(4), tmp_path / "jets.parquet")
    words = ["evaluate", str(tmp_path / "tagger"), str(tmp_path / "jets.parquet"), "-o", str(tmp_path / "report")]
    assert main(words) == 1
    assert "vertex, which returns 3-vectors" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
