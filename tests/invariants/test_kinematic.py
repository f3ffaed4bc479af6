"""Angles and kinematic features against `vector`, and where they are not defined."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import make_jets
from coffea_equitag.invariants import kinematic_features
from coffea_equitag.invariants.kinematic import kinematic_variables, relative_angles
from coffea_equitag.invariants.kinematic_rows import VARIABLES, are_compiled, standardised
from coffea_equitag.invariants.weaver_variables import weaver_features
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


def both(jets, mirrored=False):
    """All variables as they are, compiled and by torch: (N, 7) each."""
    assert are_compiled(jets)
    by_torch = kinematic_variables(jets, mirrored)
    found = standardised(jets, [(name, None, 1.0, -5.0, 5.0) for name in VARIABLES], mirrored)
    return found, torch.stack([by_torch[name] for name in VARIABLES], dim=1)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("coordinates", ["polar", "cartesian", "energy"])
def test_compiled_as_by_torch(random_jets, coordinates, mirrored):
    jets = random_jets([3, 0, 17, 1, 60], coordinates=coordinates)
    # logarithms and angles are below 16 here; each is off by two ulps at most, and each variable has up to four
    bound = 2 * 4 * 16 * np.finfo(float).eps
    torch.testing.assert_close(*both(RaggedJets.from_awkward(jets), mirrored), rtol=0, atol=bound)


def test_compiled_along_the_beam_and_without_numbers():
    p4 = torch.tensor([[5.0, 0, 0, 5.0], [7.0, 0, 0, -7.0], [50.0, 30.0, 0, 40.0], [torch.nan] * 4, [1.0, 0, 0, 0]])
    jets = RaggedJets(p4.double(), torch.zeros(5).double(), torch.tensor([0, 3, 4, 5]), p4[[2, 3, 4]].double())
    found, expected = both(jets)
    # the largest logarithm is that of 1e-30
    torch.testing.assert_close(found, expected, rtol=0, atol=2 * 4 * 70 * np.finfo(float).eps, equal_nan=True)
    assert torch.isnan(found[3]).all()
    assert torch.isfinite(found[[0, 1, 2, 4]]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rounded_at_last(random_jets, dtype):
    jets = RaggedJets.from_awkward(random_jets([3, 0, 17]))
    found = weaver_features(jets, "kinematic", dtype=dtype)
    assert found.dtype == dtype
    assert torch.equal(found, kinematic_features(jets).to(dtype))


def test_compiled_with_gradients_is_by_torch(random_jets):
    jets = RaggedJets.from_awkward(random_jets([4, 9]))
    moved = jets.scaled(torch.zeros(13, dtype=torch.float64, requires_grad=True), jets_too=True)
    assert not are_compiled(moved)
    assert kinematic_features(moved).requires_grad


def test_rows_with_their_jets_momenta_are_by_torch(random_jets):
    # as in the graph of an exported file, where each row comes with its jet
    jets = RaggedJets.from_awkward(random_jets([4, 9]))
    rows = replace(jets, jet_p4=jets.spread(jets.jet_p4), offsets=torch.zeros(2, dtype=torch.int64))
    assert not are_compiled(rows)
    torch.testing.assert_close(kinematic_features(rows), kinematic_features(jets), rtol=0, atol=1e-12)


def test_threads_change_nothing(random_jets):
    jets = RaggedJets.from_awkward(random_jets([50] * 40))
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(kinematic_features(jets))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
    assert torch.equal(found[0][50:100], kinematic_features(jets.slice(1, 2)))
