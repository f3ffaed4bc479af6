"""The assertions must fail for functions that break a symmetry, and measure by how much."""

from __future__ import annotations

import functools

import awkward as ak
import numpy as np
import pytest
import torch
from torch import nn

from coffea_equitag import models
from coffea_equitag.jets import flatten, make_jets
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    assert_so2_invariant,
    assert_so3_equivariant,
    boost,
    rotation,
    transform,
)

METRIC = np.diag([1.0, -1.0, -1.0, -1.0])


def momentum(jets):
    constituents = jets.constituents
    return np.stack([ak.to_numpy(ak.sum(constituents[k], axis=1)) for k in ("px", "py", "pz")], axis=1)


def mass2(jets):
    p4 = flatten(jets).jet_p4
    return p4[:, 0] ** 2 - (p4[:, 1:] ** 2).sum(1)


@pytest.fixture
def jets(random_jets):
    return random_jets([5, 1, 3], coordinates="cartesian", label=[0, 1, 0])


@pytest.mark.parametrize("gamma", [1.0, 3.0, 1e4])
def test_boosts_and_rotations_are_lorentz_transformations(gamma):
    matrix = boost(gamma, (1, 2, -1)) @ rotation(0.7, (0, 1, 1))
    np.testing.assert_allclose(matrix.T @ METRIC @ matrix, METRIC, atol=1e-18 * 40 * gamma**2)
    assert matrix[0, 0] == pytest.approx(gamma)


def test_transform_knows_other_names_of_coordinates_and_padding():
    track, padding = {"px": 5.0, "py": 1.0, "pz": 2.0, "energy": 7.0}, dict.fromkeys(("px", "py", "pz", "energy"), 0.0)
    constituents = [[track | {"charge": 1}, padding | {"charge": 0}, track | {"charge": -1}], [track | {"charge": 0}]]
    own = {"px": [10.0, 5.0], "py": [2.0, 1.0], "pz": [4.0, 2.0], "E": [14.0, 7.0]}
    jets, matrix = make_jets(ak.Array(constituents), **own), boost(3.0, (0, 0, 1))
    moved = transform(jets, matrix)
    assert moved.constituents.charge.tolist() == [[1, -1], [0]]
    before, after = flatten(jets), flatten(moved)
    np.testing.assert_allclose(after.momenta.p4, before.momenta.p4 @ matrix.T.astype(float))
    # the jets' own momenta transform like their constituents
    np.testing.assert_allclose(after.jet_p4, before.jet_p4 @ matrix.T.astype(float))


def test_permutations_keep_padded_jets_whole():
    padded = ak.Array([[{"px": k, "py": 1.0, "pz": 0.0, "E": 9.0 * k} for k in (3.0, 0.0, 5.0, 7.0)]])
    padded = ak.with_field(padded, ak.where(padded.px == 0, 0.0, padded.py), "py")
    assert assert_permutation_invariant(momentum, make_jets(padded)) < 1e-12


def test_transform_keeps_masses_and_columns(jets):
    moved = transform(jets, boost(5.0, (1, 1, 0)))
    assert moved.label.tolist() == [0, 1, 0]
    assert moved.constituents.pdgId.tolist() == jets.constituents.pdgId.tolist()
    assert moved.constituents.mass.tolist() == jets.constituents.mass.tolist()
    np.testing.assert_allclose(mass2(moved), mass2(jets), rtol=1e-9, atol=1e-9)
    same = transform(jets, np.eye(4))
    np.testing.assert_array_equal(ak.flatten(same.constituents.px), ak.flatten(jets.constituents.px))


def test_impact_parameters_turn_with_the_momenta(jets):
    zeros = ak.zeros_like(jets.constituents.px)
    impact = ak.zip({"x": zeros + 1, "y": zeros, "z": zeros}, with_name="Vector3D")
    jets = ak.with_field(jets, ak.with_field(jets.constituents, impact, "ip"), "constituents")
    turned = transform(jets, rotation(np.pi / 2, (0, 0, 1))).constituents.ip
    np.testing.assert_allclose(ak.flatten(turned.y), 1)
    np.testing.assert_allclose(ak.flatten(turned.x), 0, atol=1e-15)


def test_lorentz(jets):
    assert assert_lorentz_invariant(lambda j: flatten(j).momenta.mass, jets) == 0
    with pytest.raises(AssertionError, match="Lorentz symmetry: outputs moved by"):
        assert_lorentz_invariant(momentum, jets, gammas=(2.0,))


def test_rotations(jets):
    assert assert_so3_equivariant(momentum, jets, representation=lambda r: r, tolerance=1e-12) > 0
    with pytest.raises(AssertionError, match=r"SO\(3\)"):
        assert_so3_equivariant(momentum, jets)
    assert_so2_invariant(lambda j: momentum(j)[:, 2], jets, (0, 0, 1), tolerance=1e-12)
    with pytest.raises(AssertionError, match=r"SO\(2\)"):
        assert_so2_invariant(lambda j: momentum(j)[:, 2], jets, (1, 0, 0))


def test_permutations(jets):
    assert_permutation_invariant(momentum, jets, tolerance=1e-12)
    with pytest.raises(AssertionError, match="permutation"):
        assert_permutation_invariant(lambda j: ak.firsts(j.constituents.px), jets)


def test_batches(jets):
    assert_batch_independent(momentum, jets)
    with pytest.raises(AssertionError, match="batch"):
        assert_batch_independent(lambda j: momentum(j) - momentum(j).mean(0), jets)
    assert assert_batch_independent(momentum, jets[:0]) == 0


class Network(nn.Module):
    """log(1 + m²) of each jet, by a dropout and a BatchNorm that do nothing but while training."""

    def __init__(self):
        super().__init__()
        self.dropout, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(1).double()

    def forward(self, jets, references=None):
        log_mass = torch.log1p(torch.from_numpy(mass2(jets)).clamp(min=0))[:, None]
        return self.norm(self.dropout(log_mass.repeat(1, 64)).mean(1, keepdim=True))


ASSERTIONS = {
    "lorentz": assert_lorentz_invariant,
    "references": functools.partial(assert_lorentz_invariant, references=np.eye(4)[:1]),
    "so2": functools.partial(assert_so2_invariant, axis=(0, 0, 1)),
    "so3": assert_so3_equivariant,
    "permutation": assert_permutation_invariant,
    "batch": assert_batch_independent,
}


@pytest.mark.parametrize("check", ASSERTIONS.values(), ids=ASSERTIONS)
def test_networks_are_tested_in_evaluation_mode(check, jets):
    network = Network()
    network.dropout.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for function in (network, network.forward, functools.partial(network)):
        check(function, jets, tolerance=1e-3)
    assert {name: module.training for name, module in network.named_modules()} == {
        "": True,
        "dropout": False,
        "norm": True,
    }
    # BatchNorm counted no batch
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("check", ASSERTIONS.values(), ids=ASSERTIONS)
def test_random_outputs_are_named(check, jets):
    network = Network()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        with pytest.raises(AssertionError, match=r"differ by .* from call to call: put the network into evaluation"):
            check(lambda *given: network(*given), jets)


def test_our_networks_get_their_mode_back(jets):
    network = models.build("lorentznet", beams=False, hidden=8, n_layers=2).double().train()
    assert_permutation_invariant(network, jets, tolerance=1e-9)
    assert all(module.training for module in network.modules())


def test_nan_and_shapes_fail(jets):
    with pytest.raises(AssertionError, match="not finite"):
        assert_permutation_invariant(lambda j: np.full(len(j), np.nan), jets)
    outputs = iter([np.zeros(3), np.zeros(2), np.zeros(2), np.zeros(2)])
    with pytest.raises(AssertionError, match="shape"):
        assert_permutation_invariant(lambda j: next(outputs), jets)
