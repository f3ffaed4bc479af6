"""Angles and kinematic features against `vector`, and where they are not defined."""

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import make_jets
from coffea_equitag.invariants.kinematic import kinematic_features, relative_angles
from coffea_equitag.jets.ragged import RaggedJets


@pytest.mark.parametrize("coordinates", ["polar", "cartesian", "energy"])
def test_as_vector_does(random_jets, coordinates):
    jets = random_jets([3, 0, 17, 1, 60], coordinates=coordinates)
    total = ak.sum(jets.constituents, axis=1)
    parts = jets.constituents
    d_eta, d_phi = parts.deltaeta(total), parts.deltaphi(total)
    ragged = RaggedJets.from_awkward(jets)
    for found, expected in zip(relative_angles(ragged), (d_eta, d_phi), strict=True):
        np.testing.assert_allclose(found, ak.flatten(expected), atol=1e-12)
    expected = [
        (np.log(parts.pt) - 1.7) * 0.7,
        (np.log(parts.energy) - 2) * 0.7,
        (np.log(parts.pt / total.pt) + 4.7) * 0.7,
        (np.log(parts.energy / total.energy) + 4.7) * 0.7,
        (np.hypot(d_eta, d_phi) - 0.2) * 4,
    ]
    expected = [np.clip(ak.flatten(column), -5, 5) for column in expected] + [ak.flatten(d_eta), ak.flatten(d_phi)]
    np.testing.assert_allclose(kinematic_features(ragged), np.stack(expected, axis=1), atol=1e-12)


def test_across_the_cut_in_phi():
    parts = ak.zip({"pt": [[50.0, 50.0]], "eta": [[0.1, 0.1]], "phi": [[np.pi - 0.1, -np.pi + 0.1]], "mass": 0.0})
    _, d_phi = relative_angles(RaggedJets.from_awkward(make_jets(parts)))
    np.testing.assert_allclose(d_phi, [-0.1, 0.1], atol=1e-12)


def test_one_direction_has_one_angle(random_jets):
    parts = random_jets([40], seed=3).constituents
    parts = ak.zip({"pt": parts.pt, "eta": 0.3, "phi": -2.9, "mass": parts.mass})
    for angle in relative_angles(RaggedJets.from_awkward(make_jets(parts))):
        assert len(np.unique(angle)) == 1


def test_along_the_beam():
    p4 = torch.tensor([[5.0, 0, 0, 5.0], [7.0, 0, 0, -7.0], [50.0, 30.0, 0, 40.0]])
    ragged = RaggedJets.from_momenta(p4.double(), torch.tensor([0, 3]))
    d_eta, d_phi = relative_angles(ragged)
    axis = np.arcsinh(38 / 30)
    expected = [np.log(10 / 1e-30), -np.log(14 / 1e-30), np.arcsinh(4 / 3)]
    np.testing.assert_allclose(d_eta + axis, expected, atol=1e-12)
    np.testing.assert_array_equal(d_phi, 0)
    assert torch.isfinite(kinematic_features(ragged)).all()


def test_no_jets(random_jets):
    assert kinematic_features(RaggedJets.from_awkward(random_jets([]))).shape == (0, 7)
    assert kinematic_features(RaggedJets.from_awkward(random_jets([0, 0]))).shape == (0, 7)
