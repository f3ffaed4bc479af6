from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant
from gpu import device_of, interpreted, needs_gpu
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    cases,
    deviation,
    needs_vectors,
    run,
    skip_interpreter,
    with_avx2,
)
from networks import enliven


def counts_for(backend):
    # in the interpreter a pair takes a millisecond
    return [16, 1, 0, 3] if interpreted(backend) else [20, 1, 0, 7, 200, 2, 7, 61, 3]


def build(backend="cpu", **options):
    """A network whose vectors really move, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(3)
    given = {"n_layers": 3} if backend == "cpu" else {"n_layers": 2, "hidden": 24}
    return enliven(eqt.models.build("lorentznet", **(given | options)), gain=1000).to(device_of(backend))


@pytest.mark.parametrize(
    ("backend", "options"),
    cases(
        cpu=[
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
        gpu=[
            {},
            {"beams": False, "hidden": 72},
            {"n_layers": 1, "hidden": 1},
            {"pid": True, "n_classes": 5, "hidden": 40},
            {"clamp": 0.1, "c_weight": 0.1, "beams": False},
        ],
        large=[{"n_layers": 6}],
    ),
)
def test_agrees_with_the_layers(random_jets, backend, options):
    counts = counts_for(backend)
    model, jets = build(backend, **options), RaggedJets.from_awkward(random_jets(counts), ("pdgId",))
    found = run(model, jets, backend)
    assert found.shape == (len(counts), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize(
    ("backend", "counts"),
    cases(cpu=[[], [0], [1], [2], [0, 0], [1, 1]], gpu=[[], [0], [1], [0, 2]]),
)
@pytest.mark.parametrize("beams", [False, True])
def test_few_constituents(random_jets, backend, counts, beams):
    model, jets = build(backend, beams=beams, hidden=24), random_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


@pytest.mark.parametrize(("backend", "eps"), cases(cpu=[1e-3, 0.5], gpu=[0.5]))
def test_batch_norm_of_another_eps(random_jets, backend, eps):
    model, jets = build(backend, hidden=16), RaggedJets.from_awkward(random_jets([9, 4, 1]))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eps = eps
    found = run(model, jets, backend)
    assert deviation(found, run(build(backend, hidden=16), jets, backend)) > 1e-5
    assert_agrees(found, model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, backend):
    counts = [15, 0, 1] if interpreted(backend) else np.random.default_rng(5).integers(0, 90, 40).tolist()
    assert_own_jet_alone(build(backend), RaggedJets.from_awkward(random_jets(counts)), backend)


def test_the_clamp_is_at_work(random_jets, backend):
    jets = random_jets([20, 7])
    free, clamped, never = (
        run(build(backend, beams=False, clamp=clamp, c_weight=0.1), jets, backend) for clamp in (None, 0.1, 1e9)
    )
    assert deviation(clamped, free) > 1e-3
    assert torch.equal(never, free)


def test_symmetries(random_jets, backend):
    skip_interpreter(backend)
    model, jets = build(backend, beams=False), random_jets([20, 1, 7, 35, 2])
    allowed = rounding(model, jets)
    assert_lorentz_invariant(lambda jets: run(model, jets, backend), jets, tolerance=allowed)
    assert_permutation_invariant(lambda jets: run(model, jets, backend), jets, tolerance=allowed)


def test_changed_weights_are_noticed(random_jets, backend):
    small = {"n_layers": 1} if interpreted(backend) else {"hidden": 16}
    model, jets = build(backend, **small), random_jets([2, 1] if interpreted(backend) else [9, 4])
    statistic, weight = model.blocks[0].phi_e[1].running_mean, model.head[0].weight
    assert_changes_noticed(model, jets, statistic, weight, backend)


def test_nan_stays_in_its_jet(random_jets, backend):
    model = build(backend, beams=False, hidden=16)
    jets = RaggedJets.from_awkward(random_jets([4, 3] if interpreted(backend) else [9, 4])).to(device_of(backend))
    products = eqt.invariants.gram(jets)
    products[5] = torch.nan
    with torch.no_grad(), kernels.use(backend):
        logits = model.network(jets.p4, model.scalars(jets), jets.offsets, products)
    assert kernels.last_choice("lorentznet").kernel == backend
    assert logits.isnan().tolist() == [[True, True], [False, False]]


@needs_gpu
@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(random_jets, monkeypatch, precision):
    model, jets = build("gpu", hidden=72), random_jets([3, 2] if interpreted("gpu") else [9, 70])
    expected = run(model, jets, "reference")
    allowed = {"ieee": rounding(model, jets), "tf32": 1e-2, "bf16": 1e-1}[precision]
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    assert deviation(run(model, jets, "gpu"), expected) <= allowed
    monkeypatch.setenv("EQUITAG_PRECISION", "half")
    with pytest.raises(eqt.TaggerError, match="one of float32, ieee, tf32x3, tf32, bf16"):
        run(model, jets, "gpu")


@needs_gpu
def test_reference_for_what_the_gpu_cannot_do(random_jets):
    model = build("gpu", hidden=129)
    with torch.no_grad(), kernels.use("gpu"):
        model(random_jets([3]))
    choice = kernels.last_choice("lorentznet")
    assert (choice.kernel, choice.reason) == ("reference", "129 channels; the GPU's kernel takes at most 96")


@needs_vectors
@pytest.mark.parametrize("clamp", [None, 100.0])
def test_official_checkpoint_on_real_jets(shared_data, clamp):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:30]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
    path = shared_data / "parity" / "lorentznet_top_official.pt"
    model = eqt.convert.official("lorentznet", path, n_scalar=2, clamp=clamp).model.eval()
    assert_agrees(run(model, jets), model, jets, rounding(model, jets[:8]))


@needs_vectors
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
