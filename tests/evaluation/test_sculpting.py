"""Jensen–Shannon divergences of the background's mass, by hand and in samples whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.evaluation import Evaluation
from coffea_equitag.evaluation.sculpting import divergence

EDGES = tuple(range(0, 201, 5))


def evaluated(correlation: float, number: int = 4000, seed: int = 0, weights=None) -> Evaluation:
    """Scores of background that lean on its mass, and some signal."""
    generator = np.random.default_rng(seed)
    mass = np.clip(generator.exponential(60, number), 0, 199)
    noise = generator.uniform(size=number)
    rank = mass.argsort().argsort() / number
    scores = np.where(generator.uniform(size=number) < correlation, rank, noise)
    labels = np.r_[np.zeros(number - 50, int), np.ones(50, int)]
    found = Evaluation(("qcd", "w"), variables={"mass": EDGES})
    return found.fill(scores, labels, mass=mass, weights=weights)


def test_by_hand():
    assert divergence(np.array([2.0, 2.0]), np.array([0.5, 0.5])) == 0
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == 1
    # halfway between (1/2, 1/2) and (1, 0) lies (3/4, 1/4)
    by_hand = 0.5 * (0.5 * np.log2(2 / 3) + 0.5 * np.log2(2)) + 0.5 * np.log2(4 / 3)
    assert divergence(np.array([1.0, 1.0]), np.array([5.0, 0.0])) == pytest.approx(by_hand, rel=1e-12)
    both = divergence(np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([5.0, 0.0]))
    assert both[0] == pytest.approx(by_hand)
    assert np.isnan(both[1])


def test_shapes_and_cuts():
    found = evaluated(1.0).sculpting(efficiencies=(0.5, 0.1), edges=(0, 40, 80, 200))
    for one, wanted in zip(found, (0.5, 0.1), strict=True):
        assert one.kept.value <= wanted
        # of 3950 jets one more would be too many
        assert one.kept.value > wanted - 1 / 3950 - 1e-9
        assert one.before.sum() == pytest.approx(1)
        assert one.after.sum() == pytest.approx(1)
        assert one.divergence.value == pytest.approx(float(divergence(one.before, one.after)))
    # the heaviest tenth lies above the mass that a tenth exceeds, 60 ln 10 = 138 GeV
    assert found[1].after.tolist() == [0, 0, 1]


def test_a_cut_that_ignores_the_mass_does_not_sculpt():
    """In 40 samples the divergence is as often below as above the median of unsculpted ones: 20 ± 3·3.2."""
    below = 0
    for seed in range(40):
        (one,) = evaluated(0.0, 1000, seed).sculpting(efficiencies=(0.1,))
        below += one.divergence.value < one.if_unsculpted.value
    assert 10 <= below <= 30


def test_a_cut_that_follows_the_mass_does():
    values = [evaluated(correlation).sculpting(efficiencies=(0.1,))[0] for correlation in (0.0, 0.5, 1.0)]
    assert values[0].divergence.value < values[1].divergence.value < values[2].divergence.value
    assert values[1].divergence.low > values[1].if_unsculpted.high


def test_the_spread_is_that_of_repeated_samples():
    """Standard deviations from 60 samples are known to 1/√118 = 9%: within three of these of the toys' mean."""
    found = [evaluated(0.5, 1500, seed).sculpting(efficiencies=(0.2,), edges=EDGES[::4])[0] for seed in range(60)]
    spread = np.std([one.divergence.value for one in found], ddof=1)
    told = np.mean([(one.divergence.high - one.divergence.low) / 2 for one in found])
    assert abs(told / spread - 1) < 3 / np.sqrt(118)


def test_a_background_efficiency_below_one_jet():
    (one,) = evaluated(0.0, 200).sculpting(efficiencies=(1e-4,))
    assert one.cut == np.inf
    assert np.isnan(one.divergence.value)
    assert np.isnan(one.after).all()


def test_no_background_within_the_edges():
    found = Evaluation(("qcd", "w"), variables={"mass": (0, 10)}).fill([0.1, 0.9], [0, 1], mass=[50, 50])
    with pytest.raises(JetError, match="no background jets of mass 0 to 10"):
        found.sculpting()
