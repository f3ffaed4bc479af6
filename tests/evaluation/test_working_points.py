"""Thresholds at wanted efficiencies: ties, weights, intervals, bins of pT, files of correctionlib."""

import json

import awkward as ak
import correctionlib
import numpy as np
import pytest
from correctionlib import schemav2

from coffea_equitag.errors import JetError
from coffea_equitag.evaluation import binomial_interval, working_points


def sample(rng, num_signal=400, num_background=600):
    scores = np.concatenate([rng.beta(4, 2, num_signal), rng.beta(2, 4, num_background)]).astype(np.float32)
    return scores, np.repeat([1, 0], [num_signal, num_background])


def test_a_signal_threshold_is_the_highest_score_that_keeps_enough():
    scores, labels = sample(np.random.default_rng(1))
    points = working_points(scores, labels, (0.5, 0.3, 1 / 3))
    ordered = np.sort(scores[labels == 1])[::-1]
    assert list(points.points) == ["eff50", "eff30", "eff33p3333"]
    for name, number in (("eff50", 200), ("eff30", 120), ("eff33p3333", 134)):
        (at,) = points[name]
        score = ordered[number - 1]
        assert np.nextafter(score, np.float32(0)) < at.value <= score
        assert at.signal.passed == number == (scores[labels == 1] >= np.float64(at.value)).sum()
        assert at.background.passed == (scores[labels == 0] >= at.value).sum()
        assert [at.signal.low, at.signal.high] == pytest.approx(
            list(map(float, binomial_interval(number, 400))), rel=1e-12
        )
        assert at.low < at.value < at.high


def test_a_mistag_threshold_keeps_at_most_the_rate():
    scores, labels = sample(np.random.default_rng(2))
    points = working_points(scores, labels, {"loose": 0.1, "medium": 0.0125}, background=True)
    ordered = np.sort(scores[labels == 0])[::-1]
    assert np.float32(points["loose"][0].value) == ordered[59]
    assert np.float32(points["medium"][0].value) == ordered[6]  # 7.5 jets: 7 are kept
    assert points["loose"][0].background.passed == 60
    assert points["medium"][0].background.passed == 7


def test_jets_of_equal_scores_pass_together():
    scores = np.repeat([0.9, 0.5, 0.1, 0.7, 0.2], [100, 200, 100, 100, 300])
    labels = np.repeat([1, 1, 1, 0, 0], [100, 200, 100, 100, 300])
    at = working_points(scores, labels, (0.5,))["eff50"][0]
    assert (at.value, at.low, at.high, at.signal.value) == (0.5, 0.5, 0.5, 0.75)
    at = working_points(scores, labels, (0.5,), background=True)["mistag50"][0]
    assert (at.value, at.background.value) == (0.7, 0.25)
    with pytest.raises(JetError, match=r"more than 10% have the highest score, 0\.7"):
        working_points(scores, labels, (0.1,), background=True)


def test_weights_count_as_so_many_jets():
    rng = np.random.default_rng(3)
    scores, labels = sample(rng, 200, 300)
    number = rng.integers(1, 5, len(scores))
    weighted = working_points(scores, labels, (0.5, 0.3), weights=number)
    repeated = working_points(np.repeat(scores, number), np.repeat(labels, number), (0.5, 0.3))
    for name in ("eff50", "eff30"):
        one, other = weighted[name][0], repeated[name][0]
        assert one.value == other.value
        assert one.signal.value == pytest.approx(other.signal.value, rel=1e-12)
        assert one.background.value == pytest.approx(other.background.value, rel=1e-12)
        # fewer jets than weights: wider
        assert one.low <= other.low
        assert one.high >= other.high
        assert one.signal.high - one.signal.low > other.signal.high - other.signal.low
    scaled = working_points(scores, labels, (0.5, 0.3), weights=np.full(len(scores), 0.7))
    plain = working_points(scores, labels, (0.5, 0.3))
    for name in ("eff50", "eff30"):
        assert scaled[name][0].value == plain[name][0].value
        assert (scaled[name][0].low, scaled[name][0].high) == (plain[name][0].low, plain[name][0].high)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("background", [False, True])
def test_intervals_cover_the_truth(weighted, background):
    """Toys: scores of the class are uniform, so that the threshold of efficiency ε is 1 − ε.

    Weights that grow with the score, w = 2s, make it sqrt(1 − ε). Of 1000 toys, a coverage of 68.27% or more gives
    fewer than 630 (3.6 standard deviations) with a probability below 2e-4; order statistics overcover by less than
    what one jet more or less makes, 10% here.
    """
    rng = np.random.default_rng(4)
    number, efficiency = 120, 0.2
    truth = np.sqrt(1 - efficiency) if weighted else 1 - efficiency
    covered = within = 0
    for _ in range(1000):
        scores = np.concatenate([rng.uniform(size=number), [0.5]])
        labels = np.repeat([0, 1] if background else [1, 0], [number, 1])
        weights = 2 * scores if weighted else None
        at = next(
            iter(working_points(scores, labels, (efficiency,), background=background, weights=weights).points.values())
        )[0]
        covered += at.low <= truth <= at.high
        passing = at.background if background else at.signal
        true_efficiency = 1 - at.value**2 if weighted else 1 - at.value
        within += passing.low <= true_efficiency <= passing.high
    assert 630 < covered < 830
    # the efficiency at a threshold chosen on the same jets is fixed: its true value varies as the interval says
    assert 630 < within < 830


def test_bins_of_pt_and_a_common_threshold():
    rng = np.random.default_rng(5)
    scores, labels = sample(rng, 2000, 2000)
    jet_pt = rng.uniform(200, 1200, len(scores))
    scores = np.where(jet_pt > 600, scores**2, scores)
    edges = [300, 600, 1000]
    points = working_points(scores, labels, (0.5,), pt=edges, jet_pt=jet_pt)
    for at, (low, high) in zip(points["eff50"], [(300, 600), (600, 1000)], strict=True):
        chosen = (jet_pt >= low) & (jet_pt < high)
        alone = working_points(scores[chosen], labels[chosen], (0.5,))["eff50"][0]
        assert at.pt == (low, high)
        assert (at.value, at.low, at.high, at.signal, at.background) == (
            alone.value, alone.low, alone.high, alone.signal, alone.background,
        )  # fmt: skip
    assert points.num_outside == ((jet_pt < 300) | (jet_pt >= 1000)).sum()
    common = working_points(scores, labels, (0.5,), pt=edges, jet_pt=jet_pt, flat=False)
    assert len(set(common.thresholds("eff50"))) == 1
    first, second = (at.signal for at in common["eff50"])
    inside = (jet_pt >= 300) & (jet_pt < 1000)
    assert first.value > 0.6 > second.value
    assert first.passed + second.passed == np.ceil(0.5 * (labels[inside] == 1).sum())


def test_nested_records_with_missing_jets_and_event_weights():
    rng = np.random.default_rng(6)
    flat, labels = sample(rng, 300, 300)
    order = rng.permutation(600)
    flat, labels = flat[order], labels[order]
    scores = ak.unflatten(ak.zip({"qcd": 1 - flat, "top": flat}), np.full(200, 3))
    nested_labels = ak.unflatten(labels, np.full(200, 3))
    event_weight = rng.uniform(0.5, 2, 200)
    missing = ak.mask(scores, ak.local_index(scores) != 1)
    kept = np.arange(600) % 3 != 1
    found = working_points(missing, nested_labels, (0.3,), signal="top", weights=event_weight)
    expected = working_points(flat[kept], labels[kept], (0.3,), weights=np.repeat(event_weight, 3)[kept])
    assert found.points == expected.points
    assert found.num_missing == 200


def test_too_few_jets_and_wrong_arguments():
    scores, labels = sample(np.random.default_rng(7), 30, 30)
    with pytest.raises(JetError, match="30 signal jets for an efficiency of 5%"):
        working_points(scores, labels, (0.05,))
    with pytest.raises(JetError, match=r"30 background jets for an efficiency of 0\.1%"):
        working_points(scores, labels, (0.001,), background=True)
    with pytest.raises(JetError, match="0 signal jets of pT 500 to 600 GeV"):
        working_points(scores, labels, pt=[300, 500, 600], jet_pt=np.full(60, 400.0))
    for bad in ((50,), (0.0,), {"a-b": 0.5}, ()):
        with pytest.raises(JetError, match=r"fractions, not percent|no efficiencies"):
            working_points(scores, labels, bad)
    for edges in ([300], [500, 300], [0, np.inf], "no"):
        with pytest.raises(JetError, match="edges in pT"):
            working_points(scores, labels, pt=edges, jet_pt=scores)
    with pytest.raises(JetError, match="add jet_pt"):
        working_points(scores, labels, pt=[300, 500])
    with pytest.raises(JetError, match="leave jet_pt out"):
        working_points(scores, labels, jet_pt=scores)
    with pytest.raises(JetError, match="one per jet"):
        working_points(scores, labels, weights=scores[:-1])
    with pytest.raises(JetError, match="weights that are missing or not finite for 1 jets"):
        working_points(scores, labels, weights=np.where(np.arange(60) == 3, np.nan, 1.0))
    with pytest.raises(JetError, match="do not sum to more than 0"):
        working_points(scores, labels, weights=-np.ones(60))


@pytest.mark.parametrize("binned", [False, True])
def test_the_file_is_valid_and_gives_the_thresholds(tmp_path, binned):
    rng = np.random.default_rng(8)
    scores, labels = sample(rng, 2000, 2000)
    jet_pt = rng.uniform(300, 1000, len(scores))
    bins = {"pt": [300, 600, 1000], "jet_pt": jet_pt} if binned else {}
    points = working_points(scores, labels, {"loose": 0.8, "tight": 0.3}, **bins)
    path = tmp_path / "wp.json"
    points.to_correctionlib(path, name="FatJet_score", tagger="ab" * 32, description="Simulated tops.")
    schemav2.CorrectionSet.model_validate_json(path.read_text())
    assert "content hash " + "ab" * 32 in json.loads(path.read_text())["description"]
    found = correctionlib.CorrectionSet.from_file(str(path))
    assert set(found) == {"FatJet_score_wp_values", "FatJet_score_wp_intervals", "FatJet_score_wp_efficiencies"}
    # below, on, between and above the edges
    pts = {100.0: 0, 300.0: 0, 599.9: 0, 600.0: 1, 1000.0: 1, 7000.0: 1} if binned else {0.0: 0}
    for name in ("loose", "tight"):
        for pt, row in pts.items():
            at, given = points[name][row], (name, pt) if binned else (name,)
            assert found["FatJet_score_wp_values"].evaluate(*given) == at.value
            assert found["FatJet_score_wp_intervals"].evaluate("low", *given) == at.low
            assert found["FatJet_score_wp_intervals"].evaluate("high", *given) == at.high
            for kind, efficiency in (("signal", at.signal), ("background", at.background)):
                for key, value in (("central", efficiency.value), ("down", efficiency.low), ("up", efficiency.high)):
                    assert found["FatJet_score_wp_efficiencies"].evaluate(kind, key, *given) == pytest.approx(
                        value, rel=1e-14
                    )
    with pytest.raises(IndexError):
        found["FatJet_score_wp_values"].evaluate(*(("none", 400.0) if binned else ("none",)))
    # of some literals of 17 digits correctionlib makes another number; that of a threshold is the same everywhere
    data = json.loads(path.read_text())["corrections"][0]["data"]["content"]
    assert [item["value"]["content"] if binned else [item["value"]] for item in data] == [
        list(points.thresholds(name)) for name in ("loose", "tight")
    ]
    points.to_correctionlib(tmp_path / "wp.json.gz")
    assert "score_wp_values" in correctionlib.CorrectionSet.from_file(str(tmp_path / "wp.json.gz"))
    with pytest.raises(JetError, match=r"\.json or \.json\.gz"):
        points.to_correctionlib(tmp_path / "wp.txt")
    assert "tight" in str(points)
