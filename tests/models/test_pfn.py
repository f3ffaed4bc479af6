from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.invariants import kinematic_features
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_permutation_invariant,
    assert_so2_invariant,
)
from networks import run


@pytest.fixture
def model():
    torch.manual_seed(0)
    return eqt.models.build("pfn").eval()


def test_published_size(model):
    assert model.num_parameters() == 83_842


def test_symmetries(model, random_jets):
    jets = random_jets([20, 1, 0, 7, 35])
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)
    assert_so2_invariant(run(model), jets, (0, 0, 1), tolerance=1e-10)
    with pytest.raises(AssertionError, match="SO\\(2\\)"):
        assert_so2_invariant(run(model), jets, (1, 0, 0))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_empty_jets_and_training(batch_norm, random_jets):
    model = eqt.models.build("pfn", batch_norm=batch_norm, phi=(8, 8), f=(8,))
    for counts in ([], [0], [1], [0, 1, 5]):
        logits = model(random_jets(counts))
        assert logits.shape == (len(counts), 2)
        assert torch.isfinite(logits).all()
        logits.sum().backward()


def test_official(shared_data):
    with np.load(shared_data / "parity" / "particlenet_pfn.npz") as arrays:
        parity = dict(arrays)
    states = torch.load(shared_data / "parity" / "particlenet_pfn_official.pt", weights_only=True, map_location="cpu")
    model = eqt.convert.official("pfn", states["pfn_bn0"]).model
    offsets, expected = torch.from_numpy(parity["offsets"]), parity["pfn_bn0__logits"]
    with torch.no_grad():
        logits = model.network(torch.from_numpy(parity["features"]), offsets)
        from_jets = model(RaggedJets.from_momenta(torch.from_numpy(parity["p4"]), offsets))
    for found in (logits, from_jets):
        assert deviation(found, expected) <= 1e-10


def test_features_follow_the_published_scaling(random_jets):
    jets = random_jets([6])
    features = kinematic_features(RaggedJets.from_awkward(jets)).numpy()
    c = jets.constituents[0]
    px, py, pz, e = (float(sum(c[k])) if k in c.fields else float(sum(getattr(c, k))) for k in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    d_eta = c.eta.to_numpy() - np.arcsinh(pz / pt)
    d_phi = (c.phi.to_numpy() - np.arctan2(py, px) + np.pi) % (2 * np.pi) - np.pi
    expected = [
        (np.log(c.pt) - 1.7) * 0.7,
        (np.log(c.E) - 2) * 0.7,
        (np.log(c.pt / pt) + 4.7) * 0.7,
        (np.log(c.E / e) + 4.7) * 0.7,
        (np.hypot(d_eta, d_phi) - 0.2) * 4,
    ]
    for k, column in enumerate(expected):
        np.testing.assert_allclose(features[:, k], np.clip(column, -5, 5), atol=1e-12)
    np.testing.assert_allclose(features[:, 5], d_eta, atol=1e-12)
    np.testing.assert_allclose(features[:, 6], d_phi, atol=1e-12)
