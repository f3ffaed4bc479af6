from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.convert.lgn import options, translate
from coffea_equitag.models.beams import BEAMS
from coffea_equitag.models.lgn import LGN
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    assert_so2_invariant,
    assert_so3_equivariant,
    boost,
    transform,
)
from networks import run


def build(**given):
    """A network in which the tensors matter as much as the scalars."""
    torch.manual_seed(3)
    model = LGN(**({"scale": 0.05} | given))
    for level in model.levels:
        for name, factor in (("v", 3.0), ("F", 2.0), ("dual", 2.0), ("S", 10.0)):
            if name in level.mixing.weight:
                level.mixing.weight[name].data *= factor
    return model.eval()


@pytest.mark.parametrize(
    ("given", "parameters"), [({}, 4646), ({"levels": 4}, 6482), ({"levels": 2, "channels": 2}, 1134)]
)
def test_published_sizes(given, parameters):
    assert LGN(**given).num_parameters() == parameters


@pytest.mark.parametrize("beams", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lorentz_invariance(random_jets, beams, dtype):
    jets, model = random_jets([20, 1, 7, 35, 2]), build(beams=beams).to(dtype)
    tolerance = rounding(model, jets) if dtype == torch.float32 else 1e-10
    assert_lorentz_invariant(run(model), jets, tolerance=tolerance, references=BEAMS if beams else None)


def test_every_kind_of_tensor_is_seen(random_jets):
    jets, model = random_jets([20, 7]), build()
    reference = run(model)(jets)
    for name in ("v", "F", "S"):
        weight = model.levels[1].mixing.weight[name]
        kept, weight.data = weight.data, weight.data * 0
        assert (run(model)(jets) - reference).abs().max() > 1e-3 * reference.abs().max()
        weight.data = kept


def test_beams_break_what_they_should(random_jets):
    jets, function = random_jets([20, 7]), run(build())
    assert_so2_invariant(function, jets, (0, 0, 1), tolerance=rounding(function, jets))
    with pytest.raises(AssertionError, match="outputs moved"):
        assert_so2_invariant(function, jets, (1, 0, 0))
    reference = function(jets)
    for axis in ((1, 0, 0), (0, 0, 1)):
        assert (function(transform(jets, boost(2.0, axis))) - reference).abs().max() > 1e-3 * reference.abs().max()


@pytest.mark.parametrize("given", [{}, {"beams": False}, {"maxdim": 2}, {"levels": 1, "channels": (2, 2)}])
def test_permutations_and_batches(random_jets, given):
    jets, model = random_jets([20, 1, 0, 7, 35, 2, 7]), build(**given)
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)


@pytest.mark.parametrize("beams", [False, True])
@pytest.mark.parametrize("output", ["classes", "momentum"])
def test_empty_and_single_constituents_are_finite_and_train(random_jets, beams, output):
    model = build(beams=beams, output=output).train()
    for counts in ([], [0], [1], [0, 1, 0, 3]):
        result = model(random_jets(counts))
        assert result.shape == (len(counts), 2 if output == "classes" else 4)
        assert torch.isfinite(result).all()
        result.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_scoring_first_does_not_stand_in_the_way_of_training(random_jets):
    model = build()
    with torch.inference_mode():
        model(random_jets([3]))
    model(random_jets([3])).sum().backward()


def test_every_parameter_has_a_gradient(random_jets):
    model = build().train()
    torch.nn.functional.cross_entropy(model(random_jets([5, 9, 4])), torch.tensor([0, 1, 1])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_nan_of_one_jet_stays_there(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([5, 5, 3, 0]))
    clean = run(model)(jets)
    jets.p4[6] = torch.nan
    found = run(model)(jets)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])


@pytest.mark.parametrize("beams", [False, True])
def test_momentum_output_is_covariant(random_jets, beams):
    jets, model = random_jets([20, 1, 7, 2]), build(output="momentum", beams=beams).double()
    reference = run(model)(jets).numpy()
    if not beams:

        def representation(three):
            return np.block([[np.ones((1, 1)), np.zeros((1, 3))], [np.zeros((3, 1)), three]])

        assert_so3_equivariant(run(model), jets, representation=representation, tolerance=1e-10)
    for gamma in (2.0, 100.0):
        matrix = boost(gamma, [1, -2, 0.5])
        found = run(model)(
            transform(jets, matrix), (np.asarray(BEAMS) @ matrix.T).astype(np.float64) if beams else None
        )
        expected = reference @ matrix.T.astype(np.float64)
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"levels": 0}, "at least one level"),
        ({"channels": (2, 0)}, "positive channels"),
        ({"maxdim": 4}, "expected: 2 or 3"),
        ({"output": "mass"}, "'classes' or 'momentum'"),
    ],
)
def test_wrong_options(given, words):
    with pytest.raises(eqt.TaggerError, match=words):
        LGN(**given)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: the CUDA path of LGN is not run here")
def test_gpu_agrees_with_cpu(random_jets):
    jets, model = random_jets([20, 1, 0, 7, 35]), build().double()
    expected = run(model)(jets)
    torch.testing.assert_close(run(model.cuda())(jets).cpu(), expected, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def fixture(shared_data):
    with np.load(shared_data / "parity" / "lgn.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def official(shared_data):
    return torch.load(shared_data / "parity" / "lgn_official.pt", weights_only=True)


@pytest.mark.parametrize(
    ("key", "levels", "channels"), [("ncg3_2343", 3, (2, 3, 4, 3)), ("clariant_like_1ch", 2, (2, 2, 2))]
)
class TestOfficial:
    """The official code's outputs, with its weights."""

    def model(self, official, key):
        model = LGN(**options(official[key])).double()
        model.load_state_dict(translate(official[key]))
        return model

    def test_options(self, official, key, levels, channels):
        found = options(official[key])
        assert LGN(**found).options == LGN(levels=levels, channels=channels).options

    def test_network(self, fixture, official, key, levels, channels):
        jets = RaggedJets.from_momenta(torch.from_numpy(fixture["p4"]), torch.from_numpy(fixture["offsets"]))
        nodes = jets.prepend(jets.p4.new_tensor(BEAMS), torch.ones(2, dtype=torch.float64))
        p4, metric = float(fixture["scale"]) * nodes.p4, nodes.p4.new_tensor([1.0, -1.0, -1.0, -1.0])
        blocks = [p4[a:b] for a, b in itertools.pairwise(nodes.offsets)]
        squares = torch.cat([((p[:, None] - p).square() * metric).sum(-1).flatten() for p in blocks])
        masses = (p4.square() * metric).sum(1).abs().sqrt()
        scalars = torch.stack([masses, 2.0 * nodes.columns["reference"] - 1.0], dim=1)
        with torch.no_grad():
            logits = self.model(official, key).network(p4, scalars, nodes.offsets, squares)
        assert deviation(logits, fixture[f"{key}__logits"]) <= 1e-9

    def test_from_jets(self, fixture, official, key, levels, channels):
        jets = RaggedJets.from_momenta(torch.from_numpy(fixture["p4"]), torch.from_numpy(fixture["offsets"]))
        model = self.model(official, key)
        assert deviation(run(model)(jets), fixture[f"{key}__logits"]) <= 1e-8
        assert deviation(run(model.float())(jets), fixture[f"{key}__logits"]) <= rounding(model, jets)

    def test_wrong_checkpoints(self, official, key, levels, channels):
        for missing in ("lgn_cg.atom_levels.0.cat_mix.mix_reps.weights.(0, 0)", "output_layer_atom.lin.weight"):
            part = {name: value for name, value in official[key].items() if name != missing}
            with pytest.raises(eqt.CheckpointError, match="a part of one"):
                translate(part)
        with pytest.raises(eqt.CheckpointError, match="LGNTopTag"):
            translate({"weight": torch.zeros(2)})
        with pytest.raises(eqt.CheckpointError, match="without"):
            options({"weight": torch.zeros(2)})
