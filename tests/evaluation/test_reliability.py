"""Calibration and confusion, by hand."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag.evaluation import Evaluation, binomial_interval
from coffea_equitag.evaluation.reliability import CONFIDENCE


def filled(scores, labels, **options) -> Evaluation:
    return Evaluation(("qcd", "top"), variables={}).fill(np.asarray(scores, np.float64), labels, **options)


def test_a_curve_by_hand():
    """Bins of 0.05: two jets at 0.10 to 0.15, of which one is top; four at 0.90 to 0.95, all top."""
    curve = filled([0.11, 0.13, 0.92, 0.92, 0.94, 0.94], [0, 1, 1, 1, 1, 1]).calibration.curve("top")
    assert curve.probability == pytest.approx([0.12, 0.93])
    assert curve.fraction.tolist() == [0.5, 1]
    assert curve.low == pytest.approx(binomial_interval([1, 4], [2, 4])[0])
    assert curve.error.value == pytest.approx((2 * 0.38 + 4 * 0.07) / 6)
    # only the first bin fluctuates: its share is 1/3, its variance 0.5²/2
    assert curve.error.high - curve.error.value == pytest.approx(np.sqrt(0.125) / 3)
    by_chance = [np.sqrt(2 / np.pi * p * (1 - p) / n) for p, n in ((0.12, 2), (0.93, 4))]
    assert curve.error_if_right == pytest.approx((2 * by_chance[0] + 4 * by_chance[1]) / 6)


def test_the_most_probable_class():
    curve = filled([0.11, 0.92], [0, 0]).calibration.curve(CONFIDENCE)
    assert curve.probability == pytest.approx([0.89, 0.92])
    assert curve.fraction.tolist() == [1, 0]


def test_right_probabilities_have_the_error_that_is_told():
    """Mean of 30 samples, whose spread is about a quarter of the error: within three times that over √30."""
    errors, expected = [], []
    for seed in range(30):
        generator = np.random.default_rng(seed)
        p = generator.uniform(size=2000)
        curve = filled(p, (generator.uniform(size=2000) < p).astype(int)).calibration.curve("top")
        errors.append(curve.error.value)
        expected.append(curve.error_if_right)
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=3 * 0.25 / np.sqrt(30))


def test_confusion_by_hand():
    scores = ak.zip({"a": [0.6, 0.2, 0.1, 0.2], "b": [0.3, 0.7, 0.8, 0.1], "c": [0.1, 0.1, 0.1, 0.7]})
    found = Evaluation(("a", "b", "c"), variables={}).fill(scores, [0, 0, 1, 0], weights=[1, 2, 3, 1]).confusion
    assert found.number.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    value, low, high = found.rates
    assert value[:2] == pytest.approx(np.array([[0.25, 0.5, 0.25], [0, 1, 0]]))
    assert np.isnan(value[2]).all()
    # Σ w² (pass − ½)² / (Σ w)² = 6/64 is the variance of 8/3 unweighted jets
    assert np.array([low[0, 1], high[0, 1]]) == pytest.approx(np.array(binomial_interval(4 / 3, 8 / 3)))
    assert found.accuracy.value == pytest.approx(4 / 7)


def test_efficiencies_in_bins_by_hand():
    pt = [5, 15, 15, 25, 25, 99]
    found = Evaluation(("qcd", "top"), variables={"pt": (0, 10, 20, 30, 40)})
    found.fill([0.9, 0.9, 0.2, 0.6, 0.1, 0.9], [1, 1, 1, 0, 0, 1], pt=pt)
    binned = found.efficiency("pt", 0.5, edges=(0, 20, 40))
    assert binned.outside == 1
    assert binned.classes["top"].number.tolist() == [3, 0]
    assert binned.classes["qcd"].number.tolist() == [0, 2]
    assert binned.classes["top"].value[0] == pytest.approx(2 / 3)
    assert binned.classes["qcd"].value[1] == pytest.approx(1 / 2)
    assert np.isnan(binned.classes["top"].value[1])
    interval = np.array([binned.classes["top"].low[0], binned.classes["top"].high[0]])
    assert interval == pytest.approx(np.array(binomial_interval(2, 3)))
    # without edges, bins that have jets, of about as many each
    edges = found.efficiency("pt", 0.5).edges
    assert (edges[0], edges[-1]) == (0, 30)
