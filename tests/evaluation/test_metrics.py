"""Metrics compared with values calculated by hand."""

from __future__ import annotations

import json
import math

import awkward as ak
import numpy as np
import pytest
import scipy.stats

from coffea_equitag import JetError
from coffea_equitag.evaluation import binomial_interval, measure, roc, roc_band
from coffea_equitag.evaluation.intervals import LEVEL

# signal 0.9 0.8 0.7 0.4, background 0.75 0.5 0.3 0.2 0.1
SCORES = [0.9, 0.75, 0.8, 0.5, 0.7, 0.3, 0.4, 0.2, 0.1]
LABELS = [1, 0, 1, 0, 1, 0, 1, 0, 0]


def test_by_hand():
    metrics = measure(SCORES, LABELS)
    assert (metrics.num_signal, metrics.num_background, metrics.num_missing) == (4, 5, 0)
    # correct: 0.9, 0.8, 0.7 and 0.3, 0.2, 0.1
    assert metrics.accuracy == pytest.approx(6 / 9)
    interval = scipy.stats.binomtest(6, 9).proportion_ci(LEVEL, "exact")
    assert (metrics.accuracy_low, metrics.accuracy_high) == pytest.approx((interval.low, interval.high))
    # correctly ordered pairs: 5 + 5 + 4 + 3 of 20
    assert metrics.auc == pytest.approx(17 / 20)
    q1, q2 = 0.85 / 1.15, 2 * 0.85**2 / 1.85
    variance = (0.85 * 0.15 + 3 * (q1 - 0.85**2) + 4 * (q2 - 0.85**2)) / 20
    assert metrics.auc_uncertainty == pytest.approx(math.sqrt(variance))
    # half of the signal is above every background jet
    assert [r.value for r in metrics.rejections] == [math.inf, math.inf]
    assert [r.cut for r in metrics.rejections] == [0.8, 0.8]
    # with ε_B below x, none of 5 pass with probability (1 - x)^5, which is (1 - 68.27%)/2 at the limit
    limit = 1 / (1 - ((1 - LEVEL) / 2) ** 0.2)
    assert [(r.low, r.high) for r in metrics.rejections] == [(pytest.approx(limit), math.inf)] * 2


def test_rejection_by_hand():
    rejection = measure(SCORES, LABELS, efficiencies=[0.75]).rejections[0]
    assert (rejection.cut, rejection.value, rejection.passed) == (0.7, 5.0, 1)
    interval = scipy.stats.binomtest(1, 5).proportion_ci(LEVEL, "exact")
    assert (rejection.low, rejection.high) == pytest.approx((1 / interval.high, 1 / interval.low))


def test_one_jet_of_many_is_not_symmetric():
    """Of 283 background jets one passes: 1/ε_B is between 86 and 1639, not 283 ± 282."""
    scores = np.concatenate([np.full(10, 0.9), [0.95], np.zeros(282)])
    metrics = measure(scores, np.repeat([1, 0], [10, 283]))
    (rejection, _), rounded = metrics.rejections, json.loads(json.dumps(metrics.as_dict()))
    assert (rejection.value, rejection.passed) == (283, 1)
    # one of n or fewer pass with probability (1 - x)^n + n x (1 - x)^(n-1)
    for n, x, at_most in [(283, 1 / rejection.low, 1), (283, 1 / rejection.high, 0)]:
        probability = sum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(at_most + 1))
        assert probability == pytest.approx((1 - LEVEL) / 2 if at_most else 1 - (1 - LEVEL) / 2)
    assert "283 +1356 −197 (1 background jet passes)" in str(metrics)
    assert (rounded["rejection_50_low"], rounded["rejection_50_high"]) == (rejection.low, rejection.high)
    assert rounded["rejection_50_passed"] == 1
    assert not any("uncertainty" in name for name in rounded if name.startswith("rejection"))


@pytest.mark.parametrize(("passed", "total"), [(0, 1), (1, 1), (0, 40), (3, 40), (40, 40), (7, 100_000)])
def test_intervals_are_those_of_scipy(passed, total):
    expected = scipy.stats.binomtest(passed, total).proportion_ci(0.9, "exact")
    np.testing.assert_allclose(binomial_interval(passed, total, 0.9), (expected.low, expected.high), rtol=1e-9)


def test_band_of_the_roc():
    background, _, _ = roc(SCORES, LABELS)
    low, high = roc_band(background, 5)
    np.testing.assert_array_equal(low, binomial_interval(np.rint(5 * background), 5)[0])
    assert (low[0], high[-1]) == (0, 1)
    assert ((low <= background) & (background <= high)).all()


def test_roc_by_hand():
    background, signal, cuts = roc(SCORES, LABELS)
    at = {round(c, 2): (round(5 * b), round(4 * s)) for b, s, c in zip(background, signal, cuts, strict=True)}
    assert at[0.8] == (0, 2)
    assert at[0.75] == (1, 2)
    assert at[0.7] == (1, 3)
    assert at[0.4] == (2, 4)
    assert (background[0], signal[0], cuts[0]) == (0, 0, math.inf)


def test_equal_scores_count_half():
    assert measure([0.5, 0.5, 0.5], [0, 1, 1]).auc == pytest.approx(0.5)


def test_nesting_and_missing_scores():
    scores = ak.Array([[0.9, 0.75, None], [], None, [0.8, 0.5, 0.7], [0.3, 0.4, 0.2, 0.1]])
    labels = ak.Array([[1, 0, 1], [], None, [1, 0, 1], [0, 1, 0, 0]])
    nested, flat = measure(scores, labels), measure(SCORES, LABELS)
    assert nested.num_missing == 1
    assert nested.as_dict() == flat.as_dict() | {"num_missing": 1}
    assert "1 (left out)" in str(nested)


def test_label_of_a_missing_jet_may_be_missing():
    assert measure(ak.Array([0.1, None, 0.9]), ak.Array([0, None, 1])).auc == 1


def test_more_classes():
    scores = ak.Array(
        [
            {"q": 0.6, "g": 0.3, "t": 0.1},
            {"q": 0.2, "g": 0.5, "t": 0.3},
            {"q": 0.3, "g": 0.5, "t": 0.2},
            {"q": 0.1, "g": 0.1, "t": 0.8},
        ]
    )
    metrics = measure(scores, [0, 1, 2, 2])
    assert (metrics.num_signal, metrics.num_background) == (2, 2)
    assert metrics.accuracy == 0.75
    assert metrics.auc == 0.75
    assert measure(scores, [0, 1, 2, 2], signal="q").auc == 1
    assert measure(scores, [0, 1, 2, 2], signal=1).auc == pytest.approx(2.5 / 3)


def test_prints_and_serialises():
    metrics = measure(SCORES, LABELS, efficiencies=[0.75, 0.3])
    lines = str(metrics).splitlines()
    assert lines[1].split() == ["accuracy", "0.6667", "+0.1752", "−0.2214"]
    assert "5.0 +24.4 −3.1 (1 background jet passes)" in lines[3]
    assert "above 3.2 (no background jet passes)" in lines[4]
    # JSON has no infinity
    numbers = json.loads(json.dumps(metrics.as_dict(), allow_nan=False))
    assert numbers["rejection_75"] == 5
    assert "rejection_30" not in numbers
    assert numbers["rejection_30_low"] == pytest.approx(3.2, abs=0.1)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, 0.2], [1, 1], "only signal jets"),
        ([0.1, 0.2], [0, 0], "only background jets"),
        ([], [], "no jets"),
        ([None, None], [0, 1], "no jets|only"),
        ([0.1, np.nan], [0, 1], "1 of 2 scores are NaN or infinite, first of jet 1"),
        ([0.1, np.inf], [0, 1], "NaN or infinite"),
        ([0.1, 0.2], [0, 1, 1], "one label per score"),
        ([[0.1, 0.2], []], [[0], [1]], "one label per score"),
        ([[0.1, 0.2]], [0, 1], "one label per score"),
        ([0.1, 0.2], [0, 2], "label 2 of jet 1"),
        ([0.1, 0.2], [0, None], "1 jets with a score but no label"),
        ([0.1, 0.2], ["qcd", "top"], r"labels of type 2 \* string"),
    ],
)
def test_refused(scores, labels, message):
    with pytest.raises(JetError, match=message):
        measure(ak.Array(scores), ak.Array(labels))


def test_unknown_signal():
    with pytest.raises(JetError, match="signal 'top'"):
        measure(ak.Array([{"q": 0.5, "t": 0.5}]), [0], signal="top")
