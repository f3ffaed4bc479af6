"""Networks that distinguish simulated from real jets."""

import numpy as np
import pytest

pytest.importorskip("lightning")

from coffea_equitag import JetError
from coffea_equitag.simulation.validation import JetSample
from coffea_equitag.simulation.validation.separation import separate


def test_alike_samples_are_not_told_apart(toy_jets):
    found = separate(JetSample.of(toy_jets(300, seed=1)), JetSample.of(toy_jets(240, seed=2)), folds=2, epochs=4)
    assert found.number == 240
    assert found.scores.shape == found.simulated.shape == (480,)
    assert found.simulated.sum() == 240
    assert abs(found.auc - 0.5) < 4 * found.error < 0.2


def test_shifted_sample_is_found_and_seeded(toy_jets):
    samples = JetSample.of(toy_jets(200, seed=1, softer=2.0)), JetSample.of(toy_jets(240, seed=2))
    calls = []
    found = separate(*samples, folds=2, epochs=5, progress=lambda *done: calls.append(done))
    assert found.auc > 0.8
    assert calls == [(1, 2), (2, 2)]
    again = separate(*samples, folds=2, epochs=5)
    np.testing.assert_array_equal(again.scores, found.scores)
    assert (again.auc, again.error) == (found.auc, found.error)


def test_neither_position_nor_order_nor_mass_tells(toy_jets):
    """The same jets, moved, massless and in another order, give the same inputs."""
    jets = toy_jets(20)
    sample = JetSample.of(jets)
    moved = JetSample(sample.pt, sample.eta + 0.3, sample.phi + 1.0, sample.offsets, sample.labels)
    for field in ("pt", "eta", "phi", "mass"):
        np.testing.assert_allclose(
            np.asarray(_flat(moved, field)), np.asarray(_flat(sample, field)), rtol=1e-9, atol=1e-9
        )


def test_empty_jets(random_jets):
    counts = [0, 1, 2, 5] * 10
    jets = random_jets(counts, label=[0] * len(counts))
    found = separate(JetSample.of(jets), JetSample.of(jets), folds=2, epochs=1)
    assert np.isfinite(found.scores).all()


def test_too_few_jets(toy_jets):
    assert separate(JetSample.of(toy_jets(14)), JetSample.of(toy_jets(100)), folds=2) is None


def test_one_fold(toy_jets):
    with pytest.raises(JetError, match="folds = 1"):
        separate(JetSample.of(toy_jets(20)), JetSample.of(toy_jets(20)), folds=1)


def _flat(sample, field):
    import awkward as ak

    return ak.flatten(sample.centred().constituents[field])
