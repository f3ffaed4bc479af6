"""Published results outlive the trainings that they come from."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from studies.earlier import Earlier, Reported, minus, over
from studies.page import page_text
from studies.study import Study

from coffea_equitag.evaluation.estimate import Estimate

from .conftest import CONFIGURATION

IDENTITIES = {"simulated": "sha256:test"}


@pytest.fixture
def study() -> Study:
    return Study.model_validate(yaml.safe_load(yaml.safe_dump(CONFIGURATION, sort_keys=False)))


def values(value: float, below: float, above: float) -> dict:
    return {"value": value, "low": value - below, "high": value + above, "quartiles": [value, value]}


def published(folder, study, folder_name="toys", **changed):
    """Results of a study whose first variant had seven trainings."""
    one = {"name": "good", "variant": "good", "label": "old", "jets": 400, "is_whole": True, "num_runs": 7, "epochs": 1}
    one |= {"repeats": 7, "num_parameters": 5, "seconds": 1.0, "processor": "one", "us_per_jet": 2.0, "published": {}}
    one |= {"symmetry": {"rotations": 1.0, "boosts": 2.0, "with references": None}, "options": {}} | changed
    of = {metric: values(0.9, 0.1, 0.2) for metric in study.metrics}
    made = {"version": "0.1", "date": "2026-01-02", "jets": {"train": 400}}
    sample = {"identity": "sha256:test", "num_jets": 300, "replicas": 40, "metrics": {"good": of}, "differences": {}}
    results = {"variants": [one], "samples": {"simulated": sample}, "figures": [], "verdicts": [], "made": made}
    (folder / folder_name).mkdir()
    (folder / folder_name / "results.json").write_text(json.dumps(results))
    return results


def test_the_whole_training_is_compared_where_it_is_known(study, tmp_path):
    published(tmp_path, study, training=study.common | study.variants["good"].training)
    assert "good" in Earlier.read(tmp_path, "toys", study, IDENTITIES).variants


@pytest.mark.parametrize("name", ["toys", "another"])
def test_rows_of_this_and_of_other_studies(study, tmp_path, name):
    published(tmp_path, study, name)
    found = Earlier.read(tmp_path, "toys", study, IDENTITIES)
    assert found.variants["good"]["measured"] == {"version": "0.1", "date": "2026-01-02"}
    assert found.variants["good"]["label"] == "PFN"
    assert found.compared["simulated"]["good"].estimates["auc"] == Estimate(0.9, 0.8, pytest.approx(1.1))
    assert found.compared["simulated"]["good"].num_runs == 7


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 2},
        {"options": {"phi": [3]}},
        {"is_whole": False},
        {"name": "gone"},
        {"jets": 500},
        {"training": CONFIGURATION["common"] | {"model": "pfn", "learning_rate": 0.1}},
    ],
)
def test_what_is_configured_otherwise_does_not_count(study, tmp_path, changed):
    results = published(tmp_path, study, **changed)
    results["samples"]["simulated"]["metrics"]["gone"] = results["samples"]["simulated"]["metrics"]["good"]
    (tmp_path / "toys" / "results.json").write_text(json.dumps(results))
    assert not Earlier.read(tmp_path, "toys", study, IDENTITIES).variants


def test_other_jets_and_other_metrics_do_not_count(study, tmp_path):
    published(tmp_path, study)
    assert not Earlier.read(tmp_path, "toys", study, {"simulated": "sha256:others"}).variants
    assert not Earlier.read(tmp_path, "toys", study, IDENTITIES | {"real": "sha256:real"}).variants
    wanted = study.model_copy(update={"metrics": (*study.metrics, "rejection_70")})
    assert not Earlier.read(tmp_path, "toys", wanted, IDENTITIES).variants


def reported(one: Estimate, name="one", differences=None) -> Reported:
    return Reported({"auc": one}, {}, differences or {}, name, 1)


def test_differences_and_ratios_of_independent_intervals():
    one, other = reported(Estimate(10.0, 7.0, 14.0)), reported(Estimate(5.0, 4.0, 8.0), "other")
    found = minus(one, other)["auc"]
    assert found == Estimate(5.0, 5.0 - math.hypot(3, 3), 5.0 + math.hypot(4, 1))
    ratio = over(one, other)["auc"]
    low, high = math.hypot(math.log(10 / 7), math.log(8 / 5)), math.hypot(math.log(14 / 10), math.log(5 / 4))
    expected = Estimate(2.0, 2 * math.exp(-low), 2 * math.exp(high))
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([expected.value, expected.low, expected.high])


def test_differences_that_were_measured_in_the_same_replicas_stay():
    known = Estimate(5.0, 4.9, 5.1)
    one = reported(Estimate(10.0, 7.0, 14.0), differences={"other": {"auc": known}})
    assert minus(one, reported(Estimate(5.0, 4.0, 8.0), "other"))["auc"] is known


def test_infinite_values_have_no_significance():
    one, other = reported(Estimate(math.inf, 7.0, math.inf)), reported(Estimate(math.inf, 4.0, math.inf))
    assert math.isnan(minus(one, other)["auc"].significance)
    assert math.isnan(over(one, other)["auc"].value)


def test_figures_keep_what_was_drawn(study, tmp_path):
    results = published(tmp_path, study)
    options = {"name": "roc", "variants": [], "metric": "auc", "jets": 1000, "against": "parameters"}
    results["figures"] = [options | {"data": {"percent": [5], "rejections": {"good": [3.0], "bad": [2.0], "gone": []}}}]
    (tmp_path / "toys" / "results.json").write_text(json.dumps(results))
    found = Earlier.read(tmp_path, "toys", study, IDENTITIES)
    new = options | {"data": {"percent": [5], "rejections": {"bad": [1.0]}}}
    joined = found.figure(new, {"good"})["data"]["rejections"]
    assert joined == {"bad": [1.0], "good": [3.0]}
    assert found.figure(new | {"jets": 5}, {"good"}) == new | {"jets": 5}


def test_page_says_so(study, tmp_path):
    results = published(tmp_path, study)
    earlier = Earlier.read(tmp_path, "toys", study, IDENTITIES)
    text = page_text(study, "toys", results | {"variants": [earlier.variants["good"]]})
    assert "PFN: measured before on the same jets (2026-01-02, 0.1)." in text
