"""Configurations of studies: those of the repository can run, and others are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from studies.page import page_text
from studies.study import Study

import coffea_equitag as eqt

ROOT = Path(__file__).parents[2] / "studies"
NAMES = sorted(path.parent.name for path in ROOT.glob("*/study.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_training_is_valid(name, tmp_path):
    study = Study.read(ROOT / name)
    folders = {part: tmp_path / part for part in study.sample.jets}
    built = set()
    for entry in study.entries():
        config = study.run_config(entry, 0, folders, tmp_path)
        assert Path(config.output) == tmp_path / entry.name / "seed-0"
        if entry.variant not in built:
            eqt.models.build(config.model, **config.options)
        built.add(entry.variant)


@pytest.mark.parametrize("name", NAMES)
def test_every_study_has_a_command(name):
    assert "main(__package__)" in (ROOT / name / "__main__.py").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_those_of_the_results(name):
    path = ROOT / name / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if "variants" not in results:
        pytest.skip("not measured yet, or by the first version")
    page = (ROOT.parent / "docs" / "studies" / f"{name}.md").read_text()
    assert page == page_text(Study.read(ROOT / name), name, results)


def test_same_name_and_configuration_in_several_studies():
    """Studies share runs: a variant of one name is one training."""
    known = {}
    for name in NAMES:
        study = Study.read(ROOT / name)
        folders = {part: Path(f"{study.sample.recipe}/{part}") for part in study.sample.jets}
        for entry in study.entries():
            config = study.run_config(entry, 0, folders, Path("runs"))
            key = study.sample.recipe, entry.name
            assert known.setdefault(key, config) == config, f"{key} of {name} is another in another study"


def test_entries(configuration):
    study = Study.model_validate(configuration)
    assert [(one.name, one.size, one.is_whole, one.repeats) for one in study.entries()] == [
        ("good", 400, True, 2),
        ("good-200", 200, False, 2),
        ("good-600", 600, False, 2),
        ("bad", 400, True, 1),
    ]
    assert study.groups() == {"good": ("bad",)}
    folders = {part: Path(part) for part in study.sample.jets}
    configs = {one.name: study.run_config(one, 1, folders, Path("runs")) for one in study.entries()}
    assert configs["good-600"].data == ("train", "more")
    assert configs["good-200"].data == ("train",)
    assert [configs[name].select for name in ("good", "good-200", "good-600")] == [None, "event <= 200", None]
    assert [configs[name].epochs for name in ("good", "good-200", "good-600")] == [1, 2, 1]
    assert configs["bad"].output == "runs/bad/seed-1"
    assert configs["bad"].seed == 1
    # a half
    assert study.sample.scaled(0.5) == {"train": 200, "more": 200, "validation": 200, "test": 200}
    assert study.sample.number(600, 0.5) == 400
    configuration["variants"]["bad"] |= {"select": "pt > 500", "sizes": [200]}
    selected = Study.model_validate(configuration)
    (_, small) = (one for one in selected.entries() if one.variant == "bad")
    assert selected.run_config(small, 0, folders, Path("runs")).select == "(pt > 500) & (event <= 200)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expected": [{"better": "good", "worse": "worst"}]}, "worst: not among the variants"),
        ({"expected": [{"better": "good", "worse": "bad", "metric": "rejection_70"}]}, "not among the metrics"),
        ({"sizes": [500], "expected": []}, "500 jets to train on: up to 400, or one of \\[400, 600\\]"),
        ({"figures": ["area"]}, "figures"),
        ({"baselines": {"good": ["worst"]}}, "worst: not among the variants"),
        ({"epoch": 3}, "epoch"),
    ],
)
def test_refused(configuration, change, message):
    for one in configuration["variants"].values():
        one.pop("sizes", None)
    configuration["expected"] = [{"better": "good", "worse": "bad", "metric": "auc"}]
    with pytest.raises(ValidationError, match=message):
        Study.model_validate(configuration | change)
