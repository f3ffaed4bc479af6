"""Spectra of constituents."""

import math

import numpy as np
import pytest

from coffea_equitag.simulation.validation import JetSample
from coffea_equitag.simulation.validation.spectra import SPECTRA, spectrum_of


def test_all_constituents_are_counted(toy_jets):
    mine, theirs = JetSample.of(toy_jets(200, seed=1)), JetSample.of(toy_jets(150, seed=2))
    for name in ("constituent_pt", "constituent_dr"):
        found = spectrum_of(SPECTRA[name], mine, theirs)
        np.testing.assert_allclose(found.simulated.sum(), mine.counts.mean())
        np.testing.assert_allclose(found.real.sum(), theirs.counts.mean())
    rings = spectrum_of(SPECTRA["pt_dr"], mine, theirs)
    np.testing.assert_allclose([rings.simulated.sum(), rings.real.sum()], 1)


@pytest.mark.parametrize("name", list(SPECTRA))
def test_same_and_shifted(toy_jets, name):
    mine = JetSample.of(toy_jets(400, seed=1))
    same = spectrum_of(SPECTRA[name], mine, mine)
    np.testing.assert_allclose(same.chi2, 0, atol=1e-9)
    assert same.p > 0.999
    assert spectrum_of(SPECTRA[name], mine, JetSample.of(toy_jets(400, seed=2))).p > 1e-3
    if name == "constituent_pt":
        assert spectrum_of(SPECTRA[name], mine, JetSample.of(toy_jets(400, seed=2, softer=2))).p < 1e-9


def test_p_values_are_uniform(toy_jets):
    p = [
        spectrum_of(
            SPECTRA["constituent_pt"],
            JetSample.of(toy_jets(150, seed=2 * k)),
            JetSample.of(toy_jets(150, seed=2 * k + 1)),
        ).p
        for k in range(40)
    ]
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) < 0.05) < 0.2


def test_few_jets(toy_jets):
    found = spectrum_of(SPECTRA["constituent_pt"], JetSample.of(toy_jets(3)), JetSample.of(toy_jets(1)))
    assert math.isnan(found.p)
    assert math.isnan(found.chi2)
    assert np.isnan(found.real_error).all()


def test_no_constituents(random_jets):
    empty = JetSample.of(random_jets([0, 0], label=[0, 0]))
    assert spectrum_of(SPECTRA["constituent_pt"], empty, JetSample.of(random_jets([3], label=[0]))) is None


def test_one_constituent(random_jets):
    one = JetSample.of(random_jets([1], label=[0]))
    for kind in SPECTRA.values():
        found = spectrum_of(kind, one, one)
        np.testing.assert_allclose(found.simulated.sum(), 1)
        assert (np.diff(found.edges) > 0).all()
