"""Subjets, compared with fastjet and in jets whose subjets are known."""

import awkward as ak
import fastjet
import numpy as np
import pytest
import vector

from coffea_equitag import make_jets
from coffea_equitag.simulation.validation import JetSample
from coffea_equitag.simulation.validation.subjets import n_subjettiness, three_subjet_masses


def jets_of(*lists):
    constituents = [[{"pt": pt, "eta": eta, "phi": phi, "mass": 0.0} for pt, eta, phi in one] for one in lists]
    return JetSample.of(make_jets(ak.Array(constituents), label=[0] * len(lists)))


@pytest.mark.filterwarnings("ignore:dcut and exclusive jets")
def test_pair_masses_are_fastjets(toy_jets):
    sample = JetSample.of(toy_jets(40))
    columns = dict(zip(("E", "px", "py", "pz"), sample.p4.T, strict=True))
    behavior = vector.backends.awkward.behavior
    particles = ak.unflatten(ak.zip(columns, with_name="Momentum4D", behavior=behavior), sample.counts)
    # distances to the beam do not matter for exclusive jets of a huge radius
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.kt_algorithm, 100.0))
    found = sequence.exclusive_jets(3)
    subjets = np.stack([ak.to_numpy(found[name]) for name in ("E", "px", "py", "pz")], axis=2)
    pairs = np.stack([subjets[:, i] + subjets[:, j] for i, j in ((0, 1), (0, 2), (1, 2))], axis=1)
    masses = np.sqrt(pairs[..., 0] ** 2 - (pairs[..., 1:] ** 2).sum(axis=2))
    np.testing.assert_allclose(three_subjet_masses(sample), np.sort(masses, axis=1), rtol=1e-7)


def test_three_particles():
    sample = jets_of([(100, 0, 0), (60, 0.4, 0), (50, 0, 0.3)])
    # the closest pair merges first, onto the harder of the two: 50 GeV · ΔR 0.3 remains
    tau = n_subjettiness(sample)[0]
    np.testing.assert_allclose(tau, [60 * 0.4 + 50 * 0.3, 50 * 0.3, 0], rtol=1e-12)
    masses = [np.sqrt(2 * a * b * (np.cosh(y) - np.cos(f))) for a, b, y, f in _PAIRS]
    np.testing.assert_allclose(three_subjet_masses(sample)[0], np.sort(masses), rtol=1e-9)


_PAIRS = [(100, 60, 0.4, 0), (100, 50, 0, 0.3), (60, 50, 0.4, 0.3)]


def test_across_the_cut_in_phi():
    here = [(100, 0, 0.0), (60, 0.1, 0.4), (50, 0, -0.3), (10, 0.2, 0.1)]
    there = [(pt, eta, phi + np.pi) for pt, eta, phi in here]
    sample = jets_of(here, there)
    for values in (n_subjettiness(sample), three_subjet_masses(sample)):
        np.testing.assert_allclose(values[1], values[0], rtol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_constituents(random_jets, count):
    sample = JetSample.of(random_jets([count, 5], label=[0, 0]))
    tau, masses = n_subjettiness(sample), three_subjet_masses(sample)
    assert (tau[0, 1:] == 0).all()
    assert (tau[0, 0] > 0) == (count == 2)
    assert np.isnan(masses[0]).all()
    assert np.isfinite(masses[1]).all()


def test_collinear_constituents():
    sample = jets_of([(100, 0.5, 1.0)] * 4)
    np.testing.assert_array_equal(n_subjettiness(sample), 0)
    np.testing.assert_allclose(three_subjet_masses(sample), 0, atol=1e-4)
