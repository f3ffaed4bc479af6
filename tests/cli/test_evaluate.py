"""``equitag evaluate`` with a report, weights, mixtures and a second sample."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import Tagger, models
from coffea_equitag.cli import main, measured_sample
from coffea_equitag.evaluation import Evaluation, differences, measure
from coffea_equitag.evaluation.report import page
from coffea_equitag.tagger.card import TrainingRecord
from coffea_equitag.training.folds import fold_of


@pytest.fixture
def three(tmp_path, monkeypatch, random_jets):
    """A tagger of three classes and two samples, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    model = models.build("pfn", n_classes=3, phi=[4], f=[4])
    tagger = Tagger.from_model(model, name="three", classes=("qcd", "w", "top"))
    tagger.save("three")
    counts = list(np.arange(90) % 7 + 2)
    samples = []
    for number, name in enumerate(("nominal", "varied")):
        weights = np.random.default_rng(number).exponential(1, 90)
        jets = random_jets(counts, label=np.arange(90) % 3, w=weights)
        ak.to_parquet(jets, f"{name}.parquet")
        samples.append(jets)
    return tagger, *samples


WORDS = ["evaluate", "three", "nominal.parquet", "-o", "out", "--device", "cpu"]


def test_a_report(three, capsys):
    tagger, jets, varied = three
    mixture = ["--discriminant", "TvsMix=top:0.8*qcd,0.2*w", "--weights", "w", "--efficiency", "0.7", "0.85"]
    assert main([*WORDS, "--report", *mixture, "--against", "varied.parquet", "--bins", "pt=0,50,100,1000"]) == 0
    out = Path("out")
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "report.json", "metrics.json", "scores.parquet", "roc_TvsMix.pdf"} <= names
    found = json.loads((out / "report.json").read_text())
    assert list(found["sections"]) == [
        "separation_score",
        "separation_TvsMix",
        "confusion",
        "efficiencies",
        "mass_sculpting",
        "calibration",
        "robustness",
        "robustness_TvsMix",
    ]
    metrics = measure(tagger(jets), jets.label, weights=jets.w, efficiencies=(0.7, 0.85))
    points = found["sections"]["separation_score"]["working_points"]
    assert [point["efficiency"] for point in points] == [0.7, 0.85]
    assert [point["rejection"]["value"] for point in points] == pytest.approx([r.value for r in metrics.rejections])
    assert found["summary"]["AUC"]["value"] == pytest.approx(metrics.auc)
    options = {"discriminants": {"TvsMix": ("top", {"qcd": 0.8, "w": 0.2})}, "variables": {}}
    one, two = (
        Evaluation(tagger.classes, **options).fill(tagger(each), each.label, weights=each.w) for each in (jets, varied)
    )
    expected = differences(one, two, "TvsMix", efficiencies=(0.7, 0.85))
    figures = found["sections"]["robustness_TvsMix"]["figures"]
    assert {key: each["difference"]["value"] for key, each in figures.items()} == pytest.approx(
        {each.name: each.difference.value for each in expected}
    )
    edges = found["sections"]["efficiencies"]["pt"]["edges"]
    assert set(edges) <= {0, 50, 100, 1000}
    written = json.loads((out / "metrics.json").read_text())
    assert written["rejection_70"] == pytest.approx(metrics.rejections[0].value)
    assert written["discriminants"]["TvsMix"]["auc"] == pytest.approx(one.measure("TvsMix").auc)
    page_text = (out / "report.html").read_text()
    assert page_text.count('src="data:image/') == 2 * 2 + 1 + 4 + 1 + 1 + 2
    assert "http" not in page_text.replace("http-equiv", "")
    printed = capsys.readouterr().out
    assert "varied.parquet − nominal.parquet" in printed
    assert "report.html, metrics, plots and scores in out/" in printed


def test_paired_samples(three, capsys):
    assert main([*WORDS, "--against", "nominal.parquet", "--paired"]) == 0
    printed = capsys.readouterr().out
    assert "AUC" in printed.split("nominal.parquet − nominal.parquet")[1]
    assert main([*WORDS, "--against", "nominal.parquet", "varied.parquet", "--paired"]) == 1
    assert "90 and 180 entries that are paired" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--against", "varied.parquet", "--paired"]])
def test_chunks_are_the_whole(three, monkeypatch, capsys, words):
    """Read 40 jets at a time, files give the same numbers to the bit: their jets have no weights."""
    printed, numbers = [], []
    for size in (1000, 40):
        monkeypatch.setattr(measured_sample, "_CHUNK", size)
        assert main([*WORDS, *words]) == 0
        numbers.append([Path("out", name).read_bytes() for name in ("metrics.json", "scores.parquet")])
        printed.append(capsys.readouterr().out)
    assert numbers[0] == numbers[1]
    assert printed[0] == printed[1]


def test_labels_and_selection_as_in_training(three):
    """One column per class, formulas as weights, a cut: the same numbers as of jets prepared by hand."""
    tagger, jets, _ = three
    jets = ak.with_field(jets, np.asarray(jets.label) * 5, "flavour")
    for number, name in enumerate(tagger.classes):
        jets = ak.with_field(jets, np.asarray(jets.label) == number, f"is_{name}")
    ak.to_parquet(jets, "nominal.parquet")
    cut = np.asarray(ak.num(jets.constituents.px)) > 3
    expected = measure(tagger(jets)[cut], jets.label[cut], weights=2 * jets.w[cut]).as_dict()
    given = ["--select", "multiplicity > 3", "--weights", "2 * w"]
    one_hot = ["--labels", "{qcd: is_qcd, w: is_w, top: is_top}"]
    mapped = ["--labels", "flavour", "--label-map", "{0: qcd, 5: w, 10: top}"]
    for labels in (one_hot, mapped):
        assert main([*WORDS, *labels, *given]) == 0
        found = json.loads(Path("out/metrics.json").read_text())
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    partial = ["--labels", "flavour", "--label-map", "{0: qcd, 10: top}"]
    assert main([*WORDS, *partial]) == 1


def test_unseen_jets_are_those_of_the_fold(three, capsys):
    tagger, jets, _ = three
    jets = ak.with_field(jets, np.arange(90) // 2, "event")
    ak.to_parquet(jets, "nominal.parquet")
    assert main([*WORDS, "--unseen"]) == 1
    assert "which was not trained in folds" in capsys.readouterr().err
    record = TrainingRecord(data="x", num_jets=1, fold=1, folds=3, event_id=("event",))
    folded = Tagger(tagger.model, tagger.card.model_copy(update={"training": record}))
    folded.save("three", overwrite=True)
    assert main([*WORDS, "--unseen"]) == 0
    found = json.loads(Path("out/metrics.json").read_text())
    assert found["num_signal"] + found["num_background"] == ak.sum(fold_of(jets, 3) == 1)


def test_a_report_that_fails_leaves_the_last_one(three, monkeypatch, capsys):
    Path("out").mkdir()
    before = {Path("out", name): name.encode() for name in ("report.html", "report.json", "metrics.json", "roc.png")}
    for path, content in before.items():
        path.write_bytes(content)

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(page, "data_url", full_disk)
    assert main([*WORDS, "--report", "--efficiency", "0.6"]) == 1
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "weight"], "--weights FIELD"),
        (["--labels", "truth"], "--labels FIELD"),
        (["--efficiency", "70"], "fractions, not percent"),
        (["--report", "--bins", "pt=a,b"], "pt=300,500,1000"),
        (["--report", "--mass", "msoftdrop"], "variable 'msoftdrop'"),
        (["--discriminant", "TvsMix=top:0.8*qcd,w"], "for each background class or for none"),
    ],
)
def test_refused(three, capsys, words, message):
    assert main([*WORDS, *words]) == 1
    assert message in capsys.readouterr().err
    assert not Path("out").exists()
