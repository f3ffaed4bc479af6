"""Particle Transformer's kernel in bf16, on CPUs that multiply it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from kernel_forms import assert_agrees_in_bf16, assert_own_jet_alone, needs_bf16, run_in_bf16
from networks import SMALL_TRANSFORMER, enliven

pytestmark = needs_bf16

COUNTS = [20, 1, 0, 7, 90, 2, 0, 61, 3, 0]


def build(**options):
    """A network whose matrices are in bf16, and whose norms' weights leave them as they are."""
    torch.manual_seed(3)
    model = enliven(eqt.models.build("particle_transformer", **SMALL_TRANSFORMER | options))
    for linear in linears(model):
        linear.weight.data = 2 * linear.weight.data.bfloat16().float()
    return model


def linears(model):
    """What is multiplied in bf16: projections and feed-forward networks of the constituents' blocks."""
    return [
        linear
        for block in model.blocks
        for linear in (block.attention.in_proj, block.attention.out_proj, block.feed_forward[1], block.feed_forward[5])
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"self_pairs": False, "activation": "relu"},
        # widths that are no multiples of 16, and an odd one, whose layers stay in float32
        {"embed_widths": (40,), "ratio": 3},
        {"pair_widths": None, "embed_widths": (7,), "heads": 1, "n_classes": 3},
    ],
)
def test_agrees_with_layers_that_round_to_bf16(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS))
    rounded = [linear for linear in linears(model) if linear.in_features % 2 == 0]
    allowed, of_bf16 = assert_agrees_in_bf16(model, jets, rounded)
    assert allowed < of_bf16


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    with kernels.use(precision="bf16"):
        assert_own_jet_alone(build(), RaggedJets.from_awkward(random_jets(counts)))


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([9, 4])
    before = run_in_bf16(model, jets)
    model.blocks[0].feed_forward[5].weight.data *= 2
    assert not torch.equal(run_in_bf16(model, jets), before)
    assert_agrees_in_bf16(model, jets, linears(model))


def test_nan_stays_in_its_jet(random_jets):
    jets = RaggedJets.from_awkward(random_jets([9, 4]))
    jets.p4[2] = torch.nan
    assert run_in_bf16(build(), jets).isnan().tolist() == [[True, True], [False, False]]
