"""Observables of jets that can be calculated by hand."""

import awkward as ak
import numpy as np

from coffea_equitag import make_jets
from coffea_equitag.simulation.validation import JetSample
from coffea_equitag.simulation.validation.observables import OBSERVABLES, values_of


def test_by_hand():
    constituents = [
        [
            {"pt": 30.0, "eta": 0.2, "phi": 0.0, "mass": 5.0},
            {"pt": 30.0, "eta": -0.2, "phi": 0.0, "mass": 0.0},
            {"pt": 0.5, "eta": 0.0, "phi": 0.0, "mass": 0.0},
        ]
    ]
    values = {name: float(value[0]) for name, value in values_of(_sample(constituents)).items()}
    assert list(values) == list(OBSERVABLES)
    assert values["multiplicity"] == 3
    assert values["soft"] == 1
    np.testing.assert_allclose(values["soft_fraction"], 1 / 3)
    np.testing.assert_allclose(values["smallest_pt"], 0.5)
    np.testing.assert_allclose(values["largest_pt_share"], 30 / 60.5)
    np.testing.assert_allclose(values["jet_pt"], 60.5)
    np.testing.assert_allclose(values["jet_eta"], 0, atol=1e-12)
    np.testing.assert_allclose(values["jet_mass"], np.sqrt((60 * np.cosh(0.2) + 0.5) ** 2 - 60.5**2))
    np.testing.assert_allclose(values["width"], 60 * 0.2 / 60.5)


def test_empty_jet_and_one_constituent():
    values = values_of(_sample([[], [{"pt": 30.0, "eta": 0.2, "phi": 1.0, "mass": 0.1}]]))
    assert values["multiplicity"].tolist() == [0, 1]
    for name in set(OBSERVABLES) - {"multiplicity", "soft"}:
        assert np.isnan(values[name][0]), name
    np.testing.assert_allclose(values["jet_mass"][1], 0, atol=1e-5)
    assert np.isnan(values["tau21"][1])
    assert np.isnan(values["pair_mass"][1])


def test_no_jets(random_jets):
    values = values_of(JetSample.of(random_jets([3], label=[0])[:0]))
    assert all(value.shape == (0,) for value in values.values())


def _sample(constituents):
    return JetSample.of(make_jets(ak.Array(constituents), label=[0] * len(constituents)))
