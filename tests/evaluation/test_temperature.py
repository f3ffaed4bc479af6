"""Temperature scaling: the fit, the card, the hash, old cards."""

import awkward as ak
import numpy as np
import pytest
import torch
from scipy.special import softmax

from coffea_equitag import load, models
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.evaluation import fit_temperature
from coffea_equitag.evaluation.temperature import minimise
from coffea_equitag.jets import make_jets
from coffea_equitag.tagger import Tagger


@pytest.fixture(scope="module")
def jets():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6, 300)
    flat = {
        "px": rng.normal(0, 50, counts.sum()),
        "py": rng.normal(0, 50, counts.sum()),
        "pz": rng.normal(0, 50, counts.sum()),
    }
    flat["mass"] = np.full(counts.sum(), 0.14)
    return make_jets(ak.unflatten(ak.zip(flat), counts), label=rng.integers(0, 2, 300))


@pytest.fixture(scope="module")
def tagger():
    torch.manual_seed(1)
    return Tagger.from_model(models.build("pfn", n_classes=2), name="small", classes=("qcd", "top"))


def mostly_right(tagger, jets):
    """Labels with which the tagger agrees for three jets of four."""
    decisions = ak.to_numpy(tagger(jets) > 0.5).astype(int)
    return np.where(np.arange(len(decisions)) % 4 == 0, 1 - decisions, decisions)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_fit_finds_the_temperature_of_toys(classes):
    """400 toys of 400 jets: pulls have mean 0 and width 1 within 4 standard deviations (bias of the fit: below 0.1)."""
    rng, truth, pulls = np.random.default_rng(2), 2.5, []
    for _ in range(400):
        logits = rng.normal(0, 4, (400, classes))
        labels = (softmax(logits / truth, axis=1).cumsum(axis=1) < rng.uniform(size=(400, 1))).sum(axis=1)
        found, uncertainty = minimise(logits, labels, np.ones(400))
        pulls.append((found - truth) / uncertainty)
    assert abs(np.mean(pulls)) < 4 / 20 + 0.1
    assert abs(np.std(pulls) - 1) < 4 / np.sqrt(800) + 0.05


def test_weights_are_numbers_of_jets_and_the_minimum_is_one():
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(0, 2, (200, 2)), rng.integers(0, 2, 200)
    logits[np.arange(200), labels] += 1
    number = rng.integers(1, 4, 200)
    weighted, _ = minimise(logits, labels, number.astype(float))
    repeated, _ = minimise(np.repeat(logits, number, axis=0), np.repeat(labels, number), np.ones(number.sum()))
    assert weighted == pytest.approx(repeated, rel=1e-9)

    def loss(temperature):
        return -(number * np.log(softmax(logits / temperature, axis=1)[np.arange(200), labels])).sum()

    assert loss(weighted) < min(loss(weighted * 1.01), loss(weighted * 0.99))


def test_a_temperature_is_part_of_the_card(tagger, jets, tmp_path):
    labels = mostly_right(tagger, jets)
    fit = fit_temperature(tagger, jets, labels)
    assert fit.loss_after < fit.loss_before
    assert fit.num_jets == 300
    assert fit.tagger.card.temperature == fit.temperature
    assert fit.tagger.content_hash != tagger.content_hash
    assert fit.tagger.card.content_hash is None
    score, calibrated = ak.to_numpy(tagger(jets)), ak.to_numpy(fit.tagger(jets))
    odds = np.log(score.astype(float) / (1 - score.astype(float))) / fit.temperature
    assert np.allclose(calibrated, 1 / (1 + np.exp(-odds)), atol=1e-6)
    fit.tagger.save(tmp_path / "calibrated")
    again = load(tmp_path / "calibrated", "cpu")
    assert again.card.temperature == fit.temperature
    assert again.content_hash == fit.tagger.content_hash
    assert np.array_equal(again(jets), calibrated)
    assert str(fit).startswith("temperature ")


def test_missing_jets_are_left_out(tagger, jets):
    labels = mostly_right(tagger, jets)
    kept = np.arange(300) % 5 != 0
    fit = fit_temperature(tagger, jets.mask[kept], labels)
    assert fit.num_jets == 240
    assert fit.temperature == fit_temperature(tagger, jets[kept], labels[kept]).temperature


def test_a_temperature_of_one_leaves_the_hash(tagger):
    card = tagger.card.model_dump()
    assert card.pop("temperature") == 1.0
    old = Tagger(tagger.model, type(tagger.card).model_validate(card))
    assert old.content_hash == tagger.content_hash == tagger.with_temperature(1.0).content_hash


def test_what_cannot_be_fitted(tagger, jets):
    with pytest.raises(JetError, match="no temperature"):
        fit_temperature(tagger, jets, ak.values_astype(tagger(jets) > 0.5, int))
    with pytest.raises(JetError, match="no temperature"):
        fit_temperature(tagger, jets, ak.values_astype(tagger(jets) < 0.5, int))
    with pytest.raises(JetError, match="1 classes"):
        fit_temperature(tagger, jets, ak.zeros_like(jets.label))
    with pytest.raises(JetError, match="0 jets"):
        fit_temperature(tagger, jets[:0], jets.label[:0])
    with pytest.raises(JetError, match="another structure"):
        fit_temperature(tagger, jets, jets.label[:-1])
    with pytest.raises(JetError, match="a label 2"):
        fit_temperature(tagger, jets, jets.label + 1)
    for wrong in (0.0, -1.0, float("nan"), "warm"):
        with pytest.raises(TaggerError, match="temperature"):
            tagger.with_temperature(wrong)
