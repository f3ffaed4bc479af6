"""LLoCa-Transformer's kernels on a GPU, or in Triton's interpreter (see test_gpu_interpreter), against the layers."""

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees
from coffea_equitag import RaggedJets, kernels
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import assert_agrees, assert_changes_noticed, assert_own_jet_alone, run
from training_steps import step

pytestmark = needs_gpu

COUNTS = [18, 1, 0, 2] if INTERPRETED else [20, 1, 0, 70, 2, 7, 3]
SMALL = {"heads": 2, "blocks": 1, "frame_width": 16, "mlp_factor": 2}
OPTIONS = [
    {"blocks": 2},
    {"output": "momentum", "scalars": 2, "vectors": 1, "tensors": 1, "preserve_variance": False, "frame_layers": 1},
    {"beams": False, "laboratory": False, "frame_layers": 3, "frame_width": 24, "scalars": 0},
    {"fields": ["pdgId"], "vectors": 0, "n_classes": 5},
]


def build(**options):
    torch.manual_seed(0)
    return eqt.models.build("lloca_transformer", **(SMALL | options)).to(DEVICE).eval()


@pytest.mark.parametrize("options", OPTIONS)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS), fields=options.get("fields", ()))
    assert_agrees(run(model, jets, "gpu"), model, jets)


@pytest.mark.parametrize(("counts", "options"), [([], {}), ([0], {"beams": False}), ([1], {}), ([1], {"beams": False})])
def test_few_constituents(random_jets, counts, options):
    model, jets = build(**options), random_jets(counts)
    assert_agrees(run(model, jets, "gpu"), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    assert_own_jet_alone(build(), RaggedJets.from_awkward(random_jets(COUNTS)), "gpu")


def test_changed_weights_are_noticed(random_jets):
    model = build()
    assert_changes_noticed(model, random_jets([4]), weight=model.frames.rest[-1].weight, mode="gpu")


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(fields=["pdgId"]), RaggedJets.from_awkward(random_jets([3, 2]), fields=["pdgId"])
    jets.p4[1, 2] = torch.nan
    found = run(model, jets, "gpu")
    assert found.isnan().tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_the_layers(random_jets, options):
    model = build(**options).train()

    def jets_of(seed):
        return RaggedJets.from_awkward(random_jets(COUNTS, seed), fields=options.get("fields", ()))

    assert_step_agrees(step, model, jets_of, "gpu")


def test_dropout_is_left_to_the_layers(random_jets):
    model = build(dropout=0.5).train()
    with kernels.use("gpu"):
        model(random_jets([5]))
    assert kernels.last_choice("lloca_transformer").kernel == "reference"
