"""What is measured of taggers of three classes and of momenta."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch
from zoo.measure import cost, evaluation, performance, resolution, symmetry

import coffea_equitag as eqt
from training.conftest import toy_jets


@pytest.fixture(scope="module")
def momenta():
    torch.manual_seed(0)
    model = eqt.models.build("pelican", size="3k", output="momentum", symmetry="so13")
    return eqt.tagger.Tagger.from_model(model, name="m", classes=())


@pytest.fixture(scope="module")
def jets():
    jets = toy_jets(60)
    whole = ak.sum(jets.constituents, axis=1)
    for name, values in {"pt": whole.pt * 1.1, "eta": whole.eta, "phi": whole.phi, "mass": whole.mass + 1}.items():
        jets = ak.with_field(jets, values, f"true_{name}")
    return jets


def test_rejection_of_each_background():
    model = eqt.models.build("pfn", phi=[4], f=[4], n_classes=3)
    tagger = eqt.tagger.Tagger.from_model(model, name="t", classes=("light", "c", "b"), temperature=2.0)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 400)
    logits = rng.normal(size=(1200, 3)) + 2 * np.eye(3)[labels]
    found = performance(evaluation(tagger, logits, labels), "toys", (0.7,))
    assert found.num_jets == {"light": 400, "c": 400, "b": 400}
    odds = np.exp(logits / 2)
    score = odds[:, 2] / odds.sum(axis=1)
    cut = np.sort(score[labels == 2])[::-1][279]  # keeps 280 of 400
    for name, which in (("_light", labels == 0), ("_c", labels == 1), ("", labels < 2)):
        one = found.metrics[f"rejection_70{name}"]
        assert one.value == pytest.approx(1 / np.mean(score[which] >= cut))
        assert one.low < one.value < one.high
    assert found.metrics["accuracy"].value == pytest.approx(np.mean(logits.argmax(axis=1) == labels))


def test_infinite_rejections_are_null():
    model = eqt.models.build("pfn", phi=[4], f=[4])
    tagger = eqt.tagger.Tagger.from_model(model, name="t", classes=("a", "b"))
    labels = np.repeat([0, 1], 20)
    found = performance(evaluation(tagger, 9.0 * np.eye(2)[labels], labels), "toys", (0.5,))
    rejection = found.metrics["rejection_50"]
    assert (rejection.value, rejection.high) == (None, None)
    assert rejection.low > 5
    assert rejection.numbers[0] == np.inf


def test_momenta(momenta, jets):
    found = resolution(momenta, jets, "toys")
    assert found.num_jets == {"all": 60}
    own = found.metrics["pt_resolution_of_jets"]
    assert own.value == pytest.approx(0, abs=1e-5)  # all responses are 1/1.1
    assert found.metrics["mass_resolution"].value > 0
    # PELICAN without spurions turns with its jets
    changes = symmetry(momenta, jets[:10]).changes
    assert all(change.largest <= 16 * change.rounding for change in changes.values())


def test_cost_is_per_jet(momenta, jets):
    few, many = cost(momenta, jets[:20]), cost(momenta, jets)
    assert (few.num_jets, many.num_jets) == (20, 60)
    assert many.constituents == pytest.approx(ak.mean(ak.num(jets.constituents)))
    assert 0 < many.microseconds_per_jet < 1e6
