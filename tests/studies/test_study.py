"""Studies: configurations that can run, and pages of results."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies.page import write_page
from studies.results import _verdict
from studies.study import Expected, Study

import coffea_equitag as eqt

ROOT = Path(__file__).parents[2] / "studies"
NAMES = sorted(path.parent.name for path in ROOT.glob("*/study.yaml"))
METRICS = ("accuracy", "auc", "rejection_50", "rejection_30")


@pytest.mark.parametrize("name", NAMES)
def test_every_training_is_valid(name, tmp_path):
    study = Study.read(ROOT / name)
    folders = {part: tmp_path / part for part in study.sample.jets}
    for variant in study.variants:
        config = study.run_config(variant, folders, tmp_path)
        assert config.seeds == study.repeats
        eqt.models.build(config.model, **config.options)
    known = set(study.variants)
    assert all({one.better, one.worse} <= known for one in study.expected)


@pytest.mark.parametrize("name", NAMES)
def test_every_study_has_a_command(name):
    assert "main(__package__)" in (ROOT / name / "__main__.py").read_text()


def variant(name, values, differences=None):
    return {
        "name": name,
        "num_runs": 1,
        "num_parameters": 1234,
        "quartiles": {metric: [value] * 3 for metric, value in zip(METRICS, values, strict=True)},
        "seconds": 60.0,
        "processor": "a processor",
        "differences": differences or {},
    }


def compared():
    differences = {metric: {"value": 0.1, "low": 0.0, "high": 0.2} for metric in METRICS}
    differences["rejection_30"] = {"value": None, "low": 5.0, "high": None}
    variants = [variant("one", [0.9, 0.95, 20.0, 50.0]), variant("two", [0.91, 0.96, 30.0, None], differences)]
    return {"variants": variants, "num_jets": 200, "replicas": 500}


def test_verdicts():
    better = _verdict(Expected(better="two", worse="one", metric="auc"), compared(), "simulated")
    assert (better["confirmed"], better["sigma"]) == (True, pytest.approx(1.0))
    worse = _verdict(Expected(better="one", worse="two", metric="auc"), compared(), "simulated")
    assert (worse["confirmed"], worse["sigma"]) == (False, pytest.approx(-1.0))
    # an infinite rejection is better than a finite one, with no significance
    infinite = _verdict(Expected(better="two", worse="one"), compared(), "simulated")
    assert (infinite["confirmed"], infinite["sigma"]) == (True, None)


def test_page(tmp_path):
    study = Study.read(ROOT / NAMES[0])
    verdicts = [_verdict(Expected(better="one", worse="two"), compared(), "simulated")]
    made = {"jets": {"train": 1000}, "version": "1.0", "date": "2026-01-01"}
    results = {
        "samples": {"simulated": compared()},
        "scoring_us_per_jet": {"one": 10.0, "two": 20.0},
        "verdicts": verdicts,
        "made": made,
    }
    text = write_page(study, "example", results, tmp_path).read_text()
    assert "| two | 1,234 | 1 min | 20 | 0.91 | 0.96 | 30 | ∞ |" in text
    assert "| two | +0.1 (+0 to +0.2) |" in text
    assert "one above two in 1/ε_B(30%), on simulated jets: **no**, 50 against ∞." in text
    assert (tmp_path / "example.png").stat().st_size > 1000
