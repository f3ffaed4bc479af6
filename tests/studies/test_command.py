"""A study from jets to its page: trained once, shared, measured from what is kept."""

from __future__ import annotations

import json
import shutil

import awkward as ak
import numpy as np
import pytest
import studies.command
import studies.jets
import studies.page
import yaml
from matplotlib.figure import Figure
from studies.command import main
from studies.earlier import Earlier
from studies.jets import TestSample
from studies.measured import scores
from studies.page import page_text, write_page
from studies.results import measure as measure_study
from studies.runs import Runs
from studies.study import Study

from coffea_equitag import TaggerError, load, read_jets
from coffea_equitag.evaluation import measure
from coffea_equitag.tagger import Tagger

#: Relative error of a number of which six digits are written.
ROUNDED = 5e-6


@pytest.fixture(scope="module")
def here(tmp_path_factory, samples):
    """A repository with the study, all of which is trained and measured."""
    from .conftest import CONFIGURATION

    root = tmp_path_factory.mktemp("repository")
    (root / "studies" / "toys").mkdir(parents=True)
    (root / "studies" / "toys" / "study.yaml").write_text(yaml.safe_dump(CONFIGURATION, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies.command, "_HERE", root / "studies")
        yield root


def study_of(here) -> Study:
    return Study.read(here / "studies" / "toys")


def command(here, samples, *words):
    main("studies.toys", ["--jets", str(samples), "--runs", str(here / "runs"), "-o", str(here / "out"), *words])
    found = here / "studies" / "toys" if "--publish" in words else here / "out"
    return json.loads((found / "results.json").read_text()) if (found / "results.json").exists() else None


@pytest.fixture(scope="module")
def results(here, samples):
    """In two steps."""
    assert command(here, samples, "--only", "good") is None
    return command(here, samples, "--publish", "--reference", str(samples / "validation" / "shard-00000.parquet"))


def test_what_is_trained_so_far(here, samples, results, tmp_path):
    study = study_of(here).model_copy(update={"figures": ()})
    runs = Runs(study, tmp_path)
    with pytest.raises(TaggerError, match="good, good-200, good-600, bad not trained as often as wanted"):
        measure_study(study, runs, {"simulated": TestSample(samples / "test")}, available=True)
    shutil.copytree(here / "runs" / "good" / "seed-0", tmp_path / "good" / "seed-0")
    part = measure_study(study, runs, {"simulated": TestSample(samples / "test")}, available=True)
    assert [(one["name"], one["num_runs"]) for one in part["variants"]] == [("good", 1)]
    assert {one["outcome"] for one in part["verdicts"]} == {"not trained"}
    text = write_page(study, "toys", part | {"made": results["made"]}, tmp_path).read_text()
    assert "Not trained yet: PFN (200 jets), PFN (600 jets), bad." in text
    assert "how trainings vary is not in the interval" in text
    with pytest.raises(TaggerError, match="not trained as often as wanted"):
        measure_study(study, runs, {"simulated": TestSample(samples / "test")})


def test_metrics_are_those_of_the_taggers(here, samples, results):
    jets = read_jets(samples / "test")
    for name, number in (("good", 2), ("bad", 1), ("good-200", 2)):
        each = [
            measure(tagger(jets), jets.label)
            for tagger in (load(here / "runs" / name / f"seed-{k}", "cpu") for k in range(number))
        ]
        found = results["samples"]["simulated"]["metrics"][name]
        assert found["auc"]["value"] == pytest.approx(np.median([one.auc for one in each]), rel=ROUNDED)
        assert found["accuracy"]["value"] == pytest.approx(np.median([one.accuracy for one in each]), rel=ROUNDED)
        assert found["auc"]["low"] <= found["auc"]["value"] <= found["auc"]["high"]
    assert set(results["samples"]) == {"simulated", "real"}


def test_directions(results):
    metrics = results["samples"]["simulated"]["metrics"]
    first = results["verdicts"][0]
    assert first["values"] == [metrics[name]["auc"]["value"] for name in ("good", "bad")]
    better, worse = first["values"]
    assert first["difference"]["value"] == pytest.approx(better - worse, abs=2 * ROUNDED * (better + worse))
    assert first["ratio"]["value"] == pytest.approx(better / worse, rel=4 * ROUNDED)
    assert first["outcome"] == "yes"
    assert first["difference"]["sigma"] > 2
    assert first["published"] == [0.9, 0.6]
    assert first["trainings"] == [2, 1]
    # with the opposite sign, against the baseline
    table = results["samples"]["simulated"]["differences"]["good"]["bad"]["auc"]
    assert table["value"] == pytest.approx(-first["difference"]["value"])
    assert table["sigma"] < -2


def test_page(here, results):
    folder = here / "docs" / "studies"
    text = (folder / "toys.md").read_text()
    assert "| PFN | 83,842 | 1 |" in text
    assert "[0.9]" in text
    assert "Directions on simulated jets: 1 as expected" in text
    assert "| PFN better than bad | AUC | simulated |" in text
    assert "better than PFN (200 jets)" in text
    assert "ratio 1.5" in text
    assert "| network | 200 | 400 | 600 |" in text
    assert "Not trained yet" not in text
    assert "Toy jets." in text
    for name in ("cost", "learning", "size", "roc", "confusion", "training", "invariance", "robustness"):
        assert f"(toys-{name}.png)\n\n*" in text
        assert (folder / f"toys-{name}.png").stat().st_size > 5000


def test_nothing_is_trained_or_scored_again(here, samples, results, monkeypatch):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(Tagger, "outputs", never)
    monkeypatch.setattr(studies.jets.eqt, "read_jets", never)
    study, real = study_of(here), TestSample(samples / "validation" / "shard-00000.parquet")
    runs = Runs(study, here / "runs")
    assert not list(runs.missing())
    again = measure_study(study, runs, {"simulated": TestSample(samples / "test"), "real": real})
    assert json.loads(json.dumps(again)) == {key: value for key, value in results.items() if key != "made"}


def test_scores_belong_to_the_tagger_and_the_jets(here, samples, results, tmp_path):
    study = study_of(here)
    run = Runs(study, here / "runs").finished(next(study.entries()))[0]
    sample = TestSample(samples / "test")
    shutil.copytree(run.path / "measured", tmp_path / "before")
    assert scores(run, sample).scores[:, 1] == pytest.approx(ak.to_numpy(run.tagger(sample.jets)), abs=1e-7)
    sample.identity = "others"
    scores(run, sample)
    assert len(list((run.path / "measured").iterdir())) == len(list((tmp_path / "before").iterdir())) + 1


def test_rows_outlive_their_trainings(here, samples, results, tmp_path):
    study, sample = study_of(here), TestSample(samples / "test")
    identities = {"simulated": sample.identity}
    shutil.copytree(here / "runs" / "good" / "seed-1", tmp_path / "good" / "seed-1")
    shutil.copytree(here / "runs" / "good-200", tmp_path / "good-200")
    earlier = Earlier.read(here / "studies", "toys", study, identities)
    found = measure_study(study, Runs(study, tmp_path), {"simulated": sample}, available=True, earlier=earlier)
    assert [(one["name"], one["num_runs"], "measured" in one) for one in found["variants"]] == [
        ("good", 2, True),
        ("good-200", 2, False),
        ("good-600", 2, True),
        ("bad", 1, True),
    ]
    before = results["samples"]["simulated"]
    for name in ("good", "good-600", "bad"):
        assert found["samples"]["simulated"]["metrics"][name] == before["metrics"][name]
    for metric, kept in before["differences"]["good"]["bad"].items():
        again = found["samples"]["simulated"]["differences"]["good"]["bad"][metric]
        assert {key: again[key] for key in ("value", "low", "high")} == {
            key: kept[key] for key in ("value", "low", "high")
        }
    verdicts = {(one["better"], one["worse"]): one for one in found["verdicts"]}
    assert verdicts["good", "bad"]["outcome"] == "yes"
    assert verdicts["good", "good-200"]["trainings"] == [2, 2]
    drawn = {one["name"]: one for one in found["figures"]}
    assert set(drawn["roc"]["data"]["rejections"]) == {"good", "bad"}
    assert drawn["cost"]["names"] == ["good", "bad"]


def test_another_run_of_the_same_name_is_refused(here, results):
    given = yaml.safe_load((here / "studies" / "toys" / "study.yaml").read_text())
    given["variants"]["bad"]["learning_rate"] = 1e-8
    with pytest.raises(TaggerError, match=r"bad/seed-0 with learning_rate = 1e-09 instead of 1e-08"):
        list(Runs(Study.model_validate(given), here / "runs").missing())
    with pytest.raises(TaggerError, match=r"training jets = 400 instead of 200"):
        list(Runs(study_of(here), here / "runs", scale=0.5).missing())


def test_more_repeats_keep_what_is_trained(here, results):
    given = yaml.safe_load((here / "studies" / "toys" / "study.yaml").read_text())
    study = Study.model_validate(given | {"repeats": 3})
    missing = [(entry.name, seed) for entry, seed in Runs(study, here / "runs").missing()]
    assert missing == [("good", 2), ("good-200", 2), ("good-600", 2)]
    assert {entry.repeats for entry in study.at_most(1).entries()} == {1}


def test_page_alone(here, samples, results, monkeypatch):
    path = here / "studies" / "toys" / "study.yaml"
    before = path.read_text()
    path.write_text(before.replace("Toy jets.", "Other remarks."))
    monkeypatch.setattr(studies.page, "draw_figure", lambda *_: Figure())
    command(here, samples, "--publish", "--page")
    path.write_text(before)
    text = (here / "docs" / "studies" / "toys.md").read_text()
    assert text == page_text(study_of(here), "toys", results).replace("Toy jets.", "Other remarks.")
