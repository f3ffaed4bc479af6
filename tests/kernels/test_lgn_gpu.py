"""LGN's GPU kernels, on a GPU where there is one, else in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import kernel_forms as forms
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.models.lgn import LGN
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import deviation

pytestmark = needs_gpu
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")

COUNTS = [18, 0, 1] if INTERPRETED else [20, 1, 0, 7, 90, 2, 7, 31, 3]
#: Networks whose tables the interpreter gets through in a second.
SMALL = {"levels": 2, "channels": 1, "mlp_depth": 1, "n_bells": 2} if INTERPRETED else {}


def build(**given):
    """A network in which the tensors matter as much as the scalars."""
    torch.manual_seed(3)
    model = LGN(**({"scale": 0.05} | given))
    for level in model.levels:
        for name, factor in (("v", 3.0), ("F", 2.0), ("dual", 2.0), ("S", 10.0)):
            if name in level.mixing.weight:
                level.mixing.weight[name].data *= factor
    return model.eval().to(DEVICE)


def run(model, jets, mode="gpu"):
    return forms.run(model, jets, mode).cpu()


@pytest.mark.parametrize(
    "given",
    [
        {"channels": 1, "n_bells": 3} if INTERPRETED else {},
        {"channels": (2, 3, 1), "levels": 2, "maxdim": 2, "beams": False, "mlp_depth": 0, "n_bells": 3, "n_classes": 5},
        pytest.param({"scale": 0.005}, marks=on_hardware),
        pytest.param({"channels": (1, 5, 2, 6), "mlp_width": 1}, marks=on_hardware),
    ],
)
def test_agrees_with_the_layers(random_jets, given):
    model, jets = build(**given), RaggedJets.from_awkward(random_jets(COUNTS))
    found = run(model, jets)
    assert found.dtype == torch.float32
    assert found.shape == (len(COUNTS), model.n_classes)
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad():
        assert deviation(found.double(), model.double()(jets).cpu()) <= 1e-5


def test_squares_and_products_of_momenta_give_the_same(random_jets):
    model, jets = build(**SMALL, beams=False), RaggedJets.from_awkward(random_jets([9])).to(DEVICE)
    seen = []
    tensors = model.tensors
    model.tensors = lambda *inputs: seen.append(inputs) or tensors(*inputs)
    expected = run(model, jets, "reference")
    p4, scalars, squares, _ = seen[0]
    with torch.no_grad(), kernels.use("gpu"):
        found = model.network(p4, scalars, jets.offsets, squares).cpu()
    assert kernels.last_choice("lgn").kernel == "gpu"
    assert deviation(found, expected) <= 1e-5


@pytest.mark.parametrize("counts", [[], [0], [0, 1]])
@pytest.mark.parametrize("beams", [False, True])
def test_few_constituents(random_jets, counts, beams):
    model, jets = build(**SMALL, beams=beams), random_jets(counts)
    torch.testing.assert_close(run(model, jets), run(model, jets, "reference"), rtol=1e-5, atol=1e-5)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = [17, 1] if INTERPRETED else np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build(**SMALL), RaggedJets.from_awkward(random_jets(counts))
    together = run(model, jets)
    assert torch.equal(together, torch.cat([run(model, jets.slice(j, j + 1)) for j in range(len(counts))]))
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order)), together[order])


@on_hardware
def test_symmetries(random_jets):
    model, jets = build(beams=False), random_jets([20, 1, 7, 35, 2])
    assert_lorentz_invariant(lambda jets: run(model, jets), jets, tolerance=1e-6)
    assert_permutation_invariant(lambda jets: run(model, jets), jets)


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(**SMALL), RaggedJets.from_awkward(random_jets([4, 4, 3]))
    clean = run(model, jets)
    jets.p4[5] = torch.nan
    found = run(model, jets)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


@on_hardware
def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([9, 4])
    before = run(model, jets)
    model.levels[0].bells.c.data *= 1.5
    assert not torch.equal(run(model, jets), before)
    assert deviation(run(model, jets), run(model, jets, "reference")) <= 1e-5


@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(random_jets, monkeypatch, precision):
    model, jets = build(**SMALL, scale=0.005), random_jets([9, 5])
    expected = run(model, jets, "reference")
    monkeypatch.setenv("EQUITAG_GPU_PRECISION", precision)
    assert deviation(run(model, jets), expected) <= {"ieee": 1e-5, "tf32": 1e-2, "bf16": 1e-1}[precision]


def test_reference_for_what_the_kernel_cannot_do(random_jets):
    model = build(**SMALL, output="momentum")
    with torch.no_grad(), kernels.use("gpu"):
        model(random_jets([3]))
    assert kernels.last_choice("lgn").kernel == "reference"
