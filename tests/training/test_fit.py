"""`fit`: from jets to a tagger, and everything it refuses."""

from __future__ import annotations

import csv
import importlib.util
import inspect
import math
import random
import signal
import subprocess
import sys
from importlib.metadata import version

import awkward as ak
import numpy as np
import pytest
import torch

from arithmetic import EPSILON
from coffea_equitag import JetError, TaggerError, fit, kernels, load, models
from coffea_equitag.evaluation import measure
from coffea_equitag.training.data import InMemory, LabelledJets
from coffea_equitag.training.loop.module import Batch, Progress, Training
from coffea_equitag.training.objectives import Classification
from coffea_equitag.training.options import Options
from coffea_equitag.training.recipes import recipe_of

QUICK = {"epochs": 1, "batch_size": 32, "device": "cpu", "progress": False}


def test_learns_two_prongs(tmp_path, toy, build_small, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steady = {"first_cycle": None, "halve_from": None, "warmup": 2, "gradient_clip": 1.0}
    model = build_small()
    settings = QUICK | {"epochs": 12, "batch_size": 16, "learning_rate": 1e-2, "progress": True, "recipe": steady}
    tagger = fit(model, toy(400), out="runs/one", validation=0.25, monitor="auc", name="two-prong", **settings)
    metrics = measure(tagger(toy(300, seed=9)), toy(300, seed=9).label)
    assert metrics.auc > 0.95
    # the card is complete
    card = tagger.card
    assert (card.name, card.classes, card.signal) == ("two-prong", ("background", "signal"), "signal")
    assert card.contract.pt_range is not None
    assert card.training is not None
    assert (card.training.num_jets, card.training.num_validation_jets, card.training.seed) == (300, 100, 0)
    assert card.training.recipe["recipe"]["learning_rate"] == 1e-2
    assert card.training.versions["torch"] == version("torch")
    # the tagger is that of the best epoch in the table
    with open("runs/one/metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    best = max(rows, key=lambda row: float(row["auc"]))
    assert card.metrics["auc"] == float(best["auc"])
    assert card.metrics["epoch"] == float(best["epoch"])
    assert {"train_loss", "loss", "accuracy", "auc", "rejection_50", "rejection_30"} <= best.keys()
    assert load("runs/one").content_hash == tagger.content_hash
    # a line on what trains, one line per epoch, and no other files
    told = capsys.readouterr().err.splitlines()
    assert sum("AUC" in line for line in told) == 12
    assert [line for line in told if "trains on" in line] == [
        f"{model.kind} trains on {kernels.last_choice(model.kind)}"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert {path.name for path in (tmp_path / "runs/one").iterdir()} == {
        "run.json",
        "last.ckpt",
        "best.ckpt",
        "metrics.csv",
        "tagger",
    }


def test_each_option_is_a_keyword_with_the_same_default():
    keywords = inspect.signature(fit).parameters
    assert {name: keywords[name].default for name in Options.model_fields} == Options().model_dump()


def test_metrics_are_those_of_the_tagger(tmp_path, toy, build_small):
    jets, held = toy(80), toy(60, seed=5)
    tagger = fit(build_small(), jets, out=tmp_path / "run", validation=held, **QUICK)
    measured = measure(tagger(held), held.label)
    assert tagger.card.metrics["auc"] == pytest.approx(measured.auc, abs=1e-12)
    assert tagger.card.metrics["accuracy"] == pytest.approx(measured.accuracy)
    scores = np.where(held.label == 1, tagger(held), 1 - tagger(held))
    assert tagger.card.metrics["loss"] == pytest.approx(-np.mean(np.log(np.asarray(scores))), rel=1e-5)


def test_leaves_randomness_and_signals_alone(tmp_path, toy, build_small):
    def state() -> tuple[object, ...]:
        legacy = np.random.get_state()[1].tolist()  # noqa: NPY002
        return torch.get_rng_state().tolist(), legacy, random.getstate(), signal.getsignal(signal.SIGINT)

    model, before = build_small(), state()
    fit(model, toy(60), out=tmp_path / "run", **QUICK)
    assert state() == before


def test_sums_are_ordered_while_training_on_a_cpu(tmp_path, toy, build_small, monkeypatch):
    seen = []
    step = Training.training_step

    def watched(*arguments: object) -> torch.Tensor:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return step(*arguments)

    monkeypatch.setattr(Training, "training_step", watched)
    fit(build_small(), toy(60), out=tmp_path / "run", **QUICK)
    assert set(seen) == {True}
    assert not torch.are_deterministic_algorithms_enabled()


def test_ctrl_c_is_a_keyboard_interrupt(tmp_path, toy, build_small, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Training, "training_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(build_small(), toy(60), out=tmp_path / "run", **QUICK)
    assert signal.getsignal(signal.SIGINT) is handler
    fit(build_small(), toy(60), out=tmp_path / "run", **QUICK)


def test_nested_and_missing_jets_train_alike(tmp_path, toy, build_small):
    jets = toy(80)
    keep = np.arange(80) % 5 != 0
    masked = ak.unflatten(ak.mask(jets, keep), [10, 0, 30, 40])
    one = fit(build_small(), jets[keep], out=tmp_path / "one", **QUICK)
    two = fit(build_small(), masked, ak.unflatten(jets.label, [10, 0, 30, 40]), out=tmp_path / "two", **QUICK)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name])


@pytest.mark.parametrize("budget", [None, 300, 1])
def test_each_jet_weighs_the_same_whatever_its_batch_and_piece(toy, build_small, budget):
    # the gradients of an epoch's steps add up to that of the mean loss times the number of batches
    sample = LabelledJets.of(toy(50), "label", 2)
    model = build_small(dropout=0.0).double().eval()
    weights = (0.5, 1.5)
    source = InMemory(sample, 2, batch_size=8)
    module = Training(
        model,
        Classification(signal=1),
        source,
        source.chunks,
        recipe_of("lorentznet"),
        epochs=1,
        seed=0,
        class_weights=weights,
        progress=Progress(pair_budget=budget),
        optimizer_state=None,
    )
    chosen = list(source.batches(0))
    assert len(chosen) == source.num_batches(0)
    assert len({len(c.labels) for c in chosen}) > 1
    summed, total = [torch.zeros_like(p) for p in model.parameters()], 0.0
    for index, jets in enumerate(chosen):
        losses, _ = module.accumulate(Batch(jets, 0, index, len(chosen)))
        total += float(losses)
        summed = [a + p.grad for a, p in zip(summed, model.parameters(), strict=True)]
    model.zero_grad()
    weight = torch.tensor(weights)[sample.labels]
    losses = torch.nn.functional.cross_entropy(model(sample.jets).float(), sample.labels, reduction="none")
    (len(chosen) * (weight * losses).sum() / weight.sum()).backward()
    # each of n additions is off by ε/2 of a sum at most
    assert total == pytest.approx(float((weight * losses.detach()).sum()), rel=len(losses) * EPSILON)
    for got, parameter in zip(summed, model.parameters(), strict=True):
        torch.testing.assert_close(got, parameter.grad, rtol=1e-4, atol=1e-6 * len(chosen))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [(None, (1, 1)), ("balanced", (2 / 3, 2)), ((1, 3), (2 / 3, 2)), ((2, 2), (1, 1))],
)
def test_class_weights(tmp_path, toy, build_small, weights, expected):
    jets = toy(160)
    jets = ak.concatenate([jets[jets.label == 0][:60], jets[jets.label == 1][:20]])
    tagger = fit(build_small(), jets, out=tmp_path / "run", class_weights=weights, **QUICK)
    assert tagger.card.training is not None
    assert tagger.card.training.recipe["class_weights"] == pytest.approx(expected)


def test_three_classes(tmp_path, toy):
    jets = toy(90)
    jets["label"] = np.arange(90) % 3
    model = models.build("pfn", n_classes=3, phi=(8,), f=(8,))
    with pytest.raises(TaggerError, match="classes = None"):
        fit(model, jets, out=tmp_path / "run", **QUICK)
    tagger = fit(model, jets, out=tmp_path / "run", classes=("q", "g", "t"), signal="g", **QUICK)
    assert tagger(jets).fields == ["q", "g", "t"]
    assert tagger.card.signal == "g"


def test_bfloat16(tmp_path, toy):
    model = models.build("pfn", phi=(8,), f=(8,))
    tagger = fit(model, toy(60), out=tmp_path / "run", **(QUICK | {"precision": "bf16-mixed"}))
    assert all(value.dtype == torch.float32 for value in tagger.model.state_dict().values())


def test_pdg_id_goes_into_the_contract(tmp_path, toy):
    jets = toy(40)
    model = models.build("lorentznet", hidden=4, n_layers=1, pid=True, beams=False)
    with pytest.raises(JetError, match="pdgId"):
        fit(model, jets, out=tmp_path / "run", **QUICK)
    jets["constituents"] = ak.with_field(jets.constituents, ak.ones_like(jets.constituents.pt) * 211, "pdgId")
    tagger = fit(model, jets, out=tmp_path / "run", **QUICK)
    assert tagger.card.contract.constituent_fields == ("pdgId",)


def test_empty_jets_and_single_constituents(tmp_path, toy, build_small):
    jets = toy(60)
    counts = np.where(np.arange(60) < 8, np.arange(60) // 2 % 2, 100)
    jets["constituents"] = jets.constituents[ak.local_index(jets.constituents.pt) < counts]
    assert ak.min(ak.num(jets.constituents)) == 0
    tagger = fit(build_small(), jets, out=tmp_path / "run", **QUICK)
    assert math.isfinite(tagger.card.metrics["loss"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 0}, "epochs = 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"pair_budget": 0}, "pair_budget = 0"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"precision": "16-mixed"}, "precision = '16-mixed'"),
        ({"monitor": "time"}, "monitor = 'time'"),
        ({"seed": -1}, "seed = -1"),
        ({"device": "mps"}, "device = 'mps'"),
        ({"classes": ("a", "b", "c")}, "2 different names"),
        ({"classes": ("a", "a")}, "2 different names"),
        ({"signal": "top"}, "signal = 'top'"),
        ({"class_weights": "heavy"}, "class_weights = 'heavy'"),
        ({"class_weights": (1, -1)}, "class_weights"),
        ({"class_weights": (1, 2, 3)}, "class_weights"),
        ({"validation": 1.5}, "validation = 1.5"),
        ({"labels": "truth"}, "without a field 'truth'"),
        ({"recipe": {"momentum": 1}}, "momentum"),
        ({"name": "a name"}, "name"),
    ],
)
def test_refused(tmp_path, toy, build_small, changed, message):
    with pytest.raises(ValueError, match=message):
        fit(build_small(), toy(20), **(QUICK | {"out": tmp_path / "run"} | changed))
    assert not (tmp_path / "run").exists()


def test_jets_refused(tmp_path, toy, build_small):
    out = tmp_path / "run"
    jets = toy(20)
    with pytest.raises(JetError, match="0 jets of class 0"):
        fit(build_small(), jets[:0], out=out, **QUICK)
    with pytest.raises(JetError, match="0 jets of class 1"):
        fit(build_small(), jets[jets.label == 0], out=out, **QUICK)
    with pytest.raises(JetError, match="no validation jets of class 0"):
        fit(build_small(), jets, validation=jets[jets.label == 1], out=out, **QUICK)
    with pytest.raises(JetError, match="constituents"):
        fit(build_small(), ak.Array([{"label": 1}]), out=out, **QUICK)
    with pytest.raises(TaggerError, match="validation=\\(jets, labels\\)"):
        fit(build_small(), jets, jets.label, validation=jets, out=out, **QUICK)
    fit(build_small(), jets, jets.label, validation=(jets, jets.label), out=out, **QUICK)


def test_divergence_is_told(tmp_path, toy, build_small):
    model = build_small()
    with torch.no_grad():
        model.head[3].bias.fill_(torch.nan)
    with pytest.raises(TaggerError, match="training loss became nan in epoch 1"):
        fit(model, toy(40), out=tmp_path / "run", **QUICK)
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert state["progress"]["batches"] == 0


def test_what_is_no_network_is_refused(tmp_path, toy):
    with pytest.raises(TaggerError, match=r"type str\n.*\n.*models.build\('lorentznet'\)"):
        fit("lorentznet", toy(20), out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


def test_float64_weights_are_refused(tmp_path, toy, build_small):
    with pytest.raises(TaggerError, match=r"model\.float\(\)"):
        fit(build_small().double(), toy(40), out=tmp_path / "run", **QUICK)


def test_lightning_missing(tmp_path, toy, build_small, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "coffea_equitag.training.loop.runner.find_spec", lambda name: None if name == "lightning" else find(name)
    )
    with pytest.raises(TaggerError, match=r"coffea-equitag\[train\]"):
        fit(build_small(), toy(20), out=tmp_path / "run", **QUICK)


def test_lightning_is_imported_by_fit_alone():
    code = "import sys, coffea_equitag as e; e.fit; e.training; print('lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_recipe_keeps_the_hardest_constituents(tmp_path, toy):
    held = toy(60)
    assert ak.max(ak.num(held.constituents)) > 5
    for most, where in ((5, "few"), (None, "all")):
        torch.manual_seed(3)
        model = models.build("pelican", size=(4, 3, 2))
        settings = QUICK | {"out": tmp_path / where, "recipe": {"max_constituents": most}}
        tagger = fit(model, held, validation=held, **settings)
        assert tagger.card.contract.max_constituents == most
        assert tagger.card.metrics["auc"] == pytest.approx(measure(tagger(held), held.label).auc, abs=1e-12)
    cut = ak.copy(held)
    order = ak.argsort(held.constituents.pt, axis=-1, ascending=False)
    cut["constituents"] = held.constituents[ak.sort(order[..., :5], axis=-1)]
    few, every = load(tmp_path / "few").model, load(tmp_path / "all").model
    with torch.no_grad():
        assert torch.equal(few(held), few(cut))
        assert not torch.equal(every(held), every(cut))
    assert any(not torch.equal(a, b) for a, b in zip(few.parameters(), every.parameters(), strict=True))


def test_amsgrad(tmp_path, toy, build_small):
    fit(build_small(), toy(40), out=tmp_path / "run", **QUICK, recipe={"optimizer": "amsgrad"})
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["optimizer"]
    assert all("max_exp_avg_sq" in one for one in state["state"].values())


def test_label_smoothing(tmp_path, toy):
    held, models_ = toy(40, seed=2), {}
    for smoothing in (0.0, 0.4):
        torch.manual_seed(1)
        models_[smoothing] = models.build("pfn", phi=(8,), f=(8,))
        tagger = fit(
            models_[smoothing],
            toy(100),
            validation=held,
            out=tmp_path / f"{smoothing}",
            label_smoothing=smoothing,
            recipe={"learning_rate": 1e-2},
            **(QUICK | {"epochs": 6}),
        )
        with torch.no_grad():
            loss = torch.nn.functional.cross_entropy(tagger.model(held).double(), torch.tensor(held.label.to_list()))
        # validation knows the labels
        assert tagger.card.metrics["loss"] == pytest.approx(float(loss), rel=1e-6)
    with torch.no_grad():
        largest = {smoothing: float(torch.softmax(model(held), 1).max()) for smoothing, model in models_.items()}
    # a label of 0.8 is the best that a score can be
    assert largest[0.4] < 0.9 < largest[0.0]
    sample = LabelledJets.of(held, "label", 2)
    logits = torch.tensor([[1.0, 3.0]]).repeat(40, 1)
    soft = -torch.log_softmax(logits, 1)
    expected = (
        0.8 * soft.gather(1, sample.labels[:, None])[:, 0] + 0.2 * soft.gather(1, 1 - sample.labels[:, None])[:, 0]
    )
    torch.testing.assert_close(Classification(1, 0.4).losses(logits, sample), expected)
