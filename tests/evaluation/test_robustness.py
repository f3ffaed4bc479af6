"""Two samples: independent ones, and two versions of the same jets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.evaluation import Evaluation, differences, paired_differences


def scored(number: int, shift: float = 0.0, seed: int = 0):
    """Normal scores; the signal's are moved by `shift` in the logit."""
    generator = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    logits = generator.normal(3 * labels - 1.5, 1.5) + shift * labels
    return 1 / (1 + np.exp(-logits)), labels


def evaluated(scores, labels) -> Evaluation:
    return Evaluation(("qcd", "top"), variables={}).fill(scores, labels)


def blocks(scores, labels, number: int = 12) -> list[Evaluation]:
    return [evaluated(scores[first::number], labels[first::number]) for first in range(number)]


def test_figures_by_hand():
    one = evaluated([0.9, 0.8, 0.6, 0.4, 0.7, 0.3, 0.2, 0.1], [1, 1, 1, 1, 0, 0, 0, 0])
    two = evaluated([0.9, 0.7, 0.6, 0.4, 0.85, 0.3, 0.2, 0.1], [1, 1, 1, 1, 0, 0, 0, 0])
    found = {each.name: each for each in differences(one, two, efficiencies=(0.5,))}
    assert list(found) == [
        "AUC",
        "accuracy",
        "1/ε_B at ε_S = 50%",
        "signal efficiency at the nominal cut of 50%",
        "mistag rate of qcd at the nominal cut of 50%",
    ]
    assert found["AUC"].nominal.value == 14 / 16
    assert found["AUC"].difference.value == pytest.approx(-1 / 16)
    # the nominal cut is 0.8: one of four signal jets and one of four background jets are above it
    signal, mistag = found["signal efficiency at the nominal cut of 50%"], list(found.values())[-1]
    assert (signal.nominal.value, signal.other.value) == (0.5, 0.25)
    assert (mistag.nominal.value, mistag.other.value) == (0, 0.25)
    below = math.hypot(0.25 - signal.other.low, signal.nominal.high - 0.5)
    above = math.hypot(signal.other.high - 0.25, 0.5 - signal.nominal.low)
    assert (signal.difference.low, signal.difference.high) == pytest.approx((-0.25 - below, -0.25 + above))
    assert signal.significance == pytest.approx(0.25 / above)
    # its own cut of 50% is 0.7, below which one of four remains
    assert found["1/ε_B at ε_S = 50%"].other.value == 4
    assert math.isnan(found["1/ε_B at ε_S = 50%"].significance)


def test_the_same_twice_is_no_difference():
    one, options = evaluated(*scored(400)), {"efficiencies": (0.8,)}
    assert all(each.difference.value == 0 for each in differences(one, one, **options))
    paired = paired_differences(blocks(*scored(400)), blocks(*scored(400)), **options)
    assert all((each.difference.value, each.difference.low) == (0, 0) for each in paired)


def test_fluctuations_of_the_same_jets_cancel():
    scores, labels = scored(2400)
    moved = scores * np.where(labels == 1, 0.98, 1.0)
    apart = differences(evaluated(scores, labels), evaluated(moved, labels))
    paired = paired_differences(blocks(scores, labels), blocks(moved, labels))
    for one, two in zip(apart, paired, strict=True):
        assert one.difference.value == pytest.approx(two.difference.value, abs=1e-12)
    assert paired[0].significance > 3 * apart[0].significance
    assert paired[0].difference.value < 0


def test_the_paired_uncertainty_is_that_of_repeated_samples():
    """From 40 samples the spread is known to 1/√78, and each jackknife of 12 blocks to 1/√22: 3√(1/78 + 1/880)."""
    values, told = [], []
    for seed in range(40):
        scores, labels = scored(600, seed=seed)
        noise = np.random.default_rng(1000 + seed).normal(1, 0.1, 600)
        found = paired_differences(blocks(scores, labels), blocks(scores**noise, labels), efficiencies=())[0].difference
        values.append(found.value)
        told.append(found.high - found.value)
    assert abs(np.sqrt(np.mean(np.square(told))) / np.std(values, ddof=1) - 1) < 3 * math.sqrt(1 / 78 + 1 / 880)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda one: differences(one, Evaluation(("a", "b"), variables={})), "made with the same arguments"),
        (lambda one: paired_differences([one], [one]), "1 and 1 blocks"),
        (lambda one: paired_differences([one, one], [one] * 3), "2 and 3 blocks"),
    ],
)
def test_refused(action, message):
    with pytest.raises(JetError, match=message):
        action(evaluated(*scored(20)))
