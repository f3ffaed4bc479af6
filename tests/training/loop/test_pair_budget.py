"""The pair budget of a training: chosen from the free memory, halved when a GPU runs out of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coffea_equitag import TaggerError, fit, kernels, models
from coffea_equitag.kernels import self_check
from coffea_equitag.training.data import LabelledJets
from coffea_equitag.training.loop import pair_budget
from coffea_equitag.training.loop.module import Training
from coffea_equitag.training.loop.pair_budget import bytes_per_pair, fitting_budget, free_memory, warn_of_memory
from interrupted_runs import cut_off_at

CPU = torch.device("cpu")
QUICK = {"epochs": 2, "batch_size": 32, "device": "cpu", "progress": False, "seed": 4}


@pytest.fixture(autouse=True)
def _layers():
    """The kernels' self-checks would be short of memory, too."""
    with kernels.use("reference"):
        yield


def build_plain():
    """A network that sees pairs and has no batch normalisation."""
    torch.manual_seed(1)
    return models.build("lgn", levels=1, channels=(2, 2), n_bells=2)


def out_of_memory_above(monkeypatch, pairs, calls=None, network=models.LGN):
    """A GPU with memory for at most this many pairs, during the first `calls` calls."""
    original, left = network.logits, [calls]

    def logits(self, jets, **keywords):
        if self.training and (left[0] is None or left[0] > 0) and int((jets.counts + 2).square().sum()) > pairs:
            if left[0] is not None:
                left[0] -= 1
            original(self, jets, **keywords)  # statistics and random numbers have changed by then
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return original(self, jets, **keywords)

    monkeypatch.setattr(network, "logits", logits)
    monkeypatch.setattr("coffea_equitag.training.loop.runner.fitting_budget", lambda *_: 1 << 20)


def test_budget_follows_from_what_is_kept_and_what_is_free(toy, monkeypatch):
    sample = LabelledJets.of(toy(60), "label", 2)
    model = build_plain()
    each = bytes_per_pair(model, sample)
    assert 2 * 4 * 3 < each < 2 * 4 * 1000
    for free, expected in ((1e9, 0.5e9 / 2), (1e12, 1e9)):
        monkeypatch.setattr(pair_budget, "free_memory", lambda device, free=free: free)
        chosen = fitting_budget(model, sample, CPU)
        assert expected / each / 2 < chosen <= expected / each
        assert chosen & (chosen - 1) == 0
    monkeypatch.setattr(pair_budget, "free_memory", lambda device: 0.0)
    assert fitting_budget(model, sample, CPU) == 1


def test_batch_statistics_do_not_depend_on_the_memory(toy, build_small, monkeypatch):
    sample = LabelledJets.of(toy(60), "label", 2)
    for free in (0.0, 1e9, 1e12):
        monkeypatch.setattr(pair_budget, "free_memory", lambda device, free=free: free)
        assert fitting_budget(build_small(), sample, CPU) is None
        assert fitting_budget(models.build("pelican", size=(4, 3, 2)), sample, CPU) is None
        assert fitting_budget(models.build("pfn"), sample, CPU) is None


def test_a_batch_that_does_not_fit_is_told(toy, build_small, monkeypatch):
    sample = LabelledJets.of(toy(60), "label", 2)
    model = build_small()
    pairs = int((sample.jets.counts + 2).square().sum())
    needed = 2 * pairs * 2 * bytes_per_pair(model, sample)
    monkeypatch.setattr(pair_budget, "free_memory", lambda device: 1.01 * needed)
    warn_of_memory(model, sample, 120, CPU)
    monkeypatch.setattr(pair_budget, "free_memory", lambda device: 0.99 * needed)
    with pytest.warns(RuntimeWarning, match="a batch of 120 jets takes about"):
        warn_of_memory(model, sample, 120, CPU)


def test_looking_leaves_the_network_as_it_was(toy, build_small):
    model = build_small(dropout=0.5).eval()
    before, numbers = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    bytes_per_pair(model, LabelledJets.of(toy(60), "label", 2))
    assert not model.training
    assert torch.equal(torch.get_rng_state(), numbers)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_self_check_of_kernels_does_not_count(toy, build_small, monkeypatch):
    """It comes first on a new machine, and keeps what its layers keep: a budget must not depend on that."""
    monkeypatch.setattr(self_check, "_outcomes", {})
    monkeypatch.setattr(self_check, "folders", lambda mirror: [])
    model, sample = build_small(), LabelledJets.of(toy(60), "label", 2)
    with kernels.use("cpu"):
        first = bytes_per_pair(model, sample)
        assert self_check.outcome(model.kind, "cpu", "training").startswith("passed: ")
        assert bytes_per_pair(model, sample) == first


def test_no_jets_and_empty_jets(build_small, random_jets):
    for counts in ([], [0, 0]):
        jets = random_jets(counts, label=np.zeros(len(counts), dtype=int))
        assert bytes_per_pair(build_small(beams=False), LabelledJets.of(jets, "label", 2)) == 0.0


def test_free_memory(tmp_path):
    assert 1e6 < free_memory(CPU) < 1e15
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("3000000\n")
    assert pair_budget._group_limits(tmp_path) == [2e6]
    (tmp_path / "memory.max").write_text("max\n")
    assert pair_budget._group_limits(tmp_path) == []


def test_out_of_memory_halves_the_budget_and_goes_on(tmp_path, toy, monkeypatch):
    out_of_memory_above(monkeypatch, 1000)
    with pytest.warns(RuntimeWarning, match="does not suffice"):
        fit(build_plain(), toy(100), out=tmp_path / "halved", **QUICK)
    progress = torch.load(tmp_path / "halved" / "last.ckpt", weights_only=True)["progress"]
    assert 250 <= progress["pair_budget"] <= 1000
    # the failed attempt has no effect: the same as with that budget from the start
    asked = QUICK | {"pair_budget": progress["pair_budget"]}
    fit(build_plain(), toy(100), out=tmp_path / "asked", **asked)
    states = [torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in ("halved", "asked")]
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name]), name


def test_resumes_with_the_halved_budget(tmp_path, toy, monkeypatch):
    settings = QUICK | {"save_every": 0}
    with monkeypatch.context() as patched:
        out_of_memory_above(patched, 1000)
        with pytest.warns(RuntimeWarning, match="does not suffice"):
            fit(build_plain(), toy(100), out=tmp_path / "unbroken", **settings)
    with monkeypatch.context() as patched:
        out_of_memory_above(patched, 1000)
        cut_off_at(patched, Training, "training_step", 5, KeyboardInterrupt)
        with pytest.warns(RuntimeWarning, match="does not suffice"), pytest.raises(KeyboardInterrupt):
            fit(build_plain(), toy(100), out=tmp_path / "broken", **settings)
    # enough memory now, but still the same steps
    fit(build_plain(), toy(100), out=tmp_path / "broken", **settings)
    ends = [torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in ("unbroken", "broken")]
    assert ends[0]["progress"] == ends[1]["progress"]
    for name, value in ends[0]["model"].items():
        assert torch.equal(value, ends[1]["model"][name]), name


def test_one_jet_too_large_for_memory_is_told(tmp_path, toy, monkeypatch):
    out_of_memory_above(monkeypatch, 10)
    with (
        pytest.warns(RuntimeWarning, match="does not suffice"),
        pytest.raises(TaggerError, match=r"one jet of \d constituents"),
    ):
        fit(build_plain(), toy(40), out=tmp_path / "run", **QUICK)


def test_batch_normalisation_is_not_cut_by_the_memory(tmp_path, toy, build_small, monkeypatch):
    out_of_memory_above(monkeypatch, 1000, network=models.LorentzNet)
    with pytest.raises(TaggerError, match=r"(?s)pairs at once.*begin again with pair_budget=\d+"):
        fit(build_small(), toy(100), out=tmp_path / "run", **QUICK)
