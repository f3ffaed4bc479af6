"""LorentzNet's kernel in bf16, on CPUs that multiply it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from kernel_forms import assert_agrees_in_bf16, assert_own_jet_alone, needs_bf16, run, run_in_bf16
from networks import enliven

pytestmark = needs_bf16


def build(kind="lorentznet", **options):
    torch.manual_seed(3)
    return enliven(eqt.models.build(kind, **({"n_layers": 3} | options)), gain=1000)


def linears(model):
    """What is multiplied in bf16: φ_e's second layer and φ_x's first."""
    return [layer for part in model.blocks for layer in (part.phi_e[3], part.phi_x and part.phi_x[0]) if layer]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("lorentznet", {}),
        ("lorentznet", {"hidden": 32, "beams": False}),
        ("lorentznet", {"hidden": 33}),
        ("lorentznet", {"hidden": 16, "clamp": 100.0}),
        ("lorentznet", {"hidden": 144, "n_layers": 2}),
        ("lorentznet", {"hidden": 1, "n_layers": 1}),
        ("lorentznet_base", {"pairwise": "mass", "nodewise": "mass"}),
        ("lorentznet_base", {"pairwise": "delta_r"}),
    ],
)
def test_agrees_with_layers_that_round_to_bf16(random_jets, kind, options):
    model, jets = build(kind, **options), RaggedJets.from_awkward(random_jets([20, 1, 0, 7, 61, 2, 3]))
    allowed, of_bf16 = assert_agrees_in_bf16(model, jets, linears(model))
    assert options.get("hidden") == 1 or allowed < of_bf16


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    with kernels.use(precision="bf16"):
        assert_own_jet_alone(build(), RaggedJets.from_awkward(random_jets(counts)))


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(hidden=16), random_jets([9, 4])
    before = run_in_bf16(model, jets)
    model.blocks[0].phi_e[3].weight.data *= 1.5
    assert not torch.equal(run_in_bf16(model, jets), before)
    assert_agrees_in_bf16(model, jets, linears(model))


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(beams=False, hidden=16), RaggedJets.from_awkward(random_jets([9, 4]))
    products = eqt.invariants.gram(jets)
    products[5] = torch.nan
    with torch.no_grad(), kernels.use(precision="bf16"):
        logits = model.network(jets.p4, model.scalars(jets), jets.offsets, products)
    assert kernels.last_choice("lorentznet").precision == "bf16"
    assert logits.isnan().tolist() == [[True, True], [False, False]]


def test_float32_is_what_it_was_after_bf16(random_jets):
    model, jets = build(hidden=16), random_jets([9, 4])
    before = run(model, jets)
    assert not torch.equal(run_in_bf16(model, jets), before)
    assert torch.equal(run(model, jets), before)
