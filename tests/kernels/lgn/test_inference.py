from __future__ import annotations

import numpy as np
import pytest
import torch

import kernel_forms as forms
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant
from gpu import device_of, interpreted, needs_gpu
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    deviation,
    needs_vectors,
    with_avx2,
)

COUNTS = [20, 1, 0, 7, 90, 2, 7, 31, 3]


def size_of(backend):
    """Options of networks whose tables the interpreter gets through in a second."""
    return {"levels": 2, "channels": 1, "mlp_depth": 1, "n_bells": 2} if interpreted(backend) else {}


def run(model, jets, mode):
    return forms.run(model, jets, mode).cpu()


def on_hardware(backend):
    if interpreted(backend):
        pytest.skip("too slow in the interpreter")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"channels": (2, 3, 1), "levels": 2, "maxdim": 2, "beams": False, "mlp_depth": 0, "n_bells": 3, "n_classes": 5},
        {"beams": False},
        {"scale": 0.005},
        {"maxdim": 2},
        {"n_classes": 5, "mlp_depth": 0, "n_bells": 3},
        {"channels": (1, 5, 2, 6), "mlp_width": 1},
        {"pmu_in": True},
        {"pmu_in": True, "levels": 1, "channels": 1, "mlp_depth": 1, "n_bells": 2, "maxdim": 2},
        {"pmu_in": True, "beams": False, "maxdim": (2, 3, 1)},
        {"maxdim": (3, 1, 3)},
        {"maxdim": 1},
    ],
)
def test_agrees_with_the_layers(random_jets, build, backend, given):
    counts = COUNTS
    if interpreted(backend):
        if given and "levels" not in given:
            on_hardware(backend)
        counts, given = [18, 0, 1], given or {"channels": 1, "n_bells": 3}
    model, jets = build(backend, **given).eval(), RaggedJets.from_awkward(random_jets(counts))
    found = run(model, jets, backend)
    assert found.shape == (len(counts), model.n_classes)
    assert_agrees(found, model, jets)


def test_every_part_of_the_mixing_is_seen(random_jets, build, backend):
    on_hardware(backend)
    model, jets = build(backend, beams=False).eval(), random_jets([20, 7])
    generator, allowed = torch.Generator().manual_seed(0), rounding(model, jets)
    for level in model.levels:
        for name in list(level.mixing.weight):
            kept = level.mixing.weight[name].data
            noise = torch.randn(kept.shape, generator=generator).to(kept.device)
            level.mixing.weight[name].data = kept + 0.3 * kept.std() * noise
            assert_agrees(run(model, jets, backend), model, jets, allowed)
            level.mixing.weight[name].data = kept


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [0, 1], [1, 16], [17, 33]])
@pytest.mark.parametrize("beams", [False, True])
def test_few_constituents(random_jets, build, backend, counts, beams):
    if counts not in ([], [0], [0, 1]):
        on_hardware(backend)
    model, jets = build(backend, **size_of(backend), beams=beams).eval(), random_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


@needs_gpu
def test_squares_and_products_of_momenta_give_the_same(random_jets, build):
    model = build("gpu", **size_of("gpu"), beams=False).eval()
    jets = RaggedJets.from_awkward(random_jets([9])).to(device_of("gpu"))
    given = []
    tensors = model.tensors
    model.tensors = lambda *inputs: given.append(inputs) or tensors(*inputs)
    expected = run(model, jets, "reference")
    p4, scalars, squares, _ = given[0]
    with torch.no_grad(), kernels.use("gpu"):
        found = model.network(p4, scalars, jets.offsets, squares).cpu()
    assert kernels.last_choice("lgn").kernel == "gpu"
    assert deviation(found, expected) <= rounding(model, jets)


@needs_vectors
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, build):
    counts = np.random.default_rng(5).integers(0, 70, 30).tolist()
    assert_own_jet_alone(build().eval(), RaggedJets.from_awkward(random_jets(counts)))


@needs_gpu
def test_a_score_depends_on_its_own_jet_alone_on_a_gpu(random_jets, build):
    counts = [17, 1] if interpreted("gpu") else np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build("gpu", **size_of("gpu")).eval(), RaggedJets.from_awkward(random_jets(counts))
    together = run(model, jets, "gpu")
    alone = torch.cat([run(model, jets.slice(j, j + 1), "gpu") for j in range(len(counts))])
    assert torch.equal(together, alone)
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order), "gpu"), together[order])


def test_symmetries(random_jets, build, backend):
    on_hardware(backend)
    model, jets = build(backend, beams=False).eval(), random_jets([20, 1, 7, 35, 2])
    allowed = rounding(model, jets)
    assert_lorentz_invariant(lambda jets: run(model, jets, backend), jets, tolerance=allowed)
    assert_permutation_invariant(lambda jets: run(model, jets, backend), jets, tolerance=allowed)


@needs_vectors
def test_changed_weights_are_noticed(random_jets, build):
    model, jets = build().eval(), random_jets([9, 4])
    assert_changes_noticed(model, jets, weight=model.levels[0].bells.c)


@needs_gpu
def test_changed_weights_are_noticed_on_a_gpu(random_jets, build):
    on_hardware("gpu")
    model, jets = build("gpu").eval(), random_jets([9, 4])
    before = run(model, jets, "gpu")
    model.levels[0].bells.c.data *= 1.5
    assert not torch.equal(run(model, jets, "gpu"), before)
    assert_agrees(run(model, jets, "gpu"), model, jets)


def test_nan_stays_in_its_jet(random_jets, build, backend):
    model, jets = build(backend, **size_of(backend)).eval(), RaggedJets.from_awkward(random_jets([4, 4, 3, 0]))
    clean = run(model, jets, backend)
    jets.p4[5] = torch.nan
    found = run(model, jets, backend)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])


@needs_gpu
@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(random_jets, build, monkeypatch, precision):
    model, jets = build("gpu", **size_of("gpu"), scale=0.005).eval(), random_jets([9, 5])
    expected = run(model, jets, "reference")
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    allowed = {"ieee": rounding(model, jets), "tf32": 1e-2, "bf16": 1e-1}
    assert deviation(run(model, jets, "gpu"), expected) <= allowed[precision]


@pytest.mark.parametrize("mode", ["auto", pytest.param("gpu", marks=needs_gpu)])
def test_momenta_run_on_the_layers(random_jets, build, mode):
    model = build("gpu" if mode == "gpu" else "cpu", **size_of(mode), output="momentum").eval()
    with torch.no_grad(), kernels.use(mode):
        model(random_jets([3]))
    assert kernels.last_choice("lgn").kernel == "reference"
    assert kernels.last_choice("lgn").reason == "it gives momenta"


@needs_vectors
def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import deviation, rounding;"
        "from coffea_equitag import models, RaggedJets, kernels;"
        "from coffea_equitag.kernels.common.cpu import bilinear_tile as t;"
        "from coffea_equitag.kernels.lgn.cpu import tiles as l;"
        "assert (t.REGISTERS, t.REAL_VECTORS, t.COMPLEX_VECTORS, l.NODES) == (16, 2, 1, 4);"
        "torch.manual_seed(0); p3 = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p3.norm(dim=1, keepdim=True) * 1.01, p3], dim=1); charge = torch.ones(30);"
        "columns = {k: charge for k in models.tensor_pfn.VectorPFN.fields};"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]), columns=columns);"
        "torch.set_grad_enabled(False)\n"
        "for kind in ('lgn', 'tensor_pfn'):\n"
        "    model = models.build(kind, scale=1.0) if kind == 'lgn' else models.build(kind, features=12)\n"
        "    a = model.eval()(jets); assert kernels.last_choice(kind).kernel == 'cpu'\n"
        "    with kernels.use('reference'): b = model(jets)\n"
        "    assert deviation(a, b) <= rounding(model, jets), (a, b)\n"
    )
    with_avx2(code)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"max_zf": 2}, "squares of momenta"),
        ({"mlp": False}, "no perceptrons"),
        ({"activation": "elu"}, "activation is elu"),
        ({"full_scalars": False}, "scalars only"),
        ({"top": "pmlp"}, "readout is perceptrons"),
        ({"output": "momentum"}, "gives momenta"),
    ],
)
def test_layers_run_for_a_stated_reason(random_jets, build, given, reason):
    with torch.no_grad():
        build(**given, levels=1, channels=1)(random_jets([3]))
    assert reason in str(kernels.last_choice("lgn"))


def test_momenta_as_features_train_on_the_layers(random_jets, build):
    build(pmu_in=True, levels=1, channels=1)(random_jets([3])).sum().backward()
    assert "layers" in str(kernels.last_choice("lgn"))
