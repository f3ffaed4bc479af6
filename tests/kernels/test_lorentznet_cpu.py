from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant
from kernel_forms import assert_agrees, assert_changes_noticed, assert_own_jet_alone, deviation, run, with_avx2
from networks import enliven

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

COUNTS = [20, 1, 0, 7, 200, 2, 7, 61, 3]


def build(**options):
    """A network whose vectors really move, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(3)
    return enliven(eqt.models.build("lorentznet", **({"n_layers": 3} | options)), gain=1000)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beams": False},
        {"n_layers": 6},
        {"n_layers": 1, "hidden": 1},
        {"hidden": 16, "beams": False},
        {"hidden": 100, "n_scalar": 5},
        {"pid": True, "n_classes": 5},
        {"hidden": 8, "n_classes": 80, "n_layers": 2},
        {"clamp": 100.0},
        {"clamp": 0.1, "c_weight": 0.1, "beams": False},
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS), ("pdgId",))
    found = run(model, jets)
    assert found.shape == (len(COUNTS), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [1, 1]])
@pytest.mark.parametrize("beams", [False, True])
def test_few_constituents(random_jets, counts, beams):
    model, jets = build(beams=beams, hidden=24), random_jets(counts)
    assert_agrees(run(model, jets), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build(), RaggedJets.from_awkward(random_jets(counts))
    assert_own_jet_alone(model, jets)


def test_the_clamp_is_at_work(random_jets):
    jets = random_jets([20, 7])
    free, clamped = (build(beams=False, clamp=clamp, c_weight=0.1) for clamp in (None, 0.1))
    assert deviation(run(clamped, jets), run(free, jets)) > 1e-3


def test_symmetries(random_jets):
    model, jets = build(beams=False), random_jets([20, 1, 7, 35, 2])
    assert_lorentz_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))
    assert_permutation_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(hidden=16), random_jets([9, 4])
    assert_changes_noticed(model, jets, model.blocks[0].phi_e[1].running_mean, model.head[0].weight)


def test_nan_stays_nan(random_jets):
    model, jets = build(beams=False, hidden=16), RaggedJets.from_awkward(random_jets([9, 4]))
    nodes = model.scalars(jets)
    products = eqt.invariants.gram(jets)
    products[5] = torch.nan
    with torch.no_grad():
        logits = model.network(jets.p4, nodes, jets.offsets, products)
    assert kernels.last_choice("lorentznet").kernel == "cpu"
    assert logits.isnan().tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("clamp", [None, 100.0])
def test_official_checkpoint_on_real_jets(shared_data, clamp):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:60]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
    path = shared_data / "parity" / "lorentznet_top_official.pt"
    model = eqt.convert.official("lorentznet", path, n_scalar=2, clamp=clamp).model.eval()
    assert_agrees(run(model, jets), model, jets, rounding(model, jets[:8]))


def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import deviation, rounding;"
        "from coffea_equitag import models, RaggedJets, kernels;"
        "from coffea_equitag.kernels.common.cpu import shapes as s;"
        "assert (s.WIDE_ROWS, s.WIDE_BLOCK, s.NARROW_ROWS, s.SUPPORTED) == (4, 24, 5, True);"
        "torch.manual_seed(0); model = models.build('lorentznet', hidden=72, n_layers=2).eval();"
        "p = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p.norm(dim=1, keepdim=True) * 1.01, p], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "torch.set_grad_enabled(False); a = model(jets); assert kernels.last_choice('lorentznet').kernel == 'cpu';"
        "kernels.use('reference').__enter__(); b = model(jets);"
        "assert deviation(a, b) <= rounding(model, jets), (a, b)"
    )
    with_avx2(code)
