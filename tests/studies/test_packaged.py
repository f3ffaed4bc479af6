"""Packaged taggers stand for trainings of a study that they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies.measured import card
from studies.packaged import packaged_run
from studies.runs import Runs
from studies.study import Study

import studies
from coffea_equitag import TaggerError, load

STUDY = Study.read(Path(studies.__file__).parent / "scaling")
ENTRIES = {entry.name: entry for entry in STUDY.entries() if entry.packaged}


def changed(name: str, **keys) -> Study:
    variant = STUDY.variants[name]
    other = variant.model_copy(update={"training": variant.training | keys})
    return STUDY.model_copy(update={"variants": STUDY.variants | {name: other}})


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_those_of_the_studies_are_what_they_stand_for(name, tmp_path):
    entry = ENTRIES[name]
    (run,) = Runs(STUDY, tmp_path).finished(entry)
    assert run.is_finished
    assert run.tagger.content_hash == load(entry.packaged, "cpu").content_hash
    assert card(run)["training"]["num_jets"] == entry.size
    folders = dict.fromkeys(STUDY.sample.jets, tmp_path)
    assert run.record["settings"]["epochs"] == STUDY.run_config(entry, 0, folders, tmp_path).epochs
    assert run.seconds is None
    assert run.processor is None


def test_they_are_not_trained(tmp_path):
    assert not set(ENTRIES) & {entry.name for entry, _ in Runs(STUDY, tmp_path).missing()}
    assert set(ENTRIES) <= {entry.name for entry, _ in Runs(STUDY, tmp_path, scale=0.1).missing()}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"epochs": 4}, "top-pelican with epochs 3 instead of 4"),
        ({"options": {"size": "24k"}}, "options {'size': '11k'} instead of {'size': '24k'}"),
        ({"model": "lgn"}, "network pelican instead of lgn"),
    ],
)
def test_others_are_refused(tmp_path, keys, message):
    with pytest.raises(TaggerError, match=message):
        packaged_run(changed("pelican", **keys), ENTRIES["pelican-200000"], tmp_path)
    seeds = STUDY.sample.model_copy(update={"seeds": STUDY.sample.seeds | {"train": 5}})
    with pytest.raises(TaggerError, match=r"jets .*200001.* instead of .*\('top', 5\)"):
        packaged_run(STUDY.model_copy(update={"sample": seeds}), ENTRIES["pelican-200000"], tmp_path)


def test_only_of_sizes_that_there_are(configuration):
    configuration["variants"]["bad"]["packaged"] = {300: "top-pelican"}
    with pytest.raises(ValueError, match=r"bad: packaged taggers of \[300\] jets, which are not among its sizes"):
        Study.model_validate(configuration)
