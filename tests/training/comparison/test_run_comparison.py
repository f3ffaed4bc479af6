"""Runs compared: a table of medians, differences on the same jets, and what is refused."""

from __future__ import annotations

import json
import shutil

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import TaggerError, fit
from coffea_equitag.cli import main
from coffea_equitag.evaluation import measure
from coffea_equitag.training import RunConfig, train
from coffea_equitag.training.comparison import compare_runs

QUICK = {"epochs": 1, "batch_size": 16, "device": "cpu"}
SMALL = {"hidden": 8, "n_layers": 1}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, toy):
    """Three seeds of PFN; a LorentzNet that learns more, and one that learns nothing."""
    folder = tmp_path_factory.mktemp("runs")
    ak.to_parquet(toy(120), folder / "train.parquet")
    ak.to_parquet(toy(300, seed=5), folder / "validation.parquet")
    common = QUICK | {"data": str(folder / "train.parquet"), "validation": str(folder / "validation.parquet")}
    train(RunConfig.of(model="pfn", output=str(folder / "pfn"), seeds=3, **common), progress=False)
    good = {"learning_rate": 1e-2, "epochs": 6, "recipe": {"warmup": 1}}
    for name, changes in (("good", good), ("bad", {"learning_rate": 1e-9})):
        config = RunConfig.of(model="lorentznet", output=str(folder / name), options=SMALL, **(common | changes))
        train(config, progress=False)
    return folder


def test_metrics_are_those_of_the_taggers(runs, toy):
    comparison = compare_runs([runs / "bad", runs / "good"], replicas=20)
    held = toy(300, seed=5)
    for variant, name in zip(comparison.variants, ("bad", "good"), strict=True):
        from coffea_equitag import load

        expected = measure(load(runs / name)(held), held.label)
        assert variant.name == str(runs / name)
        # float32 softmax of the tagger against float64 here may order jets of equal scores otherwise
        assert variant.quartiles["auc"][1] == pytest.approx(expected.auc, abs=1e-4)
        assert variant.num_parameters == load(runs / name).model.num_parameters()
        assert variant.seconds > 0


def test_difference_on_the_same_jets(runs):
    bad, good = compare_runs([runs / "bad", runs / "good"], replicas=100).variants
    assert bad.differences == {}
    difference = good.differences["auc"]
    assert difference.value == pytest.approx(good.quartiles["auc"][1] - bad.quartiles["auc"][1])
    assert 0 < difference.low < difference.value < difference.high
    # against itself there is nothing in any replica: the jets are the same
    shutil.copytree(runs / "good", runs.parent / "copy", dirs_exist_ok=True)
    _, copy = compare_runs([runs / "good", runs.parent / "copy"], replicas=20).variants
    assert {(d.value, d.low, d.high) for d in copy.differences.values()} == {(0.0, 0.0, 0.0)}


def test_seeds_are_one_variant(runs):
    variants = compare_runs([runs], replicas=20).variants
    assert [(one.name, one.num_runs) for one in variants] == [
        (str(runs / name), number) for name, number in (("bad", 1), ("good", 1), ("pfn", 3))
    ]
    low, median, high = variants[2].quartiles["auc"]
    single = sorted(
        compare_runs([runs / "pfn" / f"seed-{k}"], replicas=1).variants[0].quartiles["auc"][1] for k in range(3)
    )
    assert (low, median, high) == pytest.approx(tuple(np.quantile(single, (0.25, 0.5, 0.75))))


def test_repeats_share_their_validation_jets(runs, tmp_path):
    common = QUICK | {"model": "pfn", "data": str(runs / "train.parquet"), "validation": 0.3}
    train(RunConfig.of(output=str(tmp_path / "repeats"), seeds=2, seed=3, **common), progress=False)
    train(RunConfig.of(output=str(tmp_path / "other"), seed=5, split_seed=3, **common), progress=False)
    variants = compare_runs([tmp_path / "repeats", tmp_path / "other"], replicas=2).variants
    assert [one.num_runs for one in variants] == [2, 1]
    train(RunConfig.of(output=str(tmp_path / "split"), seed=5, **common), progress=False)
    with pytest.raises(TaggerError, match="other validation jets"):
        compare_runs([tmp_path / "other", tmp_path / "split"])
    # networks that see other columns of the jets, or fewer of the constituents, are compared on the same jets
    changed = {"max_constituents": 4, "seed": 5, "split_seed": 3}
    train(RunConfig.of(output=str(tmp_path / "few"), **(common | changed)), progress=False)
    assert len(compare_runs([tmp_path / "other", tmp_path / "few"], replicas=2).variants) == 2


def test_command(runs, tmp_path, capsys):
    words = ["compare", str(runs / "bad"), str(runs / "good"), "--replicas", "20"]
    assert main([*words, "-o", str(tmp_path / "table")]) == 0
    told = capsys.readouterr().out
    assert "1/ε_B(30%)" in told
    assert f"minus {runs / 'bad'}" in told
    assert (tmp_path / "table" / "comparison.md").read_text() == told
    written = json.loads((tmp_path / "table" / "comparison.json").read_text())
    assert [one["num_runs"] for one in written["variants"]] == [1, 1]
    # another metric
    assert main([*words, "--metrics", "rejection_85"]) == 0
    assert "1/ε_B(85%)" in capsys.readouterr().out
    # on other jets
    assert main([*words, "--data", str(runs / "train.parquet")]) == 0
    assert "on 120 jets" in capsys.readouterr().out


def test_refused(runs, tmp_path, toy, build_small):
    with pytest.raises(TaggerError, match=r"no run\.json"):
        compare_runs([tmp_path])
    with pytest.raises(TaggerError, match="replicas = 0"):
        compare_runs([runs], replicas=0)
    fit(build_small(), toy(60), out=tmp_path / "other", progress=False, **QUICK)
    with pytest.raises(TaggerError, match="other validation jets"):
        compare_runs([runs / "good", tmp_path / "other"])
    assert len(compare_runs([runs / "good", tmp_path / "other"], toy(60), replicas=5).variants) == 2
    named = ("qcd", "top")
    fit(build_small(), toy(60), out=tmp_path / "named", progress=False, classes=named, **QUICK)
    with pytest.raises(TaggerError, match="with classes qcd, top"):
        compare_runs([tmp_path / "other", tmp_path / "named"], toy(60))
    record = json.loads((tmp_path / "other" / "run.json").read_text())
    record["settings"]["epochs"] = 2
    (tmp_path / "other" / "run.json").write_text(json.dumps(record))
    with pytest.raises(TaggerError, match="not trained to the end"):
        compare_runs([tmp_path / "other"])
