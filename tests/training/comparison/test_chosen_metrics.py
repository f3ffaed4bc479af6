"""Metrics by name, against those of `measure` on the jets of the classes."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import TaggerError
from coffea_equitag.evaluation import discriminate, measure, momentum_resolution
from coffea_equitag.training.comparison import ScoredJets, chosen_metrics, is_better

CLASSES = ("light", "c", "b")


@pytest.fixture(scope="module")
def flavours():
    """Scores of three classes, of which c is closer to b."""
    generator = np.random.default_rng(0)
    truth = generator.choice(3, 3000, p=(0.5, 0.1, 0.4))
    logits = generator.normal(0, 1, (3000, 3)) + np.array([[2, 0.5, 0], [1, 1.5, 0.5], [0, 0.5, 2]])[truth]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return ScoredJets("jets", scores.astype(np.float32).astype(np.float64), truth, np.ones(3000))


def test_against_all_and_against_some(flavours):
    names = ("auc", "rejection_70:light", "accuracy", "rejection_85", "rejection_85:mix", "auc:c", "rejection_70:c")
    between = {"mix": ("b", {"c": 0.1, "light": 0.9})}
    metrics = chosen_metrics(flavours, names, CLASSES, "b", between)
    assert metrics.names == names
    found = dict(zip(names, metrics(flavours.weights), strict=True))

    record = {name: flavours.scores[:, k] for k, name in enumerate(CLASSES)}
    every = measure(flavours.scores[:, 2], flavours.truth == 2, efficiencies=(0.85,))
    assert found["auc"] == pytest.approx(every.auc, rel=1e-12)
    assert found["rejection_85"] == pytest.approx(every.rejections[0].value, rel=1e-12)
    assert found["accuracy"] == np.mean(flavours.scores.argmax(axis=1) == flavours.truth)
    for background in ("light", "c"):
        pair = discriminate(ak.zip(record), flavours.truth, "b", background)
        expected = measure(*pair, efficiencies=(0.7,))
        assert found[f"rejection_70:{background}"] == pytest.approx(expected.rejections[0].value, rel=1e-12)
    assert found["auc:c"] == pytest.approx(measure(*discriminate(ak.zip(record), flavours.truth, "b", "c")).auc)
    mixed = measure(*discriminate(ak.zip(record), flavours.truth, *between["mix"]), efficiencies=(0.85,))
    assert found["rejection_85:mix"] == pytest.approx(mixed.rejections[0].value, rel=1e-12)


def test_weights_are_those_of_the_jets(flavours):
    """Jets of other classes have no say, and jets of weight 2 count twice."""
    names = ("rejection_70:light", "auc:light")
    metrics = chosen_metrics(flavours, names, CLASSES)
    weights = np.where(flavours.truth == 1, 5.0, 1.0)
    assert metrics(weights).tolist() == metrics(np.ones(3000)).tolist()
    assert metrics(np.where(flavours.truth == 0, 2.0, 1.0)) == pytest.approx(metrics(np.ones(3000)))
    some = np.random.default_rng(1).integers(0, 3, 3000)
    repeated = np.repeat(np.arange(3000), some)
    drawn = ScoredJets("drawn", flavours.scores[repeated], flavours.truth[repeated], np.ones(len(repeated)))
    expected = chosen_metrics(drawn, names, CLASSES)(drawn.weights)
    assert metrics(some.astype(float)) == pytest.approx(expected, rel=1e-12)


def test_of_momenta():
    generator = np.random.default_rng(0)
    three = generator.normal(0, 300, (500, 3))
    truth = np.concatenate([np.sqrt((three**2).sum(axis=1, keepdims=True) + 80.0**2), three], axis=1)
    jets = ScoredJets("jets", truth * generator.normal(1, 0.1, (500, 1)), truth, np.ones(500))
    found = chosen_metrics(jets, ("pt_resolution", "mass_resolution"))(jets.weights)
    expected = momentum_resolution(jets.scores, truth, replicas=0)
    assert found == pytest.approx([expected.pt.width.value, expected.mass.width.value], rel=1e-12)
    assert is_better("pt_resolution", 0.1, 0.2)
    assert is_better("rejection_70:light", 20, 10)


def test_kept_in_a_file(flavours):
    again = ScoredJets.from_bytes(flavours.to_bytes())
    assert again.identity == "jets"
    assert (again.scores == flavours.scores).all()
    assert (again.truth == flavours.truth).all()
    assert (again.weights == 1).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("auc", "rejection"), "the metric rejection"),
        (("mass_resolution",), "the metric mass_resolution"),
        (("auc:top",), "has no class 'top'"),
    ],
)
def test_refused(flavours, names, message):
    with pytest.raises(TaggerError, match=message):
        chosen_metrics(flavours, names, CLASSES)
    with pytest.raises(TaggerError, match="the metric auc"):
        chosen_metrics(flavours, ("auc",))
