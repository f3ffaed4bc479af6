"""Metrics under weights, against those of the jets repeated as often."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from coffea_equitag.evaluation import measure
from coffea_equitag.evaluation.resampling import ReweightedMetrics


def scored(seed: int, number: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    scores = np.clip(generator.normal(0.4 + 0.2 * labels, 0.2), 0.01, 0.99)
    scores = np.round(scores, 1) if ties else scores
    return np.stack([1 - scores, scores], axis=1), labels


@given(seed=st.integers(0, 1000), number=st.integers(8, 200), ties=st.booleans())
@settings(deadline=None, max_examples=40)
def test_whole_weights_are_repeated_jets(seed, number, ties):
    probabilities, labels = scored(seed, number, ties)
    weights = np.random.default_rng(seed + 1).poisson(1.0, number)
    weights[:2] += 1  # a jet of each class
    metrics = ReweightedMetrics(probabilities, labels, 1)
    found = dict(zip(metrics.names, metrics(weights.astype(float)), strict=True))
    repeated = np.repeat(np.arange(number), weights)
    expected = measure(probabilities[repeated, 1], labels[repeated])
    # sums of fewer than 1000 terms of order 1, each exact to ε
    assert found["auc"] == pytest.approx(expected.auc, abs=1000 * np.finfo(float).eps)
    for rejection in expected.rejections:
        assert found[f"rejection_{100 * rejection.efficiency:g}"] == pytest.approx(rejection.value, rel=1e-12)
    # a score of one half counts as signal there
    if not (probabilities[:, 0] == probabilities[:, 1]).any():
        assert found["accuracy"] == pytest.approx(expected.accuracy, rel=1e-12)


def test_no_background_left():
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]])
    found = ReweightedMetrics(probabilities, np.array([1, 1, 0]), 1)(np.ones(3))
    assert found.tolist() == [1.0, 1.0, np.inf, np.inf]


def test_negative_weights_cancel_jets():
    probabilities, labels = scored(3, 40, ties=False)
    metrics = ReweightedMetrics(probabilities, labels, 1)
    # each jet twice, with weights that add up to 1
    twice = ReweightedMetrics(np.repeat(probabilities, 2, axis=0), np.repeat(labels, 2), 1)
    weights = np.tile([1.5, -0.5], 40)
    assert twice(weights) == pytest.approx(metrics(np.ones(40)), rel=1e-12)
