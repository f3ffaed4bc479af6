from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.invariants.weaver_variables import weaver_features
from coffea_equitag.layers.slim import SlimDropout, SlimNorm, lowered
from coffea_equitag.layers.slim_block import SlimBlock, SlimSizes
from coffea_equitag.layers.squares import Squares
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    assert_so2_invariant,
    boost,
    rotation,
    transform,
)
from networks import run, shaken

#: What the beams of the network are made of.
BEAMS = np.array([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, -1.0]])
SMALL = {"vectors": 8, "scalars": 16, "n_layers": 3, "n_heads": 4, "mlp_ratio": 2}
INVARIANT = {"beams": None, "time": False}


def build(**options):
    """A network whose weights, biases and gains are far from those of the beginning."""
    torch.manual_seed(3)
    return shaken(eqt.models.build("lgatr_slim", **(SMALL | options)).eval())


def test_published_size():
    assert eqt.models.build("lgatr_slim").num_parameters() == 2_013_826


@pytest.mark.parametrize("options", [{}, INVARIANT, {"beams": "spacelike"}, {"beams": "timelike", "both_beams": False}])
def test_lorentz_invariance_in_single_precision(random_jets, options):
    """At any boost, if the spurions move with the jets."""
    jets, model = random_jets([20, 1, 7, 35, 2]), build(**options)
    references = BEAMS if model.spurions else None
    allowed = rounding(model, jets)
    assert_lorentz_invariant(run(model), jets, gammas=(1, 10, 1e4), tolerance=allowed, references=references)
    if not model.spurions:
        assert_lorentz_invariant(run(model.double()), jets, gammas=(1, 2, 10), tolerance=1e-11)


@pytest.mark.parametrize("options", [{}, {"time": False}, {"inputs": "kinematic"}])
def test_spurions_leave_rotations_about_the_beam(random_jets, options):
    jets, model = random_jets([20, 7]), build(**options)
    function = run(model)
    assert_so2_invariant(function, jets, (0, 0, 1), tolerance=2 * rounding(model, jets))
    moved = function(transform(jets, rotation(0.5, (1, 0, 0))))
    assert deviation(moved, function(jets)) > 1e-3


def test_boosts_along_the_beam(random_jets):
    """Beams and time change under them, so that only the network without either has the same outputs."""
    jets, along = random_jets([20, 7]), boost(2.0, (0, 0, 1))
    for options, same in (({"beams": None}, False), (INVARIANT, True), ({"time": False}, False)):
        function = run(build(**options).double())
        assert (deviation(function(transform(jets, along)), function(jets)) < 1e-9) is same


@pytest.mark.parametrize("options", [INVARIANT, {}])
@pytest.mark.parametrize("matrix", [boost(5.0, (1, 2, -1)), boost(100.0, (0, 0, 1)), rotation(1.0, (1, 1, 0))])
def test_momentum_is_covariant(random_jets, options, matrix):
    jets, model = random_jets([20, 1, 7, 0, 35]), build(output="momentum", **options).double()
    plain = matrix.astype(np.float64)
    beams = BEAMS if model.spurions else None
    momenta = run(model)(jets, beams).numpy()
    moved = run(model)(transform(jets, matrix), None if beams is None else beams @ plain.T)
    assert momenta.shape == (5, 4)
    assert deviation(moved, momenta @ plain.T) <= 1e-10


@pytest.mark.parametrize("options", [{}, INVARIANT, {"inputs": "kinematic", "aggregation": "mean"}])
def test_permutations_and_batches(random_jets, options):
    jets, model = random_jets([20, 1, 0, 7, 35, 2, 7]), build(**options)
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)


@pytest.mark.parametrize("options", [{}, {"output": "momentum"}, {"aggregation": "mean", "inputs": "kinematic"}])
def test_every_parameter_has_a_gradient(random_jets, options):
    model = build(dropout=0.1, **options).train()
    model(random_jets([5, 9, 4])).square().sum().backward()
    dead = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert dead == []


def test_dropout_takes_whole_vectors():
    torch.manual_seed(0)
    vectors, scalars = SlimDropout(0.5)(torch.ones(20, 4, 8), torch.ones(20, 8))
    assert ((vectors == 0).all(1) | (vectors == 2).all(1)).all()
    assert 0.3 < float((vectors == 0).double().mean()) < 0.7
    assert set(scalars.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("keeps_vectors", [False, True])
def test_gradients_of_a_block(keeps_vectors):
    torch.manual_seed(0)
    sizes = SlimSizes(vectors=3, scalars=5, heads=2, mlp_ratio=2)
    block, squares = SlimBlock(sizes, keeps_vectors).double(), Squares.of(torch.tensor([0, 0, 1, 3, 5]))
    inputs = torch.randn(5, 4, 3, dtype=torch.float64), torch.randn(5, 5, dtype=torch.float64)
    inputs = [values.requires_grad_() for values in inputs]
    assert torch.autograd.gradcheck(lambda v, s: block(v, s, squares), inputs)


def test_norm_is_one_invariant_for_both_streams():
    torch.manual_seed(0)
    vectors, scalars = torch.randn(6, 4, 3, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    normed, scaled = SlimNorm()(vectors, scalars)
    size = ((vectors * lowered(vectors)).sum(1).abs().sum(1) + scalars.square().sum(1)) / 8
    torch.testing.assert_close(normed, vectors / (size + 0.01).sqrt()[:, None, None])
    torch.testing.assert_close(scaled, scalars / (size + 0.01).sqrt()[:, None])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vectors": 0}, "vectors = 0 for lgatr_slim\n.*positive"),
        ({"mlp_layers": 1}, "mlp_layers = 1"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"unit": -20.0}, "unit = -20.0"),
        ({"aggregation": "mean"}, "'mean' without inputs"),
        ({"beams": True}, "beams = True for lgatr_slim\n.*'lightlike'"),
        ({"inputs": ["part_colour"]}, "part_colour"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(eqt.TaggerError, match=words):
        eqt.models.build("lgatr_slim", **options)


def test_scalars_are_those_of_constituents(track_jets):
    model = build(inputs=["part_charge", ["part_deltaR", 0.2, 4.0]])
    assert model.fields == ("charge",)
    jets = RaggedJets.from_awkward(track_jets([3, 0, 2]), model.fields)
    nodes = model._nodes(jets)
    scalars = model.scalars(jets, nodes)
    assert nodes.counts.tolist() == [7, 4, 6]  # the token, two beams, time
    own = ~nodes.columns["reference"]
    torch.testing.assert_close(scalars[own, :2], weaver_features(jets, model.options["inputs"]).float())
    assert scalars[own, 2].abs().sum() == scalars[~own, :2].abs().sum() == 0
    assert scalars[:, 2].nonzero()[:, 0].tolist() == nodes.offsets[:-1].tolist()
    with pytest.raises(eqt.JetError, match="without 'charge'"):
        model(without_charge(track_jets([3])))


def without_charge(jets):
    fields = [name for name in jets.constituents.fields if name != "charge"]
    return ak.zip({"constituents": jets.constituents[fields]}, depth_limit=1)


def test_jets_without_mass(random_jets):
    """A massless constituent alone has no rest frame: its products are all 0, and so is what it adds."""
    p4 = torch.tensor([[5.0, 3.0, 0.0, 4.0]], dtype=torch.float64)
    jet = RaggedJets.from_momenta(p4, torch.tensor([0, 1]), mass=torch.zeros(1, dtype=torch.float64))
    for options in ({}, INVARIANT):
        model = build(**options).double()
        again = replace(jet, p4=3 * p4, jet_p4=3 * p4) if not model.spurions else jet
        with torch.no_grad():
            torch.testing.assert_close(model(again), model(jet), rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        momentum = build(output="momentum", **INVARIANT).double()(jet)
    torch.testing.assert_close(momentum / momentum[:, :1], p4 / 5.0)


def test_a_tagger_keeps_the_structure_of_the_jets(random_jets):
    flat = random_jets([4, 0, 3, 1])
    tagger = eqt.Tagger.from_model(build(), name="slim", classes=("background", "signal"))
    scores = tagger(flat)
    nested = ak.mask(ak.unflatten(flat, [2, 0, 2]), ak.Array([[True, False], [], [True, True]]))
    found = tagger(nested)
    assert ak.num(found).tolist() == [2, 0, 2]
    assert found[0, 1] is None
    np.testing.assert_allclose(ak.drop_none(ak.flatten(found)), scores[[0, 2, 3]], rtol=1e-5)
    np.testing.assert_allclose(tagger(flat[[3, 0]][:1]), scores[3:], rtol=1e-5)
    assert len(tagger(flat[:0])) == 0
