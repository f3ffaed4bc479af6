"""PELICAN's GPU kernels, on a GPU where there is one, else in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
import kernel_forms as forms
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.testing import assert_permutation_invariant
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import assert_agrees, deviation
from networks import enliven

pytestmark = needs_gpu
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")

# in the interpreter a pair takes a millisecond
COUNTS = [14, 0, 1] if INTERPRETED else [20, 1, 0, 7, 150, 2, 7, 61, 3]


def build(**options):
    torch.manual_seed(3)
    return enliven(eqt.models.build("pelican", **({"size": "6k"} | options))).to(DEVICE)


def run(model, jets, mode="gpu"):
    return forms.run(model, jets, mode).cpu()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": "48k", "fields": ("pdgId",), "n_classes": 5},
        {"size": (70, 20, 3), "factorize": False, "diagonal": False},
        {"symmetry": "1", "method": "input", "aggregation": "sum"},
        pytest.param({"size": "208k"}, marks=on_hardware),
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS), ("pdgId",))
    found = run(model, jets)
    assert found.shape == (len(COUNTS), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("counts", [[], [0], [0, 1]])
@pytest.mark.parametrize("symmetry", ["so13", "so2"])
def test_few_constituents(random_jets, counts, symmetry):
    model, jets = build(symmetry=symmetry), random_jets(counts)
    assert_agrees(run(model, jets), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = [14, 0, 1] if INTERPRETED else np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build(), RaggedJets.from_awkward(random_jets(counts))
    together = run(model, jets)
    assert torch.equal(together, torch.cat([run(model, jets.slice(j, j + 1)) for j in range(len(counts))]))
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order)), together[order])


@on_hardware
def test_permutation_invariance(random_jets):
    model, jets = build(), random_jets([20, 1, 7, 35, 2])
    assert_permutation_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(symmetry="so13"), RaggedJets.from_awkward(random_jets([4, 3])).to(DEVICE)
    products = model.products(jets)
    products[5] = torch.nan
    with torch.no_grad(), kernels.use("gpu"):
        logits = model.network(products, model.scalars(jets), jets.offsets)
    assert kernels.last_choice("pelican").kernel == "gpu"
    assert logits.isnan().tolist() == [[True, True], [False, False]]


@on_hardware
def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([5, 4])
    before = run(model, jets)
    model.messages[1].norm.running_mean += 1
    model.blocks[0].bias.data += 0.5
    assert not torch.equal(run(model, jets), before)
    assert_agrees(run(model, jets), model, jets)


@on_hardware
@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(random_jets, monkeypatch, precision):
    model, jets = build(), random_jets([9, 70])
    expected = run(model, jets, "reference")
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", precision)
    assert (
        deviation(run(model, jets), expected) <= {"ieee": rounding(model, jets), "tf32": 1e-2, "bf16": 1e-1}[precision]
    )


def test_reference_for_what_the_kernel_cannot_do(random_jets):
    for options in ({"irc_safe": True}, {"size": (140, 129, 10)}):
        model = build(**options)
        with torch.no_grad(), kernels.use("gpu"):
            model(random_jets([3]))
        assert kernels.last_choice("pelican").kernel == "reference"
