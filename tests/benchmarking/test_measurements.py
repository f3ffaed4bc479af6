"""The measurements, on small networks and batches; the numbers themselves depend on the machine."""

from __future__ import annotations

import json
import os
from importlib.metadata import version

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import Tagger, TaggerError, kernels, models, read_jets
from coffea_equitag.benchmarking import Settings, explain_choices, measure, patches
from coffea_equitag.benchmarking.clock import Spread, in_turn
from coffea_equitag.benchmarking.comparison import compare
from coffea_equitag.benchmarking.forms import OURS, REFERENCE
from coffea_equitag.benchmarking.large_file import write_large_file
from coffea_equitag.benchmarking.machine import describe_machine
from coffea_equitag.benchmarking.memory import growth, memory_server
from coffea_equitag.benchmarking.pair_products import pairs_per_second
from coffea_equitag.benchmarking.peak_flops import measured_peak
from coffea_equitag.benchmarking.pipeline import STEPS, TAGGERS, from_file_to_scores
from coffea_equitag.benchmarking.report import _patches as patch_table
from coffea_equitag.benchmarking.report import markdown
from coffea_equitag.benchmarking.scaling import cost_of_one
from coffea_equitag.benchmarking.workloads import WORKLOADS, Workload, random_jets, representative
from coffea_equitag.demo import PACKAGED_FILE
from kernel_forms import needs_vectors


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads(name):
    workload = WORKLOADS[name]
    counts = workload.counts(4000, seed=1)
    assert abs(counts.mean() - workload.mean) < 0.1 * workload.mean
    assert 0.8 * workload.spread < counts.std() < 1.1 * workload.spread
    assert counts.min() >= 2
    assert counts.max() <= 200
    np.testing.assert_array_equal(counts, workload.counts(4000, seed=1))


@pytest.mark.parametrize("kind", models.names())
def test_random_jets_have_what_models_ask_for(kind):
    model = models.build(kind).eval()
    jets = random_jets(Workload("few", 8, 3), 5, model.fields)
    assert jets.num_jets == 5
    assert set(jets.columns) == set(model.fields)
    with torch.no_grad(), kernels.use("reference"):  # no compiling
        assert torch.isfinite(model(jets)).all()


def test_representative_jets():
    jets = random_jets(WORKLOADS["top"], 200)
    some = representative(jets, 20)
    assert some.num_jets == 20
    assert abs(float(some.counts.double().mean() / jets.counts.double().mean()) - 1) < 0.05
    assert representative(jets, 500) is jets


def test_spread_and_turns():
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert Spread.of([4.0, 1.0, 2.0, 3.0, 5.0]).scaled(2) == Spread(6.0, 4.0, 8.0)
    called = []
    found = in_turn({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 0.0, rounds=(2, 9))
    assert called == ["a", "b", "a", "b"]
    assert {name: len(times) for name, times in found.items()} == {"a": 2, "b": 2}


def test_peak_and_machine():
    assert 1e9 < measured_peak(1) < 1e13
    machine = describe_machine()
    assert {"processor", "cores", "versions", "date", "python"} <= set(machine)
    assert machine["versions"]["torch"] == version("torch")
    json.dumps(machine)


def test_growth_of_memory():
    assert 150e6 < growth(lambda: np.ones(25_000_000)) < 260e6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_memory_is_measured_in_processes_of_their_own():
    few = {"name": "few", "mean": 6, "spread": 1, "largest": 10}
    with memory_server(1) as ask:
        asked = {"kind": "pfn", "workload": few, "batch": 4, "jets": 4, "backward": False, "options": {}}
        one = ask("one_batch", form=REFERENCE, **asked)
        assert one is not None
        assert 0 <= one["bytes"] < 1e9
        assert ask("one_batch", form="no such form", **asked) is None
        scored = ask("scoring", kind="pfn", workload=few, jets=10, repeats=1, options={"phi": [8]})
        assert scored is not None
        assert scored["seconds"] > 0


def test_comparison():
    case = compare("lorentznet", "ak4", False, batch=3, seconds=0.01, rounds=(1, 1), device="cpu", ask=None)
    assert set(case["forms"]) == {
        OURS,
        REFERENCE,
        "padded to the largest",
        "padded to 128",
        "padded to 200",
        "edge list",
    }
    assert case["kernel"] == kernels.last_choice("lorentznet").kernel or case["reason"]
    for form in case["forms"].values():
        assert form["ms"]["median"] > 0
        assert 0 < form["differs"] < 1e-3
    assert case["forms"][OURS]["times_ours"]["median"] == 1
    assert 0.05 < case["gflop_per_jet"] < 0.5


def test_gradients_are_twice_as_many_operations():
    asked = {"batch": 2, "seconds": 0.01, "rounds": (1, 1), "device": "cpu", "ask": None, "options": {"f": [16]}}
    once, thrice = (compare("pfn", "ak4", backward, **asked) for backward in (False, True))
    assert thrice["gflop_per_jet"] == pytest.approx(3 * once["gflop_per_jet"])
    assert thrice["pass"] == "forward+backward"


def test_patches():
    rows = patches.compare("pfn", "forward", 0.01, (1, 1), "cpu")
    assert [row["options"] for row in rows] == [{"nodewise": "mass"}, {"nodewise": "energy"}]
    for row in rows:
        with torch.no_grad():
            models.build("pfn", **row["options"]).eval()(random_jets(Workload("few", 8, 3), 2))
        assert row["kernel"] == kernels.last_choice("pfn").kernel
        ratios = [f"{name}_times_ours" for name in ("layers", "padded", "plain")]
        assert min(row[name]["median"] for name in ("ms", *ratios)) > 0
    (none, *others), pairs = patches._options("lorentznet_base"), patches._options("particlenet")
    assert none == {}
    assert others == pairs
    assert "| pfn | nodewise mass | forward |" in patch_table(rows)


def test_large_file(tmp_path):
    packaged = read_jets(PACKAGED_FILE, jets="FatJet")
    write_large_file(tmp_path / "large.root", int(ak.count(packaged.pt)) + 1)
    read = read_jets(tmp_path / "large.root", jets="FatJet")
    assert ak.array_equal(read, ak.concatenate([packaged, packaged]))


def test_from_a_file_to_scores():
    found = from_file_to_scores(1, rounds=(1, 1))
    assert (found["events"], found["jets"]) == (400, ak.count(read_jets(PACKAGED_FILE, jets="FatJet").pt))
    assert list(found["taggers"]) == list(TAGGERS)
    for times in found["taggers"].values():
        assert list(times["steps"]) == list(STEPS)
        assert min(times[name] for name in ("engine", "score", "processor")) > 0
        assert sum(times["steps"].values()) > times["engine"] / 2


def test_pairs():
    found = pairs_per_second("ak4", number=20, seconds=0.01)
    assert found["entries"] == int((WORKLOADS["ak4"].counts(20) ** 2).sum())
    assert len(found["forms"]) == 5
    assert all(form["entries_per_second"] > 0 for form in found["forms"].values())


def test_explanations():
    rows = [row for row in explain_choices(("pfn", "lorentznet")) if row.device == "cpu"]
    assert len(rows) == 8
    assert {row.kernel for row in rows if row.dtype == "float64"} == {"reference"}
    assert all(row.reason for row in rows)
    assert all((row.self_check == "–") == (row.kernel == "reference") for row in rows)
    assert all("allowed" in row.self_check for row in rows if row.kernel == "cpu")


@needs_vectors
def test_explanations_of_options_and_of_taggers(tmp_path):
    """With the clamp of official checkpoints, kernels score and train."""
    options = {"hidden": 8, "n_layers": 2, "clamp": 100.0}
    model = models.build("lorentznet", **options)
    Tagger.from_model(model, name="clamped", classes=("a", "b")).save(tmp_path / "clamped")
    for name, given in (("lorentznet", options), (str(tmp_path / "clamped"), None)):
        scoring, training = [row for row in explain_choices((name,), given) if row.dtype == "float32"][:2]
        assert (scoring.kernel, training.kernel) == ("cpu", "cpu")
        assert "allowed" in training.self_check


def test_all_sections_make_one_report():
    settings = Settings(
        models=("pfn",),
        workloads=("ak4",),
        batch=2,
        seconds=0.01,
        memory=False,
        rounds=(1, 1),
        sizes=(3,),
        jets=(4,),
        file_jets=1,
    )
    told = []
    threads = torch.get_num_threads()
    found = measure(settings, told.append)
    torch.set_num_threads(threads)
    assert json.loads(json.dumps(found))["settings"]["models"] == ["pfn"]
    assert len(told) >= 6
    text = markdown(found)
    for heading in ("AK4-like", "Cost against n", "number of jets", "From a ROOT file", "Pair products"):
        assert heading in text
    assert "| pfn | forward |" in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": ("transformer",)},
        {"workloads": ("huge",)},
        {"sections": ("all",)},
        {"batch": 0},
        {"seconds": 0.0},
        {"threads": 0},
        {"sizes": (0,)},
        {"options": {"size": "48k"}},
    ],
)
def test_settings_refused(wrong):
    with pytest.raises(TaggerError):
        Settings(**wrong)


def test_one_jet():
    rows = list(cost_of_one("pfn", 0.01, options={"phi": [8], "f": [8]}))
    assert [(row["model"], row["n"]) for row in rows] == [("pfn", 20), ("pfn", 50)]
    assert all(row[name]["median"] > 0 for row in rows for name in ("scores", "logits", "batch"))
    assert json.loads(json.dumps(rows)) == rows
