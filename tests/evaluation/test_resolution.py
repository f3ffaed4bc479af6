"""Resolution of four-momenta: responses and angles whose distribution is known."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import vector

import coffea_equitag as eqt
from coffea_equitag.evaluation import momentum_resolution, resolution_of_jets, response
from coffea_equitag.jets.targets import true_momenta, true_vectors


def bosons(number, seed=0):
    """Momenta (pt, eta, phi, mass) of 80 GeV bosons with a pT of 500 to 600 GeV."""
    generator = np.random.default_rng(seed)
    columns = {
        "pt": generator.uniform(500, 600, number),
        "eta": generator.uniform(-2, 2, number),
        "phi": generator.uniform(-np.pi, np.pi, number),
        "mass": np.full(number, 80.0),
    }
    return ak.zip(columns, with_name="Momentum4D", behavior=vector.backends.awkward.behavior)


def smeared(truth, mass=0.0, pt=0.0, angle=0.0, seed=1):
    """Responses of mean 1 (Gaussian), and φ turned by a Gaussian angle."""
    generator, number = np.random.default_rng(seed), len(truth)
    columns = {
        "pt": truth.pt * (1 + pt * generator.standard_normal(number)),
        "eta": truth.eta,
        "phi": truth.phi + angle * generator.standard_normal(number),
        "mass": truth.mass * (1 + mass * generator.standard_normal(number)),
    }
    return ak.zip(columns, with_name="Momentum4D")


def test_gaussian_responses():
    truth, number = bosons(4000), 4000
    found = momentum_resolution(smeared(truth, mass=0.1, pt=0.02), truth)
    # standard errors of a Gaussian's median, σ √(π/2n), and of half its central 68%, 0.94 σ/√n; five of them
    for spread, sigma in ((found.mass, 0.1), (found.pt, 0.02)):
        assert spread.median.value == pytest.approx(1, abs=5 * 1.25 * sigma / number**0.5)
        assert spread.width.value == pytest.approx(sigma, abs=5 * 0.94 * sigma / number**0.5)
        assert spread.iqr.value == pytest.approx(1.349 * sigma, abs=5 * 1.57 * sigma / number**0.5)
        # quantiles of 100 resamplings, of a density known from few jets: half is far off
        half = (spread.median.high - spread.median.low) / 2, (spread.width.high - spread.width.low) / 2
        assert half == pytest.approx((1.25 * sigma / number**0.5, 0.94 * sigma / number**0.5), rel=0.5)
        assert spread.number == number
    # only rounding turns them: (p × q) of parallel vectors, relative to p², is some ε
    assert found.angle.width.value < 20 * np.finfo(float).eps


def test_angles():
    truth = bosons(4000)
    flat = ak.with_field(truth, 0.0, "eta")
    found = momentum_resolution(smeared(flat, angle=0.01), flat).angle
    # |Gaussian|: its median is 0.6745 σ, and 68.27% lie below σ
    assert found.median.value == pytest.approx(0.006745, rel=0.1)
    assert found.width.value == pytest.approx(0.01, rel=0.1)


def test_exact_numbers():
    # m/m_true = 0.5, 1, 2; the third momentum is space-like, with m² = -80²
    truth = np.array([[100.0, 60, 0, 0]] * 3)
    found = np.array([[np.hypot(40, 60), 60, 0, 0], [100.0, 0, 60, 0], [np.sqrt(100**2 - 80**2), 0, 0, 100]])
    measured = momentum_resolution(found, truth)
    assert measured.mass.median.value == pytest.approx(0.5)
    assert measured.pt.median.value == pytest.approx(1)
    assert measured.angle.median.value == pytest.approx(np.pi / 2)
    assert measured.mass.iqr.value == pytest.approx((1 - -1) / 2)
    again = momentum_resolution(found, truth, weights=[1, 0, 0])
    assert (again.mass.median.value, again.mass.width.value, again.mass.number) == (pytest.approx(0.5), 0, 1)


def test_weights_count_as_often():
    truth = bosons(50)
    found, times = smeared(truth, mass=0.1), np.random.default_rng(3).integers(0, 5, 50)
    weighted = momentum_resolution(found, truth, weights=times)
    repeated = momentum_resolution(found[np.repeat(np.arange(50), times)], truth[np.repeat(np.arange(50), times)])
    # quantiles between two jets are interpolated: they differ by less than the gaps there
    assert weighted.mass.median.value == pytest.approx(repeated.mass.median.value, abs=0.02)
    assert weighted.mass.width.value == pytest.approx(repeated.mass.width.value, rel=0.2)


def test_missing_jets_are_left_out():
    truth = ak.unflatten(bosons(6), [2, 0, 4])
    found = ak.mask(ak.unflatten(smeared(ak.flatten(truth), pt=0.1), [2, 0, 4]), truth.pt > 0)
    some = ak.mask(found, ak.local_index(truth.pt) != 1)
    measured = momentum_resolution(some, truth)
    assert (measured.num_missing, measured.pt.number) == (2, 4)
    assert (
        measured.pt.median.value
        == momentum_resolution(ak.flatten(found)[[0, 2, 4, 5]], ak.flatten(truth)[[0, 2, 4, 5]]).pt.median.value
    )


def test_response_in_bins():
    truth = bosons(1000)
    found = ak.with_field(truth, ak.where(truth.pt < 550, 0.9, 1.1) * truth.pt, "pt")
    low, high = response(found, truth, (500, 550, 600))
    assert (low.resolution.pt.median.value, high.resolution.pt.median.value) == (pytest.approx(0.9), pytest.approx(1.1))
    assert low.resolution.pt.number + high.resolution.pt.number == 1000
    usual = response(found, truth)
    assert len(usual) == 6
    assert sum(one.resolution.pt.number for one in usual) == 1000
    assert len(response(found[:1], truth[:1])) == 1


def test_beside_the_jets_themselves(random_jets):
    jets = random_jets([20, 10, 5, 8])
    own = eqt.RaggedJets.from_awkward(jets).jet_p4.numpy()
    for k, name in enumerate(("E", "px", "py", "pz")):
        jets[f"true_{name}"] = 2 * own[:, k]
    tagger = ak.zip({name: 2 * own[:, k] for k, name in enumerate(("E", "px", "py", "pz"))}, with_name="Momentum4D")
    nested = ak.unflatten(ak.mask(jets, np.arange(4) != 2), [3, 0, 1])
    found = resolution_of_jets(nested, ak.unflatten(ak.mask(tagger, np.arange(4) != 2), [3, 0, 1]))
    assert (found["tagger"].mass.median.value, found["jet"].mass.median.value) == (pytest.approx(1), pytest.approx(0.5))
    assert found["jet"].pt.number == 3


def test_where_the_truth_is_found():
    truth = bosons(5)
    rows = np.stack([truth.E, truth.px, truth.py, truth.pz], axis=1)
    constituents = ak.zip({name: truth[name] for name in truth.fields}, with_name="Momentum4D")[:, np.newaxis]
    jets = eqt.make_jets(constituents, momentum=truth, **{f"W_{name}": 2 * truth[name] for name in ("pt", "mass")})
    np.testing.assert_allclose(true_momenta(jets), rows, rtol=1e-12)
    with pytest.raises(eqt.JetError, match=r"without a four-momentum \(GeV\) 'W'.*\n.*W_pt, W_eta"):
        true_momenta(jets, "W")
    jets["W_eta"], jets["W_phi"] = truth.eta, truth.phi
    np.testing.assert_allclose(true_momenta(jets, "W")[:, 1:], 2 * rows[:, 1:], rtol=1e-12)
    np.testing.assert_allclose(true_vectors(jets, "W"), 2 * rows[:, 1:], rtol=1e-12)
    jets["vertex"] = ak.zip({"x": [1.0, 2, 3, 4, 5], "y": [0.0] * 5, "z": [1.0] * 5})
    assert true_vectors(jets, "vertex")[1].tolist() == [2, 0, 1]
    with pytest.raises(eqt.JetError, match="without a four-momentum"):
        true_momenta(jets, "vertex")
    jets["vertex", "x"] = [1.0, np.nan, 3, 4, 5]
    with pytest.raises(eqt.JetError, match="vertex of jet 1"):
        true_vectors(jets, "vertex")
    jets["W_pt"] = ak.Array([1.0, None, 2, 3, 4])
    with pytest.raises(eqt.JetError, match="W_pt of jet 1 is missing"):
        true_momenta(jets, "W")


@pytest.mark.parametrize(
    ("momenta", "weights", "words"),
    [
        (np.zeros((3, 4)), None, "3 momenta, 2 true ones"),
        (np.full((2, 4), np.nan), None, "not finite"),
        (np.ones((2, 4)), [1, -1], "negative"),
        (np.ones((2, 4)), [0, 0], "no jets"),
        (np.ones((2, 3)), None, "rows"),
    ],
)
def test_refused(momenta, weights, words):
    with pytest.raises(eqt.JetError, match=words):
        momentum_resolution(momenta, np.ones((2, 4)), weights=weights)
