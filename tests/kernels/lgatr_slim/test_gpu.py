"""L-GATr-slim's kernels on a GPU, or in Triton's interpreter (see test_gpu_interpreter), against the layers."""

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees
from coffea_equitag import RaggedJets, kernels
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import assert_agrees, assert_changes_noticed, assert_own_jet_alone, run
from networks import shaken
from training_steps import step

pytestmark = needs_gpu

COUNTS = [13, 1, 0, 4] if INTERPRETED else [20, 1, 0, 70, 2, 7]
SMALL = {"vectors": 4, "scalars": 8, "n_layers": 2, "n_heads": 2, "mlp_ratio": 2}
OPTIONS = [
    {},
    {"output": "momentum", "activation": "silu", "vector_activation": "tanh", "attention_ratio": 2},
    {"mlp_layers": 3, "gains": False, "activation": "relu", "vector_activation": "gelu", "beams": None, "time": False},
    {"vectors": 5, "scalars": 9, "aggregation": "mean", "inputs": "kinematic", "activation": "tanh", "n_classes": 5},
]


def build(**options):
    torch.manual_seed(3)
    return shaken(eqt.models.build("lgatr_slim", **(SMALL | options))).to(DEVICE).eval()


@pytest.mark.parametrize("options", OPTIONS)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS))
    assert_agrees(run(model, jets, "gpu"), model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1]])
def test_few_constituents(random_jets, counts):
    model, jets = build(), random_jets(counts)
    assert_agrees(run(model, jets, "gpu"), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    assert_own_jet_alone(build(), RaggedJets.from_awkward(random_jets(COUNTS)), "gpu")


def test_changed_weights_are_noticed(random_jets):
    model = build(n_layers=1)
    assert_changes_noticed(model, random_jets([4]), weight=model.blocks[0].first_norm.scalars, mode="gpu")


def test_nan_stays_in_its_jet():
    model, vectors = build(), torch.randn(8, 4)
    vectors[1, 2] = torch.nan
    scalars, offsets = torch.ones(8, 1), torch.tensor([0, 5, 8])
    with torch.no_grad(), kernels.use("gpu"):
        _, found = model.features(vectors.to(DEVICE), scalars.to(DEVICE), offsets.to(DEVICE))
    assert kernels.last_choice("lgatr_slim").kernel == "gpu"
    assert found.isnan().any(1).tolist() == [True] * 5 + [False] * 3


@pytest.mark.parametrize("options", OPTIONS[1:])
def test_gradients_are_those_of_the_layers(random_jets, options):
    model = build(**options).train()
    assert_step_agrees(step, model, lambda seed: RaggedJets.from_awkward(random_jets(COUNTS, seed)), "gpu")


def test_dropout_is_drawn_from_torchs_generator(random_jets):
    model, jets = build(dropout=0.5).train(), random_jets([5])
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(step(model, jets, "gpu")[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
