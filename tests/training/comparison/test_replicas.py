"""Differences and ratios of any two variants, with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from coffea_equitag.training.comparison import draw_jets, replicated


class Mean:
    """A metric whose values are the weighted mean of one number per jet, and of another."""

    names = ("one", "other")

    def __init__(self, values, other=1.0):
        self.values, self.other = values, other

    def __call__(self, weights):
        mean = float(weights @ self.values) / weights.sum()
        return np.array([mean, self.other * mean])


def jets(seed, number=400):
    return np.random.default_rng(seed).normal(5, 1, number)


def test_draws():
    draws = draw_jets(5000, 20)
    assert draws.shape == (20, 5000)
    # 100 000 Poisson numbers
    assert draws.mean() == pytest.approx(1, abs=0.02)
    assert draws.var() == pytest.approx(1, abs=0.03)


def test_uncertainty_of_a_mean_and_of_a_difference():
    """The bootstrap's is that of the mean; what all jets have in common cancels in a difference."""
    common, draws, weights = jets(0), draw_jets(400, 500), np.ones(400)
    one = replicated([Mean(common)], weights, draws, (0, 0))
    found = one.estimates["one"]
    assert found.value == pytest.approx(common.mean())
    # 500 replicas: the width is known to 3%
    assert (found.high - found.low) / 2 == pytest.approx(common.std() / 20, rel=0.15)
    shifted = replicated([Mean(common + 0.1)], weights, draws, (0, 1))
    difference = shifted.minus(one)["one"]
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    other = replicated([Mean(jets(1) + 1)], weights, draws, (0, 2))
    difference = other.minus(one)["one"]
    assert difference.significance == pytest.approx(difference.value / np.hypot(0.05, 0.05), rel=0.2)
    assert one.minus(other)["one"].significance == pytest.approx(difference.significance, rel=1e-9)


def test_trainings_are_drawn_too():
    draws, weights = draw_jets(10, 400), np.ones(10)
    means = (1.0, 2.0, 3.0, 4.0, 5.0)
    found = replicated([Mean(np.full(10, mean)) for mean in means], weights, draws, (0, 0))
    assert found.quartiles["one"] == (2.0, 3.0, 4.0)
    # medians of five drawn of five: 3 in 37%, 2 or 4 in 26% each, 1 or 5 in 6% each
    shares = [np.mean(found.medians[:, 0] == mean) for mean in means]
    assert shares == pytest.approx([0.058, 0.26, 0.365, 0.26, 0.058], abs=0.07)


def test_ratio():
    draws, weights = draw_jets(50, 20), np.ones(50)
    one, two = (replicated([Mean(jets(0, 50), k)], weights, draws, (0, 0)) for k in (1.0, 3.0))
    ratio = two.over(one)["other"]
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((3, 3, 3))


class Passing:
    """1/ε of jets above a cut: infinite where none passes."""

    names = ("accuracy", "rejection")

    def __init__(self, values, cut):
        self.passes, self.other = values > cut, values.mean()

    def __call__(self, weights):
        passed = weights @ self.passes
        return np.array([self.other, weights.sum() / passed if passed else np.inf])


def test_infinite_rejections():
    values, draws, weights = jets(0, 50), draw_jets(50, 60), np.ones(50)
    finite = replicated([Passing(values, 5)], weights, draws, (0, 0))
    infinite = replicated([Passing(values, 5), Passing(values, 100), Passing(values, 100)], weights, draws, (0, 1))
    assert infinite.estimates["rejection"].value == np.inf
    # what is finite is not touched by that: the mean of the two in the middle
    assert infinite.estimates["accuracy"].value == pytest.approx(values.mean())
    difference = infinite.minus(finite)["rejection"]
    assert difference.value == np.inf
    assert np.isnan(difference.significance)
    same = infinite.minus(infinite)["rejection"], infinite.over(infinite)["rejection"]
    assert [(each.value, each.low, each.high) for each in same] == [(0, 0, 0), (1, 1, 1)]
