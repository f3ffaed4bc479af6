from __future__ import annotations

import copy
import os
import subprocess
import sys

import awkward as ak
import pytest
import torch

import coffea_equitag as eqt
import training_steps
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.jet_groups import JetGroups
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from coffea_equitag.kernels.lorentznet.cpu.training import edges
from training_steps import assert_same_step, build

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

#: Few enough that no ReLU's input is nearer to 0 than rounding: gradients jump there.
COUNTS = [12, 1, 0, 4, 2, 9, 3]


def step(model, jets, mode="cpu"):
    return training_steps.step(model, jets, mode)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beams": False},
        {"n_layers": 1, "hidden": 1},
        {"hidden": 16, "beams": False},
        {"hidden": 100, "n_scalar": 5, "n_layers": 2},
        {"pid": True, "n_classes": 5, "hidden": 64},
    ],
)
def test_agrees_with_the_layers_in_double_precision(random_jets, options, training):
    model, jets = build(training, **options), RaggedJets.from_awkward(random_jets(COUNTS), ("pdgId",))
    precise = copy.deepcopy(model).double()
    assert_same_step(step(model, jets), step(precise, jets, "reference"))


@pytest.mark.parametrize("training", [True, False])
def test_many_constituents(random_jets, training):
    model, jets = build(training, n_layers=2), random_jets([130, 50, 20])
    precise = copy.deepcopy(model).double()
    # a ReLU or two falls on the other side of 0
    assert_same_step(step(model, jets), step(precise, jets, "reference"), tolerance=2e-2)


@pytest.mark.parametrize("counts", [[2], [0, 2, 1], [3]])
def test_a_single_pair(random_jets, counts):
    model, jets = build(beams=False, hidden=8), random_jets(counts)
    precise = copy.deepcopy(model).double()
    found, expected = step(model, jets), step(precise, jets, "reference")
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-4, atol=1e-4)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name].double(), gradient, rtol=2e-3, atol=2e-3, msg=name)
    for name, statistic in expected[2].items():
        torch.testing.assert_close(found[2][name].double(), statistic.double(), rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 1]])
def test_without_pairs_statistics_stay(random_jets, counts):
    model = build(beams=False, hidden=8)
    before = copy.deepcopy(model)
    logits, _, statistics = step(model, random_jets(counts))
    expected, _, same = step(before, random_jets(counts), "reference")
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    for name, statistic in statistics.items():
        assert torch.equal(statistic, same[name])
        if ".phi_e." in name:
            assert torch.equal(statistic, dict(build(beams=False, hidden=8).named_buffers())[name])


def test_statistics_follow_without_gradients(random_jets):
    model, jets = build(hidden=8), random_jets(COUNTS)
    other = copy.deepcopy(model)
    with torch.no_grad():
        logits = model(jets)
        assert kernels.last_choice("lorentznet").kernel == "cpu"
        with kernels.use("reference"):
            torch.testing.assert_close(logits, other(jets), rtol=1e-4, atol=1e-5)
    for name, statistic in other.named_buffers():
        torch.testing.assert_close(dict(model.named_buffers())[name], statistic, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [None, 0.3])
def test_momentum_of_the_statistics(random_jets, momentum):
    model, jets = build(hidden=8, n_layers=1), random_jets([9, 4])
    model.blocks[0].phi_e[1].momentum = momentum
    other = copy.deepcopy(model)
    for _ in range(2):
        found, expected = step(model, jets)[2], step(other, jets, "reference")[2]
    for name, statistic in expected.items():
        torch.testing.assert_close(found[name], statistic, rtol=1e-5, atol=1e-6, msg=name)


def test_frozen_batch_norm_and_parameters(random_jets):
    model, jets = build(hidden=8), random_jets(COUNTS)
    model.blocks[1].phi_e[1].eval()
    model.blocks[0].requires_grad_(False)
    precise = copy.deepcopy(model).double()
    found, expected = step(model, jets), step(precise, jets, "reference")
    for results in (found, expected):
        assert all((gradient is None) == name.startswith("blocks.0.") for name, gradient in results[1].items())
        for name in [name for name in results[1] if name.startswith("blocks.0.")]:
            del results[1][name]
    assert_same_step(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_the_inputs(random_jets, training):
    model, jets = build(training, hidden=8, beams=False), RaggedJets.from_awkward(random_jets([9, 1, 5]))
    found = []
    for network, mode in ((copy.deepcopy(model), "cpu"), (copy.deepcopy(model).double(), "reference")):
        scalars = network.scalars(jets).requires_grad_()
        products = eqt.invariants.gram(jets).requires_grad_()
        with kernels.use(mode):
            network.network(jets.p4, scalars, jets.offsets, products)[:, 0].square().sum().backward()
        assert kernels.last_choice("lorentznet").kernel == mode
        found.append((scalars.grad.double(), products.grad))
    for one, other in zip(*found, strict=True):
        assert float((one - other).abs().max()) <= 1e-4 * float(other.square().mean().sqrt())


def test_bit_identical_with_any_number_of_threads(random_jets, monkeypatch):
    """Of the edges; how torch multiplies the nodes' matrices is torch's affair."""
    jets = RaggedJets.from_awkward(random_jets([40] * 30 + [2, 0, 90]))
    model = build(hidden=24, n_layers=2, beams=False)
    block, results = model.blocks[0], []
    h, before = model.embedding(model.scalars(jets)).detach(), torch.get_num_threads()
    products = eqt.invariants.gram(jets)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            u, v = h.clone().requires_grad_(), (2 * h).requires_grad_()
            gram = products.clone().requires_grad_()
            model.zero_grad()
            monkeypatch.setattr(block.phi_e[1], "momentum", 1.0)
            total, moved = edges(block, u, v, gram, JetGroups.of(jets.offsets))
            (total.square().sum() + moved.abs().log1p().sum()).backward()
            gradients = [p.grad for n, p in block.named_parameters() if not n.startswith("phi_h")]
            results.append([total, moved, u.grad, v.grad, gram.grad, *gradients, block.phi_e[1].running_var.clone()])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


def test_same_training_as_the_layers(random_jets):
    jets, losses = [random_jets([12, 30, 1, 8, 20, 16], seed=seed) for seed in range(4)], {}
    for mode in ("cpu", "reference"):
        model = build(hidden=16, dropout=0.2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        losses[mode] = []
        for number, batch in enumerate(jets * 3):
            torch.manual_seed(number)
            with kernels.use(mode):
                logits = model(batch)
            loss = torch.nn.functional.cross_entropy(logits, torch.arange(6) % 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[mode].append(float(loss.detach()))
    assert losses["cpu"] == pytest.approx(losses["reference"], rel=2e-3)
    assert losses["cpu"][-1] != losses["cpu"][0]


def test_no_double_backward(random_jets):
    model = build(hidden=8)
    gradient = torch.autograd.grad(model(random_jets([5])).sum(), model.head[0].weight, create_graph=True)[0]
    assert gradient.requires_grad
    slope = torch.autograd.grad(model(random_jets([5])).sum(), model.embedding.weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_official_checkpoint_on_real_jets(shared_data):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:20]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
    path = shared_data / "parity" / "lorentznet_top_official.pt"
    model = eqt.convert.official("lorentznet", path, n_scalar=2, clamp=None).model.eval()
    precise = copy.deepcopy(model).double()
    assert_same_step(step(model, jets), step(precise, jets, "reference"), tolerance=2e-2)


def test_other_registers_give_the_same_gradients():
    """The vectors of an AVX2 machine, where this one can run them, in a process of their own."""
    import llvmlite.binding

    if not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("no AVX2 here: its vectors are not run")
    code = (
        "import copy, torch; from coffea_equitag import models, RaggedJets, kernels;"
        "torch.manual_seed(0); model = models.build('lorentznet', hidden=72, n_layers=2, dropout=0.0);"
        "p = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p.norm(dim=1, keepdim=True) * 1.01, p], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "other = copy.deepcopy(model).double(); model(jets).square().sum().backward();"
        "assert kernels.last_choice('lorentznet').kernel == 'cpu'; other(jets).square().sum().backward();"
        "a, b = ([p.grad.double() for n, p in m.named_parameters() if 'phi_e' in n] for m in (model, other));"
        "assert all((x - y).abs().max() <= 1e-4 * y.square().mean().sqrt() for x, y in zip(a, b))"
    )
    settings = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+sse4.2"}
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | settings)
