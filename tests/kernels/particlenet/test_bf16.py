"""ParticleNet's kernel in bf16, on CPUs that multiply it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from kernel_forms import assert_agrees_in_bf16, assert_own_jet_alone, needs_bf16, run_in_bf16
from networks import enliven

pytestmark = needs_bf16

#: All are neighbours of all, so that no rounding chooses among them.
COUNTS = [17, 1, 0, 2, 9, 16, 4]


def build(**options):
    """A network whose later edge layers have matrices in bf16, which BatchNorm leaves as they are.

    What BatchNorm makes of them would be rounded again by the kernel, but not by the layers.
    """
    torch.manual_seed(3)
    model = enliven(eqt.models.build("particlenet", **({"k": 16} | options)))
    for block in model.blocks:
        for linear, norm in zip(block.linears[1:], block.norms[1:], strict=True):
            linear.weight.data = linear.weight.data.bfloat16().float()
            norm.running_var.fill_(1 - norm.eps)
    return model


def linears(model):
    """What is multiplied in bf16: the edge networks' layers after the first."""
    return [linear for block in model.blocks for linear in block.linears[1:]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lite": True},
        {"channels": [[20, 33], [40, 50, 60]]},
        {"pairwise": "mass", "nodewise": "mass"},
        {"phantom_neighbours": True},
        {"fusion": True},
    ],
)
def test_agrees_with_layers_that_round_to_bf16(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS))
    allowed, of_bf16 = assert_agrees_in_bf16(model, jets, linears(model))
    assert allowed < of_bf16


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    with kernels.use(precision="bf16"):
        assert_own_jet_alone(build(lite=True), RaggedJets.from_awkward(random_jets(counts)))


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(lite=True), random_jets([9, 4])
    before = run_in_bf16(model, jets)
    model.blocks[0].linears[1].weight.data *= 2
    assert not torch.equal(run_in_bf16(model, jets), before)
    assert_agrees_in_bf16(model, jets, linears(model))


def test_nan_stays_in_its_jet(random_jets):
    jets = RaggedJets.from_awkward(random_jets([9, 4]))
    jets.p4[2] = torch.nan
    assert run_in_bf16(build(lite=True), jets).isnan().tolist() == [[True, True], [False, False]]
