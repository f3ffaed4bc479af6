"""`fit` with selections, label maps, weights, flat spectra, folds and augmentation: that each of them takes effect."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import JetError, TaggerError, fit, models
from coffea_equitag.cli import main
from coffea_equitag.errors import SampleWarning
from coffea_equitag.training import RunConfig, folds

QUICK = {"epochs": 1, "batch_size": 16, "device": "cpu", "progress": False}


@pytest.fixture
def jets(toy):
    jets = toy(160)
    jets["event"] = np.arange(160) // 2
    jets["flavour"] = np.where(np.arange(160) % 2, 6, np.where(np.arange(160) % 4, -1, 21))
    jets["w"] = np.linspace(0.2, 2, 160)
    return jets


@pytest.fixture
def train(tmp_path):
    """Train for an epoch on some jets; returns the weights of the network, the card, and run.json.

    A network without batch normalisation: jets see nothing of each other.
    """

    def train(jets, labels="label", **options):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        torch.manual_seed(1)
        model = models.build("pfn", phi=(16, 16), f=(16,), **options.pop("model", {}))
        tagger = fit(model, jets, labels, out=out, **(QUICK | options))
        weights = torch.cat([value.flatten() for value in model.state_dict().values()])
        return weights, tagger.card, json.loads(Path(out, "run.json").read_text())

    return train


def test_a_selection_is_a_training_without_these_jets(jets, train):
    weights, card, record = train(jets, select="event < 60 & multiplicity > 3")
    assert record["left_out"] == {"training": {"selection": int(160 - card.training.num_jets / 0.9 + 0.5)}}
    assert record["settings"]["select"] == "event < 60 & multiplicity > 3"
    kept = jets[(jets.event < 60) & (ak.num(jets.constituents) > 3)]
    assert torch.equal(train(kept)[0], weights)
    assert torch.equal(train(jets, select=lambda jets: (jets.event < 60) & (ak.num(jets.constituents) > 3))[0], weights)
    assert not torch.equal(train(jets)[0], weights)


def test_labels_by_value_and_one_hot(jets, train):
    weights, card, record = train(jets, "|flavour|", label_map={6: "top", (1, 21): "qcd"})
    assert card.classes == ("qcd", "top")
    assert card.signal == "top"
    assert record["settings"]["label_map"] == {"6": "top", "1, 21": "qcd"}
    assert torch.equal(train(jets)[0], weights)
    jets["is_top"], jets["is_qcd"] = jets.label == 1, 1 - jets.label
    weights_one_hot, card, _ = train(jets, ["is_qcd", "is_top"])
    assert card.classes == ("is_qcd", "is_top")
    assert torch.equal(weights_one_hot, weights)
    weights_one_hot, card, _ = train(jets, {"rest": [], "top": "flavour == 6"})
    assert card.classes == ("rest", "top")
    assert torch.equal(weights_one_hot, weights)
    values = ak.to_numpy(abs(jets.flavour))
    assert torch.equal(train(jets, values, label_map={6: "top", (1, 21): "qcd"})[0], weights)


def test_jets_of_no_class(jets, train):
    mapping = {6: "top", 21: "gluon"}
    with pytest.raises(JetError, match=r"the label of jet 2 is 1 \(40 such of 160\)"):
        train(jets, "|flavour|", label_map=mapping)
    weights, _, record = train(jets, "|flavour|", label_map=mapping, unmapped="drop", classes=["gluon", "top"])
    assert record["left_out"] == {"training": {"no class": 40}}
    assert torch.equal(train(jets[jets.flavour != -1])[0], weights)


def test_flags_are_these_options(jets, train, tmp_path, capsys):
    ak.to_parquet(jets, tmp_path / "jets.parquet")
    words = ["--labels", "|flavour|", "--label-map", "{6: top, '1, 21': qcd}", "--select", "event < 60 & |w| > 0.3"]
    words += ["--weights", "w", "--flat", "{bins: {event: [0, 20, 60]}}", "--fold", "1", "--folds", "3"]
    words += ["--augmentation", "{drop: 0.1}", "--epochs", "1", "--batch-size", "16", "--device", "cpu"]
    out = tmp_path / "cli"
    assert main(["train", "pfn", str(tmp_path / "jets.parquet"), *words, "-o", str(out)]) == 0
    found = json.loads((out / "run.json").read_text())
    told = ", ".join(f"{number} ({why})" for why, number in found["left_out"]["training"].items())
    assert f"training jets left out: {told}" in capsys.readouterr().err
    assert list(found["left_out"]["training"]) == ["selection", "fold 1 of 3", "outside of the spectra"]
    options = {"select": "event < 60 & |w| > 0.3", "weights": "w", "flat": {"bins": {"event": [0, 20, 60]}}}
    options |= {"fold": 1, "folds": 3, "augmentation": {"drop": 0.1}, "label_map": {6: "top", (1, 21): "qcd"}}
    record = train(jets, "|flavour|", **options)[2]
    same = {"left_out", "spectra", "jets"}
    assert {name: record[name] for name in same} == {name: found[name] for name in same}
    assert {name: record["settings"][name] for name in options} == {name: found["settings"][name] for name in options}
    # the configuration that the run keeps is that of the run
    config = RunConfig.read(out / "config.yaml")
    assert (config.labels, config.label_map) == ("|flavour|", {"6": "top", "1, 21": "qcd"})
    assert main(["train", str(out / "config.yaml")]) == 0
    assert RunConfig.of(model="pfn", data="x", output="y", labels={"b": [], "c": "is_c"}).labels["b"] == ()


def test_a_weight_of_two_is_the_jet_twice(jets, train):
    """One batch of everything: the gradient with weights 2, 1, ... is that of a sample with the first jets twice."""
    twice = (np.arange(160) < 120) & (jets.label == 1)
    jets["w"] = 1.0 + twice
    repeated = jets[np.repeat(np.arange(160), 1 + twice)]
    options = {"batch_size": 400, "validation": jets, "epochs": 3, "learning_rate": 1e-2}
    weighted, card, record = train(jets, weights="w", **options)
    assert record["settings"]["weights"] == "w"
    expected, repeated_card, _ = train(repeated, weights="1", **options)
    plain, plain_card, _ = train(jets, **options)
    # float32 sums of up to 200 terms in another order
    assert card.metrics["train_loss"] == pytest.approx(repeated_card.metrics["train_loss"], rel=200 * 2**-24)
    assert card.metrics["train_loss"] != pytest.approx(plain_card.metrics["train_loss"], rel=1e-3)
    # Adam's steps are the gradient over its own size, which rounding changes where it is near 0: compare the bulk
    apart, effect = (weighted - expected).abs(), (weighted - plain).abs()
    assert float(apart.median()) < 1e-3 * float(effect.median())
    for same in (ak.to_numpy(jets.w), lambda jets: jets.w):
        given = {} if callable(same) else {"validation": 0.25}
        expected = train(jets, weights="w", **(options | given))[0]
        assert torch.equal(train(jets, weights=same, **(options | given))[0], expected)


def test_weights_of_validation_jets(jets, train):
    held = jets[:40]
    held["w"] = np.where(np.arange(40) < 20, 1e6, 1.0)
    held["label"] = np.where(np.arange(40) < 20, held.label, 1 - held.label)
    metrics = train(jets, weights="w", validation=held)[1].metrics
    jets["w"] = np.linspace(0.2, 2, 160)
    first = held[:20]
    first["w"] = 1.0
    alone = train(jets, weights="w", validation=first)[1].metrics
    # the others have 2e-5 of the weight
    for name in ("loss", "accuracy", "auc"):
        assert metrics[name] == pytest.approx(alone[name], rel=1e-4)
    even = train(jets, weights="w", validation=ak.with_field(held, 1.0, "w"))[1].metrics
    assert metrics["auc"] != pytest.approx(even["auc"], rel=1e-3)


def test_balance_is_of_weights(jets, train):
    jets["w"] = np.where(jets.label == 1, 3.0, 1.0)
    _, card, _ = train(jets, weights="w", class_weights="balanced", validation=jets)
    # 80 jets of each class, Σw = 240 and 80: weights c with 240 c1 = 80 c0 and a mean of 1 over Σw
    assert card.training.recipe["class_weights"] == pytest.approx([2.0, 2 / 3])


def test_weights_refused(jets, train):
    jets["w"] = np.where(np.arange(160) == 7, np.nan, 1.0)
    with pytest.raises(JetError, match="weight 'w' of jet 7 is nan"):
        train(jets, weights="w")
    with pytest.raises(JetError, match=r"weights of the training jets of class 1 \('signal'\) add up to -"):
        train(jets, weights="1 - 2 * label")
    train(jets, weights="1 - 1.5 * (event % 4 == 0)")  # negative, with positive sums
    with pytest.raises(JetError, match="weights of type 3 \\* int64 for 160 entries"):
        train(jets, weights=[1, 2, 3])
    with pytest.raises(TaggerError, match="validation jets without weights"):
        train(jets, weights=np.ones(160), validation=jets)


def test_flat_spectra(jets, train):
    edges = [0, 20, 40, 80]
    option = {"bins": {"event": edges}}
    weights, card, record = train(jets, flat=option, weights="w", validation=jets)
    assert card.training.recipe["flat"]["bins"] == {"event": edges}
    stored = np.array(record["spectra"]["sums"])[:, 1:-1]
    label, event, w = (ak.to_numpy(jets[name]) for name in ("label", "event", "w"))
    expected = [np.histogram(event[label == k], edges, weights=w[label == k])[0] for k in (0, 1)]
    np.testing.assert_allclose(stored, expected, rtol=1e-13)
    # the same as weights computed here
    factors = np.array([1, 1, 2]) / np.array(expected)
    bins = np.digitize(event, edges) - 1
    jets["flattened"] = w * factors[label, bins] * w.sum() / 8
    torch.testing.assert_close(train(jets, weights="flattened", validation=jets)[0], weights, rtol=1e-6, atol=1e-7)
    assert not torch.allclose(train(jets, weights="w", validation=jets)[0], weights, rtol=1e-6, atol=1e-7)
    narrow = train(jets, flat={"bins": {"event": [0, 40]}})[2]
    assert narrow["left_out"]["training"]["outside of the spectra"] > 50
    with pytest.warns(SampleWarning, match="'background' has no jets in 1 bins"):
        train(jets, flat={"bins": {"event + 100 * label": [0, 100, 200]}}, select="event > 20 | label == 1")


def test_resampling(jets, train):
    option = {"bins": {"event * event": [0, 400, 6400]}, "method": "resample"}
    weights, card, _ = train(jets, flat=option, validation=jets)
    assert card.training.num_jets == 160
    assert not torch.equal(train(jets, flat=option | {"method": "weights"}, validation=jets)[0], weights)
    assert torch.equal(train(jets, flat=option, validation=jets)[0], weights)
    assert not torch.equal(train(jets, validation=jets)[0], weights)


def test_folds_leave_their_events_out(jets, train):
    cards = []
    for fold in range(3):
        weights, card, record = train(jets, fold=fold, folds=3, validation=0.2)
        assert (card.training.fold, card.training.folds, card.training.event_id) == (fold, 3, ("event",))
        inside = ak.to_numpy(folds.fold_of(jets, 3)) == fold
        assert record["left_out"] == {"training": {f"fold {fold} of 3": int(inside.sum())}}
        assert card.training.num_jets + card.training.num_validation_jets == 160 - inside.sum()
        # jets of the fold do not matter, others do
        changed = ak.with_field(jets, ak.where(inside, 1 - jets.label, jets.label), "label")
        assert torch.equal(train(changed, fold=fold, folds=3, validation=0.2)[0], weights)
        changed = ak.with_field(jets, ak.where(inside, jets.label, 1 - jets.label), "label")
        assert not torch.equal(train(changed, fold=fold, folds=3, validation=0.2)[0], weights)
        cards.append(card)
    held = train(jets, fold=0, folds=3, validation=jets)[2]["left_out"]
    assert held["training"] == held["validation"]
    for wrong in ({"fold": 3, "folds": 3}, {"fold": 1}, {"folds": 3}, {"fold": -1, "folds": 3}):
        with pytest.raises(TaggerError, match="fold"):
            train(jets, **wrong)
    with pytest.raises(JetError, match="without the number of their event"):
        train(jets[["label", "constituents"]], fold=0, folds=3)


def test_augmentation_changes_training_jets_only(jets, train):
    plain, _, record = train(jets)
    weights, augmented, found = train(jets, augmentation={"smear_energy": 0.3, "drop": 0.2})
    assert not torch.equal(plain, weights)
    assert torch.equal(train(jets, augmentation={"smear_energy": 0.3, "drop": 0.2})[0], weights)
    assert found["jets"] == record["jets"]
    assert augmented.training.recipe["augmentation"]["drop"] == 0.2
    # with no learning the validation's loss is that of the same jets
    still = {"learning_rate": 1e-30}
    assert (
        train(jets, **still)[1].metrics["loss"] == train(jets, augmentation={"drop": 0.9}, **still)[1].metrics["loss"]
    )
    with pytest.raises(TaggerError, match=r"augmentation.drop = 2"):
        train(jets, augmentation={"drop": 2})
