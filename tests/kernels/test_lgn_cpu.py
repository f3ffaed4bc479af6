from __future__ import annotations

import numpy as np
import pytest
import torch

from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from coffea_equitag.kernels.lgn.cpu.weights import weights_of
from coffea_equitag.models.lgn import LGN
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant
from kernel_forms import assert_changes_noticed, assert_own_jet_alone, deviation, run, with_avx2

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

COUNTS = [20, 1, 0, 7, 90, 2, 7, 31, 3]


def build(**given):
    """A network in which the tensors matter as much as the scalars."""
    torch.manual_seed(3)
    model = LGN(**({"scale": 0.05} | given))
    for level in model.levels:
        for name, factor in (("v", 3.0), ("F", 2.0), ("dual", 2.0), ("S", 10.0)):
            if name in level.mixing.weight:
                level.mixing.weight[name].data *= factor
    return model.eval()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"beams": False},
        {"scale": 0.005},
        {"maxdim": 2},
        {"n_classes": 5, "mlp_depth": 0, "n_bells": 3},
        {"channels": (1, 5, 2, 6), "mlp_width": 1},
    ],
)
def test_agrees_with_the_layers(random_jets, given):
    model, jets = build(**given), RaggedJets.from_awkward(random_jets(COUNTS))
    found = run(model, jets)
    assert found.dtype == torch.float32
    assert found.shape == (len(COUNTS), model.n_classes)
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad():
        assert deviation(found.double(), model.double()(jets)) <= 1e-5


def test_every_part_of_the_mixing_is_seen(random_jets):
    model, jets = build(beams=False), random_jets([20, 7])
    generator = torch.Generator().manual_seed(0)
    for level in model.levels:
        for name in list(level.mixing.weight):
            kept = level.mixing.weight[name].data
            level.mixing.weight[name].data = kept + 0.3 * kept.std() * torch.randn(kept.shape, generator=generator)
            assert deviation(run(model, jets), run(model, jets, "reference")) <= 1e-5
            level.mixing.weight[name].data = kept


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [1, 16], [17, 33]])
@pytest.mark.parametrize("beams", [False, True])
def test_few_constituents(random_jets, counts, beams):
    model, jets = build(beams=beams), random_jets(counts)
    torch.testing.assert_close(run(model, jets), run(model, jets, "reference"), rtol=1e-5, atol=1e-5)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 70, 30).tolist()
    model, jets = build(), RaggedJets.from_awkward(random_jets(counts))
    assert_own_jet_alone(model, jets)


def test_symmetries(random_jets):
    model, jets = build(beams=False), random_jets([20, 1, 7, 35, 2])
    assert_lorentz_invariant(lambda jets: run(model, jets), jets, tolerance=1e-6)
    assert_permutation_invariant(lambda jets: run(model, jets), jets)


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([9, 4])
    assert_changes_noticed(model, jets, weight=model.levels[0].bells.c)


def test_weights_are_folded_once():
    model = build()
    assert weights_of(model) is weights_of(model)


def test_squares_are_not_computed_twice():
    """Of the ten squares of all tensors that give S, four repeat or vanish, and F is left with two of seven."""
    table = weights_of(build()).levels[2].squares
    blocks = {
        name: len({b for d, b in zip(table.component, table.block, strict=True) if low <= d < high})
        for name, low, high in (("s", 0, 1), ("v", 1, 5), ("F", 5, 11), ("S", 11, 20))
    }
    assert blocks == {"s": 5, "v": 4, "F": 2, "S": 6}


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([5, 5, 3, 0]))
    clean = run(model, jets)
    jets.p4[6] = torch.nan
    found = run(model, jets)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])


def test_momenta_run_on_the_layers(random_jets):
    with torch.no_grad():
        build(output="momentum")(random_jets([5]))
    assert kernels.last_choice("lgn").reason == "it gives momenta"


def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from coffea_equitag import models, RaggedJets, kernels;"
        "from coffea_equitag.kernels.common.cpu import bilinear_tile as t;"
        "from coffea_equitag.kernels.lgn.cpu import products as p;"
        "assert (t.REGISTERS, t.REAL_VECTORS, t.COMPLEX_VECTORS, p.NODES) == (16, 2, 1, 4);"
        "torch.manual_seed(0); p3 = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p3.norm(dim=1, keepdim=True) * 1.01, p3], dim=1); charge = torch.ones(30);"
        "columns = {k: charge for k in models.tensor_pfn.VectorPFN.fields};"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]), columns=columns);"
        "torch.set_grad_enabled(False)\n"
        "for kind in ('lgn', 'tensor_pfn'):\n"
        "    model = models.build(kind, scale=1.0) if kind == 'lgn' else models.build(kind, features=12)\n"
        "    a = model.eval()(jets); assert kernels.last_choice(kind).kernel == 'cpu'\n"
        "    with kernels.use('reference'): b = model(jets)\n"
        "    assert (a - b).abs().max() <= 1e-5 * b.square().mean().sqrt(), (a, b)\n"
    )
    with_avx2(code)
