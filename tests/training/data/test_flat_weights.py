"""Flat spectra, and those of a reference: by weights and by resampling."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.errors import SampleWarning
from coffea_equitag.training.data.flat_weights import FlatWeights
from coffea_equitag.training.data.jet_columns import JetColumns
from coffea_equitag.training.data.resampling import resampled
from coffea_equitag.training.data.spectra import Spectra

EDGES = (0.0, 1.0, 2.0, 4.0)
#: Values of x and classes: class 0 falls, class 1 rises.
X = np.array([0.5] * 6 + [1.5] * 3 + [3.0] * 1 + [0.5] * 1 + [1.5] * 2 + [3.0] * 7)
LABELS = np.array([0] * 10 + [1] * 10)
WEIGHTS = np.where(np.arange(20) % 2 == 0, 1.5, 0.5)


def spectra(**option: object) -> Spectra:
    made = Spectra.empty(FlatWeights(**({"bins": {"x": EDGES}} | option)), ("falling", "rising"))
    # in two chunks, one of them without jets of class 1
    made.fill(X[:4, None], LABELS[:4], WEIGHTS[:4])
    made.fill(X[4:, None], LABELS[4:], WEIGHTS[4:])
    return made


def histogram(weights: np.ndarray, label: int) -> np.ndarray:
    return np.histogram(X[label == LABELS], EDGES, weights=weights[label == LABELS])[0]


def test_flat_is_flat_in_both_classes():
    factors = spectra().factors(X[:, None], LABELS)
    for label in (0, 1):
        # Σ w = 20 in all, shared by 2 classes over a range of 4: density 2.5, over 1 + 1 + 2
        np.testing.assert_allclose(histogram(factors * WEIGHTS, label), [2.5, 2.5, 5], rtol=1e-14)


def test_reference_keeps_its_spectrum():
    factors = spectra(reference="rising").factors(X[:, None], LABELS)
    weighted = [histogram(factors * WEIGHTS, label) for label in (0, 1)]
    np.testing.assert_allclose(weighted[0], weighted[1], rtol=1e-14)
    np.testing.assert_allclose(weighted[1] / weighted[1].sum(), histogram(WEIGHTS, 1) / 10, rtol=1e-14)
    assert np.ptp(factors[LABELS == 1]) < 1e-14


def test_two_axes(toy):
    jets = toy(400)
    columns = JetColumns(ak.with_field(jets, np.random.default_rng(1).exponential(1, 400), "x"))
    option = FlatWeights(bins={"x": [0, 1, 20], "|eta|": np.array([0, 0.5, 20])})
    made = Spectra.empty(option, ("a", "b"))
    coordinates, labels = option.coordinates(columns), ak.to_numpy(jets.label)
    made.fill(coordinates, labels, np.ones(400))
    factors = made.factors(coordinates, labels)
    bins = [option.bins["x"], option.bins["|eta|"]]
    for label in (0, 1):
        chosen = labels == label
        found = np.histogram2d(*coordinates[chosen].T, bins, weights=factors[chosen])[0]
        # 200 jets of each class over 20 × 20: a quarter of a unit square's density in each
        np.testing.assert_allclose(found, np.outer([1, 19], [0.5, 19.5]) / 2, rtol=1e-13)


def test_chunks_add_up_and_are_stored():
    halves = [Spectra.empty(FlatWeights(bins={"x": EDGES}), ("falling", "rising")) for _ in range(2)]
    for half, chosen in zip(halves, (slice(0, 7), slice(7, 20)), strict=True):
        half.fill(X[chosen, None], LABELS[chosen], WEIGHTS[chosen])
    expected = spectra().factors(X[:, None], LABELS)
    together = halves[0] + halves[1]
    np.testing.assert_allclose(together.factors(X[:, None], LABELS), expected, rtol=1e-14)
    again = Spectra.from_json(json.loads(json.dumps(together.to_json())))
    assert np.array_equal(again.factors(X[:, None], LABELS), together.factors(X[:, None], LABELS))
    assert again.outside() == 0


def test_outside_of_the_bins():
    made = spectra(bins={"x": (1.0, 2.0, 4.0)})
    assert made.outside() == 7
    factors = made.factors(X[:, None], LABELS)
    assert (factors[X < 1] == 0).all()
    assert (factors[X > 1] > 0).all()
    assert made.factors(np.array([[4.0], [-np.inf], [np.inf]]), np.zeros(3, int)).tolist() == [0, 0, 0]


def test_largest_weight():
    factors = spectra(max_weight=1.5).factors(X[:, None], LABELS)
    free = spectra().factors(X[:, None], LABELS)
    for label in (0, 1):
        chosen = label == LABELS
        mean = (free * WEIGHTS)[chosen].sum() / WEIGHTS[chosen].sum()
        expected = np.minimum(free[chosen], 1.5 * mean)
        np.testing.assert_allclose(factors[chosen] / factors[chosen][0], expected / expected[0], rtol=1e-13)
    assert free[LABELS == 0].max() > 1.5 * free[LABELS == 0].mean()


def test_bins_that_betray_a_class_are_told():
    made = Spectra.empty(FlatWeights(bins={"x": EDGES}), ("falling", "rising"))
    chosen = (LABELS == 0) | (X > 1)
    made.fill(X[chosen, None], LABELS[chosen], WEIGHTS[chosen])
    with pytest.warns(SampleWarning, match=r"'rising' has no jets in 1 bins, with 32% of all jets"):
        made.warn()
    # 6 of 19 jets, of weights 1.5, 0.5, ... in pairs; the one left out, number 10, has 1.5
    assert pytest.approx(0.32, abs=0.005) == 6 / (20 - 1.5)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"bins": {"x": (1.0,)}}, "at least two are needed"),
        ({"bins": {"x": (1.0, 0.0)}}, "in ascending order"),
        ({"bins": {}}, "at least 1"),
        ({"bins": [0, 1]}, "a mapping from columns"),
        ({"bins": {"x +": (0, 1)}}, "the expression"),
        ({"bins": {"x": (0, np.nan)}}, "finite"),
        ({"max_weight": 1.0}, "greater than 1"),
    ],
)
def test_refuses_options(option, words):
    with pytest.raises(ValueError, match=words):
        FlatWeights(**({"bins": {"x": EDGES}} | option))


def test_refuses_samples(toy):
    with pytest.raises(JetError, match="the spectrum of 'b' as reference"):
        spectra(reference="b")
    made = spectra()
    made.fill(np.array([[0.5]]), np.array([1]), np.array([-1.5]))
    with pytest.raises(JetError, match=r"'rising' jets in 0 < x < 1 add up to 0"):
        made.factors(X[:, None], LABELS)
    columns = JetColumns(ak.with_field(toy(3), [1, np.nan, 2], "x"))
    with pytest.raises(JetError, match="'x' of jet 1 is NaN"):
        FlatWeights(bins={"x": EDGES}).coordinates(columns)


def test_resampling_gives_the_same_spectra():
    factors = spectra(method="resample").factors(X[:, None], LABELS)
    np.testing.assert_allclose(factors.sum(), 20, rtol=1e-14)  # an epoch is as long as before
    total = np.zeros(20)
    for epoch in range(400):
        drawn = resampled(factors, np.random.default_rng([3, epoch]))
        assert len(drawn) == 20
        copies = np.bincount(drawn, minlength=20)
        assert (copies >= np.floor(factors)).all()
        assert (copies <= np.ceil(factors)).all()
        total += copies
    # each count is f rounded up or down: a variance of at most 1/4 per epoch; five standard deviations
    np.testing.assert_allclose(total / 400, factors, atol=5 * 0.5 / 20)
    again = resampled(factors, np.random.default_rng([3, 7]))
    assert np.array_equal(again, resampled(factors, np.random.default_rng([3, 7])))


def test_resampling_nothing():
    assert len(resampled(np.zeros(5), np.random.default_rng(1))) == 0
    assert len(resampled(np.zeros(0), np.random.default_rng(1))) == 0
    assert resampled(np.array([2.0, 0, 1]), np.random.default_rng(1)).tolist() == [0, 0, 2]
