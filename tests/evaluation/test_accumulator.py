"""The evaluation: chunks and workers add up to the whole, and its numbers are those calculated by hand."""

from __future__ import annotations

import pickle

import awkward as ak
import numpy as np
import pytest
from coffea.processor import accumulate
from scipy import special

from coffea_equitag import JetError, TaggerError
from coffea_equitag.evaluation import Evaluation, measure
from coffea_equitag.evaluation.variables import jet_columns
from coffea_equitag.jets.collection import make_jets

CLASSES = ("qcd", "w", "top")
OPTIONS = {"discriminants": {"TvsQCD": ("top", ["qcd"]), "TvsMix": ("top", {"qcd": 0.8, "w": 0.2})}}


def sample(number: int = 900, seed: int = 0):
    """Scores of three classes, labels, weights and columns."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, number)
    logits = generator.normal(0, 1, (number, 3)).astype(np.float32)
    logits[np.arange(number), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {
        "pt": generator.exponential(200, number),
        "eta": generator.normal(0, 1, number),
        "mass": np.abs(generator.normal(80, 40, number)),
        "multiplicity": generator.poisson(40, number),
    }
    return ak.zip(dict(zip(CLASSES, probabilities.T, strict=True))), labels, generator.exponential(1, number), columns


def filled(chosen=slice(None), weighted: bool = True, **options) -> Evaluation:
    scores, labels, weights, columns = sample()
    return Evaluation(CLASSES, **(OPTIONS | options)).fill(
        scores[chosen],
        labels[chosen],
        weights=weights[chosen] if weighted else None,
        **{name: values[chosen] for name, values in columns.items()},
    )


def numbers(found: Evaluation) -> dict:
    """All that an evaluation gives, as plain numbers."""
    every = {}
    for name in found.names:
        one = found.measure(name, efficiencies=(0.5, 0.7, 0.85))
        every[name, "metrics"] = list(one.as_dict().values())
        for variable in found.variables:
            binned = found.efficiency(variable, one.rejections[0].cut, name)
            points = [
                getattr(each, part) for each in binned.classes.values() for part in ("value", "low", "high", "number")
            ]
            every[name, variable] = np.concatenate([binned.edges, *points, [binned.outside]])
        for each in found.sculpting(name):
            parts = each.before, each.after, [each.divergence.value, each.divergence.low, each.if_unsculpted.value]
            every[name, each.efficiency] = np.concatenate(parts)
    every["confusion"] = np.concatenate(found.confusion.rates)
    for name in (*CLASSES, "most probable class"):
        curve = found.calibration.curve(name)
        every["calibration", name] = [*curve.probability, *curve.fraction, *curve.low, *curve.high, curve.error.value]
    return every


def same(one: dict, other: dict) -> bool:
    return all(np.array_equal(value, other[key], equal_nan=True) for key, value in one.items())


@pytest.mark.parametrize("resolution", [None, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_are_the_whole(weighted, resolution):
    """Any chunks, one empty, in any order: bit by bit without weights; sums of weights round by parts in 10¹⁶."""
    options = {"weighted": weighted, "resolution": resolution}
    chunks = [filled(slice(a, b), **options) for a, b in ((500, 900), (0, 3), (3, 3), (3, 500))]
    whole, added = numbers(filled(**options)), numbers(accumulate(chunks))
    assert whole.keys() == added.keys()
    for key, values in whole.items():
        if weighted:
            np.testing.assert_allclose(added[key], values, rtol=1e-9, atol=1e-12, err_msg=str(key))
        else:
            np.testing.assert_array_equal(added[key], values, err_msg=str(key))


def test_fill_is_addition_and_addition_changes_neither():
    scores, labels, weights, columns = sample()
    one, other = filled(slice(0, 400)), filled(slice(400, 900))
    before = numbers(one)
    together = one + other
    assert same(numbers(one), before)
    rest = {name: values[400:] for name, values in columns.items()}
    again = one.fill(scores[400:], labels[400:], weights=weights[400:], **rest)
    assert same(numbers(again), numbers(together))


def test_a_chunk_that_is_refused_changes_nothing():
    found = Evaluation(("b", "s"), variables={}, resolution=0.1).fill([0.2, 0.9, None], [0, 1, 0])
    before = found.measure()
    with pytest.raises(JetError, match="scores between"):
        found.fill([0.5, 1.5, None], [0, 1, 1])
    assert found.measure() == before


def test_survives_the_journey_between_workers():
    found = pickle.loads(pickle.dumps(filled()))
    assert same(numbers(found), numbers(filled()))
    assert (found + filled()).measure().num_signal == 2 * filled().measure().num_signal


def test_the_score_is_measured_as_by_measure():
    scores, labels, weights, _ = sample()
    found = filled().measure(efficiencies=(0.7, 0.85)).as_dict()
    # sums of 900 weights in another order
    assert found == pytest.approx(
        measure(scores, labels, weights=weights, efficiencies=(0.7, 0.85)).as_dict(), rel=1e-12
    )


def test_a_grid_bounds_the_memory_and_changes_little():
    """Scores move down by at most a step of 0.01 in their logit."""
    coarse, fine = filled(resolution=0.2), filled(resolution=0.01)
    rows = [len(each._counts["score", "mass"].total.group) for each in (coarse, fine, filled())]
    assert rows[0] < rows[1] < rows[2] == 900
    scores, labels, weights, _ = sample()
    logits, signal = special.logit(ak.to_numpy(scores["top"]).astype(float)), labels == 2
    pairs = weights[signal, None] * weights[~signal]
    # pairs of signal and background jets whose order a step may change
    close = pairs[abs(logits[signal, None] - logits[~signal]) <= 0.01].sum() / pairs.sum()
    assert fine.measure().auc == pytest.approx(filled().measure().auc, abs=close)
    cut = fine.separation().cuts[20]
    # a cut on the grid keeps the jets whose score is above it
    kept = np.asarray(scores.top, np.float64) >= cut
    assert fine.separation().signal.number[20] == (kept & (labels == 2)).sum()


def test_a_mixture_gives_each_class_its_share():
    found = filled()
    separation = found.separation("TvsMix")
    each = {name: found.separation("TvsMix", name) for name in ("qcd", "w")}
    cut = separation.cuts[100]
    parts = {name: one.background.efficiency[one.index(cut)] for name, one in each.items()}
    assert separation.background.efficiency[100] == pytest.approx(0.8 * parts["qcd"] + 0.2 * parts["w"], rel=1e-12)
    scores, labels, weights, _ = sample()
    value = np.asarray(scores.top, np.float64)
    value = value / (value + 0.8 * np.asarray(scores.qcd, np.float64) + 0.2 * np.asarray(scores.w, np.float64))
    for number, name in enumerate(("qcd", "w")):
        passed = np.float32(value) >= np.float32(cut)
        expected = weights[passed & (labels == number)].sum() / weights[labels == number].sum()
        assert parts[name] == pytest.approx(expected, rel=1e-12)


def test_one_class_against_another():
    scores, labels, weights, _ = sample()
    kept = labels != 1
    value = np.asarray(scores.top / (scores.top + scores.qcd), np.float32)
    expected = measure(value[kept], labels[kept] // 2, weights=weights[kept])
    found = filled().measure("TvsQCD")
    assert found.auc == pytest.approx(expected.auc, rel=1e-9)
    assert [one.value for one in found.rejections] == pytest.approx([one.value for one in expected.rejections])


def test_jets_give_the_variables():
    momenta = [[(50.0, 30.0, 0.0, 40.0), (10.0, 0.0, 8.0, 6.0)], [(5.0, 0.0, 4.0, 3.0)], []]
    records = [[dict(zip(("E", "px", "py", "pz"), p4, strict=True)) for p4 in jet] for jet in momenta]
    constituents = ak.zip(
        {name: ak.Array([[p[name] for p in jet] for jet in records]) for name in ("px", "py", "pz", "E")},
        with_name="Momentum4D",
    )
    jets = make_jets(constituents)
    found = jet_columns(jets, ("pt", "eta", "mass", "multiplicity"))
    pt = np.hypot(30, 8)
    assert found["pt"].tolist() == pytest.approx([pt, 4, 0])
    assert found["eta"][:2].tolist() == pytest.approx([np.arcsinh(46 / pt), np.arcsinh(3 / 4)])
    assert found["mass"].tolist() == pytest.approx([np.sqrt(60**2 - 30**2 - 8**2 - 46**2), 0, 0])
    assert found["multiplicity"].tolist() == [2, 1, 0]
    scores, labels = ak.Array([0.1, 0.7, 0.2]), ak.Array([0, 1, 0])
    evaluation = Evaluation(("b", "s")).fill(scores, labels, jets)
    assert evaluation.efficiency("multiplicity", 0.5, edges=[0, 2, 4]).classes["b"].number.tolist() == [1, 1]
    nested = Evaluation(("b", "s")).fill(
        ak.Array([[0.1, 0.7], [], None, [0.2, None]]),
        ak.Array([[0, 1], [], None, [0, 0]]),
        ak.Array([jets[:2], [], None, [jets[2], None]]),
        weights=[1.0, 1.0, 1.0, 2.0],
    )
    assert nested.num_missing == {"score": 1}
    assert nested.separation().background.total == 3


def test_the_signal_of_two_classes_may_be_the_first():
    scores, labels = np.float32([0.9, 0.8, 0.3, 1e-9]), np.array([0, 0, 1, 1])
    found = Evaluation(("top", "qcd"), signal="top", variables={}).fill(scores, labels)
    assert found.measure().auc == 1
    # a small probability is not rounded by taking it from 1 twice
    assert found.separation().cuts[-1] == np.float32(1e-9)
    assert found.confusion.number.tolist() == [[2, 0], [0, 2]]
    curve = found.calibration.curve("top")
    assert curve.fraction.tolist() == [0, 0, 1, 1]


def test_no_jets():
    nothing = Evaluation(CLASSES, variables={}).fill(ak.zip(dict.fromkeys(CLASSES, np.zeros(0))), np.zeros(0, int))
    with pytest.raises(JetError, match="weights of top jets that sum to 0"):
        nothing.measure()
    assert np.isnan(nothing.confusion.rates[0]).all()
    assert nothing.calibration.curve("top").error.value == 0
    one = Evaluation(CLASSES, variables={}).fill(ak.Array([{"qcd": 0.2, "w": 0.3, "top": 0.5}]), [2])
    with pytest.raises(JetError, match="weights of qcd and w jets that sum to 0"):
        (one + nothing).measure()


def test_jets_whose_classes_all_have_no_probability_are_missing():
    scores = ak.Array(
        [{"qcd": 0.0, "w": 1.0, "top": 0.0}, {"qcd": 0.5, "w": 0.0, "top": 0.5}, {"qcd": 0.6, "w": 0.1, "top": 0.3}]
    )
    found = Evaluation(CLASSES, variables={}, **OPTIONS).fill(scores, [0, 2, 0])
    assert found.num_missing == {"score": 0, "TvsQCD": 1, "TvsMix": 0}


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: Evaluation(("a",)), "at least two different names"),
        (lambda: Evaluation(("a", "a")), "at least two different names"),
        (lambda: Evaluation(CLASSES, signal="z"), "signal 'z'"),
        (lambda: Evaluation(CLASSES, resolution=0.0), "a resolution of 0"),
        (lambda: Evaluation(CLASSES, variables={"pt": [3, 2]}), "edges of pt"),
        (lambda: Evaluation(CLASSES, discriminants={"score": ("top", ["w"])}), "rename it"),
        (lambda: filled() + Evaluation(CLASSES), r"different discriminants(.|\n)*with the same arguments"),
        (lambda: filled().measure("nothing"), "a score 'nothing'"),
        (lambda: filled().measure(efficiencies=(50,)), "fractions, not percent"),
        (lambda: filled().separation("TvsQCD", "w"), "background 'w'"),
        (lambda: filled().efficiency("phi", 0.5), "variable 'phi'"),
        (lambda: filled().efficiency("pt", 0.5, edges=[0, 13]), "edges of pt: 0, 13"),
        (lambda: Evaluation(CLASSES).fill(*sample()[:2]), "no jets, and no values of pt, eta, mass, multiplicity"),
        (lambda: Evaluation(CLASSES, variables={}).fill(*sample()[:2], pt=[1]), "values of 'pt'"),
        (lambda: Evaluation(("b", "s"), variables={}).fill(*sample()[:2]), "scores of the classes qcd, w, top"),
        (lambda: Evaluation(CLASSES, variables={}).fill([0.5], [1]), "a record with a field per class"),
        (lambda: Evaluation(CLASSES, variables={}).fill(*sample()[:2], weights=[1, 2]), "weights of type 2"),
        (lambda: Evaluation(("b", "s"), variables={}, resolution=0.1).fill([1.5, 0.2], [1, 0]), "scores between"),
    ],
)  # fmt: skip
def test_refused(action, message):
    with pytest.raises(JetError, match=message):
        action()


def test_discriminants_are_checked():
    with pytest.raises(TaggerError, match="no class 'z'"):
        Evaluation(CLASSES, discriminants={"TvsZ": ("top", ["z"])})
