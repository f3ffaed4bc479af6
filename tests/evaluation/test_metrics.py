"""Metrics compared with values calculated by hand."""

from __future__ import annotations

import json
import math

import awkward as ak
import numpy as np
import pytest
import scipy.stats

from coffea_equitag import JetError
from coffea_equitag.evaluation import binomial_interval, measure, roc, roc_band, separate
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
    # share of the background below each signal jet, and of the signal above each background jet
    below, above = [1, 1, 4 / 5, 3 / 5], [2 / 4, 3 / 4, 1, 1, 1]
    deviation = math.sqrt(np.var(below, ddof=1) / 4 + np.var(above, ddof=1) / 5)
    assert metrics.auc_uncertainty == pytest.approx(deviation)
    odds, step = math.log(0.85 / 0.15), deviation / (0.85 * 0.15)
    assert (metrics.auc_low, metrics.auc_high) == pytest.approx(
        (1 / (1 + math.exp(step - odds)), 1 / (1 + math.exp(-step - odds)))
    )
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


def test_weights_count_as_so_many_jets():
    """Weights of 2 are jets that occur twice; intervals are those of the jets that are there."""
    twice = [1, 2, 1, 2, 1, 1, 2, 1, 1]
    weighted = measure(SCORES, LABELS, weights=twice, efficiencies=(0.85,))
    repeated = measure(np.repeat(SCORES, twice), np.repeat(LABELS, twice), efficiencies=(0.85,))
    assert weighted.auc == pytest.approx(repeated.auc, rel=1e-12)
    assert weighted.accuracy == pytest.approx(repeated.accuracy, rel=1e-12)
    assert weighted.rejections[0].value == pytest.approx(repeated.rejections[0].value, rel=1e-12)
    assert weighted.rejections[0].cut == repeated.rejections[0].cut
    assert weighted.rejections[0].high - weighted.rejections[0].low > (
        repeated.rejections[0].high - repeated.rejections[0].low
    )
    assert (weighted.num_signal, weighted.num_background) == (4, 5)


def test_equal_weights_change_nothing():
    plain, scaled = measure(SCORES, LABELS), measure(SCORES, LABELS, weights=np.full(9, 0.25))
    assert scaled.as_dict() == pytest.approx(plain.as_dict(), rel=1e-12)


def test_weights_of_events_hold_for_their_jets():
    scores, labels = ak.Array([[0.9, 0.2], [], [0.8, None, 0.1]]), ak.Array([[1, 0], [], [1, 0, 0]])
    by_event = measure(scores, labels, weights=[1.0, 5.0, 3.0])
    by_jet = measure(scores, labels, weights=ak.Array([[1.0, 1.0], [], [3.0, 3.0, 3.0]]))
    assert by_event == by_jet


def test_negative_weights():
    """Of the background 3 − 1 pass of 4: sums of weights, as for samples of next-to-leading order."""
    metrics = measure([0.9, 0.8, 0.7, 0.3], [1, 0, 0, 0], weights=[1, 3, -1, 2], efficiencies=(1.0,))
    assert metrics.rejections[0].value == math.inf
    separation = separate([0.9, 0.8, 0.7, 0.3], [1, 0, 0, 0], weights=[1, 3, -1, 2])
    assert separation.background.efficiency.tolist() == [0, 0, 3 / 4, 2 / 4, 1]
    assert separation.signal.efficiency.tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("jets", [(12, 12), (40, 400)])
@pytest.mark.parametrize("weighted", [False, True])
def test_coverage_of_the_auc(jets, weighted):
    """Normal scores one apart: an AUC of Φ(1/√2). Toys lie within three binomial deviations of 68.27% or above."""
    generator = np.random.default_rng(4)
    true, toys = scipy.stats.norm.cdf(1 / math.sqrt(2)), 400
    labels = np.repeat([1, 0], jets)
    inside = 0
    for _ in range(toys):
        scores = generator.normal(labels, 1)
        weights = generator.uniform(0.5, 1.5, len(labels)) if weighted else None
        found = measure(scores, labels, weights=weights, efficiencies=())
        inside += found.auc_low <= true <= found.auc_high
    assert inside / toys > LEVEL - 3 * math.sqrt(LEVEL * (1 - LEVEL) / toys)
    assert inside / toys < 0.85


def test_an_auc_of_one_has_an_interval():
    """n jets of each kind are n independent pairs, all in order: with probability A^n, (1 − 68.27%)/2 at the limit."""
    metrics = measure(np.r_[np.full(5, 0.9), np.full(7, 0.1)], np.repeat([1, 0], [5, 7]))
    assert (metrics.auc, metrics.auc_high) == (1, 1)
    assert metrics.auc_low == pytest.approx(((1 - LEVEL) / 2) ** (1 / 5))


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1, 1, 0, 0]}, "weights of background jets that sum to 0"),
        ({"weights": [-1, 0, 1, 1]}, "weights of signal jets that sum to -1"),
        ({"weights": [1, np.nan, 1, 1]}, "weights that are missing or not finite for 1 jets"),
        ({"weights": [1, 1, 1]}, "weights of type 3"),
        ({"efficiencies": [50]}, "an efficiency of 50"),
        ({"efficiencies": [0]}, "an efficiency of 0"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(JetError, match=message):
        measure([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], **options)


def test_unknown_signal():
    with pytest.raises(JetError, match="signal 'top'"):
        measure(ak.Array([{"q": 0.5, "t": 0.5}]), [0], signal="top")
