"""Pair features of Particle Transformer against extended precision, and their edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coffea_equitag import RaggedJets, kernels
from coffea_equitag.invariants.pair_logarithms import PAIR_LOGARITHMS, pair_logarithms
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers.squares import Squares
from coffea_equitag.layers.unordered_pairs import UnorderedPairs

FLOOR = np.log(1e-8)


def features(jets):
    pairs = UnorderedPairs.of(Squares.of(jets.offsets))
    found = pair_logarithms(jets.p4, kernels.gram(jets), pairs.first, pairs.second, pairs.place, pairs.diagonal)
    return found, pairs


def directly(jets, i, j):
    """The features of a pair by their definitions, in extended precision."""
    momenta = jets.p4[[i, j], 1:].numpy().astype(np.longdouble)
    mass = jets.mass[[i, j]].numpy().astype(np.longdouble)
    energy = np.sqrt((momenta**2).sum(1) + mass**2)
    pt = np.hypot(momenta[:, 0], momenta[:, 1])
    y = np.arcsinh(momenta[:, 2] / np.sqrt(pt**2 + mass**2))
    phi = np.arctan2(momenta[:, 1], momenta[:, 0])
    d_phi = np.remainder(phi[0] - phi[1] + np.pi, 2 * np.pi) - np.pi
    delta = np.hypot(y[0] - y[1], d_phi)
    m2 = energy.sum() ** 2 - (momenta.sum(0) ** 2).sum()
    values = (pt.min() * delta, pt.min() / pt.sum(), delta, m2)
    return [float(np.log(max(value, 1e-8))) for value in values]


@pytest.mark.parametrize("coordinates", ["polar", "cartesian"])
def test_as_defined(random_jets, coordinates):
    jets = RaggedJets.from_awkward(random_jets([1, 6, 0, 9], coordinates=coordinates))
    found, pairs = features(jets)
    assert found.shape == (1 + 21 + 45, len(PAIR_LOGARITHMS))
    for row, i, j in zip(found.tolist(), pairs.first.tolist(), pairs.second.tolist(), strict=True):
        assert row == pytest.approx(directly(jets, i, j), abs=1e-9)


def test_collinear_and_boosted():
    """A massless pair of 50 and 100 TeV, 1e-5 apart: m² is 0.005 GeV², in the rounding of the energies squared."""
    pt, eta, phi = np.array([5e3, 1e4]), np.array([3.0, 3.0 + 1e-5]), np.array([1.0, 1.0])
    p3 = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    p4 = torch.from_numpy(np.concatenate([np.sqrt((p3**2).sum(1, keepdims=True)), p3], axis=1))
    jets = RaggedJets.from_momenta(p4, torch.tensor([0, 2]), mass=torch.zeros(2, dtype=torch.float64))
    found = features(jets)[0][1]  # (1, 0)
    delta = 1e-5
    expected = np.log([5e3 * delta, 1 / 3, delta, 4 * 5e3 * 1e4 * np.sinh(delta / 2) ** 2])
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-8)


def test_energies_in_single_precision(random_jets):
    """Energies as files hold them do not change what momenta and masses say."""
    exact = RaggedJets.from_awkward(random_jets([20], coordinates="cartesian"))
    energy = exact.p4[:, :1].float().double()
    rounded = replace(exact, p4=torch.cat([energy, exact.p4[:, 1:]], dim=1))
    assert not torch.equal(rounded.p4, exact.p4)
    torch.testing.assert_close(features(rounded)[0][:, :3], features(exact)[0][:, :3], rtol=0, atol=0)


def test_pairs_of_each_jet(random_jets):
    jets = RaggedJets.from_awkward(random_jets([2, 0, 3]))
    pairs = UnorderedPairs.of(Squares.of(jets.offsets))
    assert pairs.first.tolist() == [0, 1, 1, 2, 3, 3, 4, 4, 4]
    assert pairs.second.tolist() == [0, 0, 1, 2, 2, 3, 2, 3, 4]
    assert pairs.of_square.tolist() == [0, 1, 1, 2, 3, 4, 6, 4, 5, 7, 6, 7, 8]
    assert pairs.of_square[pairs.place].tolist() == list(range(9))
    assert pairs.diagonal.tolist() == [0, 3, 4, 8, 12]


def test_no_pairs():
    empty = UnorderedPairs.of(Squares.of(torch.tensor([0])))
    assert all(len(getattr(empty, name)) == 0 for name in ("first", "second", "place", "diagonal", "of_square"))


def test_invariant_under_boosts_along_the_beam(random_jets):
    jets = RaggedJets.from_awkward(random_jets([12], coordinates="cartesian"))
    energy, px, py, pz = jets.p4.T
    gamma, sinh = np.cosh(2.0), np.sinh(2.0)
    boosted = torch.stack([gamma * energy + sinh * pz, px, py, gamma * pz + sinh * energy], dim=1)
    moved = RaggedJets.from_momenta(boosted, jets.offsets, mass=jets.mass)
    torch.testing.assert_close(features(moved)[0], features(jets)[0], rtol=0, atol=1e-9)


def test_floors_and_gradients_of_equal_directions():
    """Two massless constituents of one direction, one twice, and one along the beam."""
    p4 = torch.tensor([[2.0, 2.0, 0, 0], [4.0, 4.0, 0, 0], [2.0, 2.0, 0, 0], [3.0, 0, 0, -3.0]], dtype=torch.float64)
    jets = RaggedJets.from_momenta(p4, torch.tensor([0, 4]), mass=torch.zeros(4))
    scale = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    found, _ = features(jets.scaled(scale, jets_too=False))
    assert torch.isfinite(found).all()
    assert found[1].tolist() == pytest.approx([FLOOR, np.log(1 / 3), FLOOR, FLOOR])
    found.sum().backward()
    assert torch.isfinite(scale.grad).all()


def test_gradients(random_jets):
    jets = RaggedJets.from_awkward(random_jets([4, 1]))
    scale = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda given: features(jets.scaled(given, jets_too=True))[0], (scale,))


def test_boundaries_of_many_jets():
    counts = torch.tensor([0, 3, 1, 4])
    pairs = UnorderedPairs.of(Squares.of(boundaries(counts)))
    assert len(pairs.first) == int((counts * (counts + 1) // 2).sum())
    assert len(pairs.of_square) == int((counts**2).sum())
