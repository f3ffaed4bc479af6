"""Comparison of two sets of numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from coffea_equitag.simulation.validation.statistics import compare, peak


def test_against_textbook():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.3, 1, 400), rng.normal(0, 2, 300)
    found = compare(np.append(a, np.nan), b)
    assert (found.num_simulated, found.num_real) == (400, 300)
    np.testing.assert_allclose(found.difference, stats.ttest_ind(a, b, equal_var=False).statistic)
    np.testing.assert_allclose(found.mean_simulated_error, stats.sem(a))
    np.testing.assert_allclose(found.ks_p, stats.ks_2samp(a, b).pvalue)
    assert found.median_real == np.median(b)
    np.testing.assert_allclose(found.spread_real, 2, rtol=0.2)


def test_same_and_shifted():
    rng = np.random.default_rng(2)
    values = rng.normal(size=3000)
    same = compare(values, values)
    assert (same.difference, same.ks, same.ks_p) == (0, 0, 1)
    shifted = compare(values + 0.3, rng.normal(size=2000))
    assert shifted.difference > 5
    assert shifted.ks_p < 1e-6


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], []), ([], [1.0, 2.0]), ([math.nan], [1.0])])
def test_too_few(a, b):
    found = compare(np.array(a), np.array(b))
    assert math.isnan(found.difference)
    assert math.isnan(found.ks_p)


def test_one_value_each():
    found = compare(np.array([1.0]), np.array([2.0]))
    assert math.isnan(found.difference)
    assert found.ks == 1


def test_constant_values():
    assert compare(np.ones(5), np.ones(4)).difference == 0
    assert math.isnan(compare(np.ones(5), np.zeros(4)).difference)


def test_peak_ignores_the_tails():
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(172, 8, 4000), rng.uniform(0, 400, 1000), [np.nan]])
    found = peak(values, 140, 210)
    assert abs(found.position - 172) < 4 * found.error
    assert 0.1 < found.error < 0.4
    np.testing.assert_allclose(found.share, found.number / 5000)


def test_no_peak():
    found = peak(np.array([1.0, 2.0]), 140, 210)
    assert found.number == 0
    assert math.isnan(found.position)
    assert math.isnan(peak(np.zeros(0), 140, 210).share)
