from __future__ import annotations

import numpy as np
import pytest
import torch

import kernel_forms as forms
from arithmetic import rounding
from coffea_equitag import kernels
from coffea_equitag.kernels.tensor_pfn.cpu.weights import weights_of
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from coffea_equitag.testing import assert_permutation_invariant, assert_so3_equivariant
from gpu import interpreted, needs_gpu
from kernel_forms import assert_agrees, assert_own_jet_alone, deviation, needs_vectors

COUNTS = [20, 1, 0, 7, 90, 2, 7, 31, 3]


def run(model, jets, mode):
    return forms.run(model, jets, mode).cpu()


def on_hardware(backend):
    if interpreted(backend):
        pytest.skip("too slow in the interpreter")


@pytest.mark.parametrize(
    ("options", "small"),
    [
        ({}, False),
        ({"features": 20, "latent": 7, "phi_layers": 1, "f_layers": 2, "mlp": (9,), "n_classes": 3}, False),
        ({"features": 20, "latent": 7, "phi_layers": 1, "f_layers": 1, "mlp": (9,), "n_classes": 3}, True),
        ({"features": 8, "phi_layers": 3, "f_layers": 1, "mlp": (), "n_classes": 70}, False),
        ({"features": 8, "scalar_activation": "relu", "phi_layers": 2, "f_layers": 2, "mlp": ()}, True),
        ({"features": 16, "scalar_activation": "relu", "phi_layers": 1, "f_layers": 1}, False),
        ({"features": 16, "output": "vector"}, False),
        ({"features": 8, "phi_layers": 1, "f_layers": 1, "output": "vector"}, True),
        ({"features": 16, "axis_map": False}, False),
        ({"features": 8, "phi_layers": 1, "f_layers": 1, "axis_map": False}, True),
    ],
)
def test_agrees_with_the_layers(track_jets, ragged, build, kind, backend, options, small):
    if not small:
        on_hardware(backend)
    counts = [20, 0, 1, 7] if small and (backend == "cpu" or interpreted(backend)) else COUNTS
    model, jets = build(kind, backend, **options), ragged(track_jets(counts))
    found = run(model, jets, backend)
    assert found.shape == (len(counts), 3 if model.output == "vector" else model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 0], [0, 1], [1, 30], [31, 0, 29], [0] * 40 + [2]])
def test_few_constituents(track_jets, build, kind, backend, counts):
    options = {"features": 16}
    if interpreted(backend):
        if counts not in ([], [0], [0, 1]):
            on_hardware(backend)
        options = {"features": 8, "phi_layers": 1, "f_layers": 1}
    model, jets = build(kind, backend, **options), track_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


@needs_vectors
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(track_jets, ragged, build, kind):
    counts = np.random.default_rng(5).integers(0, 70, 40).tolist()
    assert_own_jet_alone(build(kind, features=16), ragged(track_jets(counts)))


@needs_gpu
def test_a_score_depends_on_its_own_jet_alone_on_a_gpu(track_jets, ragged, build, kind):
    # more tracks than a tile has rows
    counts = [18, 50] if interpreted("gpu") else np.random.default_rng(5).integers(0, 70, 40).tolist()
    model = build(kind, "gpu", features=8, f_layers=1 if interpreted("gpu") else 3)
    jets = ragged(track_jets(counts))
    together = run(model, jets, "gpu")
    alone = torch.cat([run(model, jets.slice(j, j + 1), "gpu") for j in range(len(counts))])
    assert torch.equal(together, alone)
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order), "gpu"), together[order])


def test_symmetries(track_jets, build, kind, backend):
    on_hardware(backend)
    model, jets = build(kind, backend), track_jets([20, 1, 0, 7, 35])
    assert_so3_equivariant(lambda jets: run(model, jets, backend), jets, tolerance=rounding(model, jets))
    assert_permutation_invariant(lambda jets: run(model, jets, backend), jets, tolerance=rounding(model, jets))


def test_every_parameter_is_seen(track_jets, ragged, build, kind, backend):
    on_hardware(backend)
    model, jets = build(kind, backend, features=8), ragged(track_jets([9, 4, 0]))
    allowed = rounding(model, jets)
    for value in model.parameters():
        kept = value.data
        value.data = kept + 0.1
        assert_agrees(run(model, jets, backend), model, jets, allowed)
        value.data = kept


@needs_vectors
def test_changed_weights_are_noticed(track_jets, ragged, build):
    model, jets = build(TensorPFN, features=16), ragged(track_jets([9, 4]))
    folded = weights_of(model)
    assert weights_of(model) is folded
    before = run(model, jets, "cpu")
    model.phi[0].vectors.phi.data += 0.1
    assert weights_of(model) is not folded
    assert not torch.equal(run(model, jets, "cpu"), before)


def test_nan_stays_in_its_jet(track_jets, ragged, build, kind, backend):
    layers = {"phi_layers": 1, "f_layers": 1} if interpreted(backend) else {}
    model, jets = build(kind, backend, features=8, **layers), ragged(track_jets([3, 2, 1, 0]))
    clean = run(model, jets, backend)
    jets.p4[4] = torch.nan
    found = run(model, jets, backend)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])


@needs_gpu
@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(track_jets, ragged, build, monkeypatch, precision):
    model, jets = build(TensorPFN, "gpu", features=8, f_layers=1), ragged(track_jets([9, 5]))
    expected = run(model, jets, "reference")
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    allowed = {"ieee": rounding(model, jets), "tf32": 1e-2, "bf16": 1e-1}
    assert deviation(run(model, jets, "gpu"), expected) <= allowed[precision]


@needs_gpu
def test_gradients_run_on_the_layers_on_a_gpu(track_jets, build):
    model = build(VectorPFN, "gpu", features=8)
    with kernels.use("gpu"):
        assert model(track_jets([3])).requires_grad
    assert kernels.last_choice("vector_pfn").kernel == "reference"


@needs_vectors
@pytest.mark.parametrize("training", [False, True])
def test_without_products_the_layers_run(track_jets, ragged, build, kind, training):
    model, jets = build(kind, features=8, products=False).train(training), ragged(track_jets([3, 9]))
    with kernels.use("cpu"), torch.set_grad_enabled(training):
        found = model(jets)
    assert kernels.last_choice(kind.kind).kernel == "reference"
    assert "not multiplied" in kernels.last_choice(kind.kind).reason
    with kernels.use("reference"):
        assert torch.equal(found, model(jets))


@needs_vectors
def test_without_hidden_layers_the_layers_run(track_jets, build):
    model = build(VectorPFN, features=8, phi_layers=0)
    with torch.no_grad():
        model(track_jets([3]))
    assert "no hidden layers" in kernels.last_choice("vector_pfn").reason
