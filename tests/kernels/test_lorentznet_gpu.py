"""LorentzNet's GPU kernels, on a GPU where there is one, else in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
import kernel_forms as forms
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.testing import assert_lorentz_invariant
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import assert_agrees, deviation
from networks import enliven

pytestmark = needs_gpu
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")

# in the interpreter a pair takes a millisecond
COUNTS = [16, 1, 0, 3] if INTERPRETED else [20, 1, 0, 7, 150, 2, 7, 61, 3]


def build(**options):
    torch.manual_seed(3)
    model = eqt.models.build("lorentznet", **({"n_layers": 2, "hidden": 24} | options))
    return enliven(model, gain=1000).to(DEVICE)


def run(model, jets, mode="gpu"):
    return forms.run(model, jets, mode).cpu()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beams": False, "hidden": 72},
        {"n_layers": 1, "hidden": 1},
        {"pid": True, "n_classes": 5, "hidden": 40},
        pytest.param({"n_layers": 6}, marks=on_hardware),
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS), ("pdgId",))
    found = run(model, jets)
    assert found.shape == (len(COUNTS), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 2]])
@pytest.mark.parametrize("beams", [False, True])
def test_few_constituents(random_jets, counts, beams):
    model, jets = build(beams=beams), random_jets(counts)
    assert_agrees(run(model, jets), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = [15, 0, 1] if INTERPRETED else np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build(), RaggedJets.from_awkward(random_jets(counts))
    together = run(model, jets)
    assert torch.equal(together, torch.cat([run(model, jets.slice(j, j + 1)) for j in range(len(counts))]))
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order)), together[order])


@on_hardware
def test_lorentz_invariance(random_jets):
    model, jets = build(beams=False), random_jets([20, 1, 7, 35, 2])
    assert_lorentz_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(beams=False), RaggedJets.from_awkward(random_jets([4, 3])).to(DEVICE)
    products = eqt.invariants.gram(jets)
    products[5] = torch.nan
    with torch.no_grad(), kernels.use("gpu"):
        logits = model.network(jets.p4, model.scalars(jets), jets.offsets, products)
    assert kernels.last_choice("lorentznet").kernel == "gpu"
    assert logits.isnan().tolist() == [[True, True], [False, False]]


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(n_layers=1), random_jets([2, 1])
    before = run(model, jets)
    model.blocks[0].phi_e[1].running_mean += 1
    model.head[0].weight.data *= 1.5
    assert not torch.equal(run(model, jets), before)
    assert_agrees(run(model, jets), model, jets)


@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(random_jets, monkeypatch, precision):
    model, jets = build(hidden=72), random_jets([3, 2] if INTERPRETED else [9, 70])
    expected = run(model, jets, "reference")
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", precision)
    assert (
        deviation(run(model, jets), expected) <= {"ieee": rounding(model, jets), "tf32": 1e-2, "bf16": 1e-1}[precision]
    )
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", "half")
    with pytest.raises(eqt.TaggerError, match="one of ieee, tf32x3, tf32, bf16"):
        run(model, jets)


def test_reference_for_what_the_kernel_cannot_do(random_jets):
    for options in ({"clamp": 100.0}, {"hidden": 129}):
        model = build(**options)
        with torch.no_grad(), kernels.use("gpu"):
            model(random_jets([3]))
        assert kernels.last_choice("lorentznet").kernel == "reference"
