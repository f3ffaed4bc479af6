from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.testing import assert_permutation_invariant
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    needs_vectors,
    run,
)
from networks import shaken

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 200, 2]
#: Channels and heads of the published network, and few.
PUBLISHED, SMALL = {"n_layers": 2}, {"vectors": 6, "scalars": 10, "n_layers": 2, "n_heads": 4, "mlp_ratio": 3}


def build(**options):
    torch.manual_seed(3)
    return shaken(eqt.models.build("lgatr_slim", **options).eval())


@pytest.mark.parametrize(
    "options",
    [
        {**PUBLISHED, "n_layers": 1, "output": "momentum"},
        SMALL,
        {**SMALL, "n_layers": 1, "gains": False, "beams": None, "time": False},
        {**SMALL, "mlp_layers": 4, "attention_ratio": 2, "output": "momentum"},
        {**SMALL, "inputs": "kinpid", "aggregation": "mean", "n_classes": 5, "dropout": 0.5},
    ],
)
def test_agrees_with_the_layers(track_jets, options):
    model = build(**options)
    jets = RaggedJets.from_awkward(track_jets(COUNTS), model.fields)
    assert_agrees(run(model, jets), model, jets)


@pytest.mark.parametrize("activation", ["gelu", "silu", "relu", "sigmoid", "tanh"])
def test_activations(random_jets, activation):
    model, jets = build(**SMALL, activation=activation, vector_activation=activation), random_jets([9, 4])
    assert_agrees(run(model, jets), model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [0, 1], [1, 1]])
def test_few_constituents(random_jets, counts):
    model, jets = build(**SMALL), random_jets(counts)
    assert_agrees(run(model, jets), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    jets = RaggedJets.from_awkward(random_jets(np.random.default_rng(5).integers(0, 90, 30).tolist()))
    assert_own_jet_alone(build(**SMALL), jets)


def test_groups_of_jets_change_nothing(random_jets):
    """Tiles at any place, with the published widths."""
    model, jets = build(**PUBLISHED), RaggedJets.from_awkward(random_jets([90, 100, 70, 5, 61, 30]))
    alone = torch.cat([run(model, jets.slice(j, j + 1)) for j in range(jets.num_jets)])
    assert torch.equal(run(model, jets), alone)


def test_symmetry(random_jets):
    model, jets = build(**SMALL), random_jets([20, 1, 7, 35, 2])
    assert_permutation_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(**SMALL), random_jets([9, 4])
    assert_changes_noticed(model, jets, weight=model.blocks[1].second_norm.vectors)


def test_features_and_nan_in_its_own_jet():
    model, offsets = build(**SMALL, output="momentum"), torch.tensor([0, 9, 9, 13])
    vectors, scalars = torch.randn(13, 4), torch.rand(13, 1)
    with torch.no_grad():
        found = model.features(vectors, scalars, offsets)
        assert kernels.last_choice("lgatr_slim").kernel == "cpu"
        assert [part.shape for part in found] == [(13, 4, 6), (13, 10)]
        vectors[5, 2] = torch.nan
        for part, before in zip(model.features(vectors, scalars, offsets), found, strict=True):
            assert part[:9].isnan().all()
            assert torch.equal(part[9:], before[9:])


def test_what_is_left_to_the_layers(random_jets):
    replaced, exact = build(**SMALL), build(**SMALL)
    replaced.blocks[0].perceptron.gates[0].activation = torch.nn.LeakyReLU()
    exact.blocks[0].perceptron.gates[0].activation = torch.nn.GELU()
    for model, reason in ((replaced, "layers were replaced"), (exact, "approximation by tanh")):
        with torch.no_grad():
            model(random_jets([5]))
        choice = kernels.last_choice("lgatr_slim")
        assert choice.kernel == "reference"
        assert reason in choice.reason
