from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.convert.particlenet import translate
from coffea_equitag.invariants import kinematic_features
from coffea_equitag.invariants.kinematic import relative_angles
from coffea_equitag.models.particlenet import ParticleNet
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    assert_so2_invariant,
)
from networks import run

COUNTS = [20, 1, 0, 7, 35, 2, 17]


def build(**options):
    """A network with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(3)
    model = ParticleNet(**options)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return model.eval()


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({}, 366_160), ({"lite": True}, 26_416), ({"pairwise": "mass"}, 374_240), ({"nodewise": "mass"}, 388_000)],
)
def test_sizes(options, parameters):
    assert ParticleNet(**options).num_parameters() == parameters


@pytest.mark.parametrize("lite", [False, True])
def test_symmetries(random_jets, lite):
    jets, model = random_jets(COUNTS), build(lite=lite).double()
    assert_permutation_invariant(run(model), jets, tolerance=1e-11)
    assert_batch_independent(run(model), jets, tolerance=1e-12)
    assert_so2_invariant(run(model), jets, (0, 0, 1), tolerance=1e-9)
    with pytest.raises(AssertionError, match="Lorentz"):
        assert_lorentz_invariant(run(model), jets, gammas=(2,))


def test_single_precision(random_jets):
    jets, model = random_jets(COUNTS), build()
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)


def test_objects_of_one_direction_do_not_depend_on_their_order():
    # ECAL and HCAL give two objects per tower; k = 2 cuts through such pairs
    rng = np.random.default_rng(0)
    eta, phi = np.repeat(rng.normal(0, 0.3, 8), 2), np.repeat(rng.normal(0, 0.3, 8), 2)
    cloud = ak.zip({"pt": rng.exponential(20, 16), "eta": eta, "phi": phi, "mass": np.zeros(16)})
    assert_permutation_invariant(
        run(build(lite=True, k=2).double()), eqt.make_jets(ak.unflatten(cloud, [16])), tolerance=1e-11
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", [{"lite": True}, {"lite": True, "pairwise": "delta_r", "nodewise": "mass"}])
def test_empty_and_single_constituents_are_finite_and_train(random_jets, training, options):
    model = build(**options).train(training)
    for counts in ([], [0], [1], [0, 1, 0, 3]):
        logits = model(random_jets(counts))
        assert logits.shape == (len(counts), 2)
        assert torch.isfinite(logits).all()
        logits.sum().backward()


def test_not_a_number_stays_in_its_jet(random_jets):
    jets, model = RaggedJets.from_awkward(random_jets([5, 20, 9])), build(lite=True)
    features, points = kinematic_features(jets).float(), torch.stack(relative_angles(jets), dim=1)
    with torch.no_grad():
        expected = model.network(features, points, jets.offsets)
        features[7], points[9] = torch.nan, torch.nan
        found = model.network(features, points, jets.offsets)
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
    assert torch.isnan(found[1]).all()


def test_every_parameter_has_a_gradient(random_jets):
    model = build(lite=True, pairwise="mass", nodewise="mass").train()
    torch.nn.functional.cross_entropy(model(random_jets([9, 12, 10])), torch.tensor([0, 1, 1])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("options", [{"k": 0}, {"pairwise": "angle"}, {"nodewise": "pt"}, {"friends": ()}])
def test_wrong_options(random_jets, options):
    with pytest.raises(eqt.TaggerError, match=next(iter(options))):
        ParticleNet(**({"nodewise": "mass"} | options))(random_jets([2]))


class TestOfficial:
    """The official code's outputs, random weights, padded to 128."""

    def arrays(self, shared_data):
        with np.load(shared_data / "parity" / "particlenet_pfn.npz") as arrays:
            return dict(arrays)

    def model(self, shared_data):
        states = torch.load(
            shared_data / "parity" / "particlenet_pfn_official.pt", weights_only=True, map_location="cpu"
        )
        model = ParticleNet().double()  # the weights are not exact in single precision
        model.load_state_dict(translate(states["particlenet"]))
        return model.eval()

    def test_network_and_jets(self, shared_data):
        parity, model = self.arrays(shared_data), self.model(shared_data)
        offsets = torch.from_numpy(parity["offsets"])
        with torch.no_grad():
            logits = model.network(torch.from_numpy(parity["features"]), torch.from_numpy(parity["points"]), offsets)
            from_jets = model(RaggedJets.from_momenta(torch.from_numpy(parity["p4"]), offsets))
            jets = RaggedJets.from_momenta(torch.from_numpy(parity["p4"]), offsets)
            single, allowed = model.float()(jets), rounding(model, jets.slice(0, 8))
        # with fewer, the official code takes featureless neighbours from the padding
        real = np.diff(parity["offsets"]) >= 18
        expected = parity["particlenet__logits_pad128"][real]
        for found, tolerance in ((logits, 1e-12), (from_jets, 1e-12), (single, allowed)):
            assert deviation(found[real], expected) <= tolerance
