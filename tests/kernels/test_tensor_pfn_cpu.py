from __future__ import annotations

import numpy as np
import pytest
import torch

from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from coffea_equitag.kernels.tensor_pfn.cpu.weights import weights_of
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from coffea_equitag.testing import assert_permutation_invariant, assert_so3_equivariant
from kernel_forms import assert_own_jet_alone, deviation, run

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

BOTH = pytest.mark.parametrize("kind", [VectorPFN, TensorPFN])
COUNTS = [20, 1, 0, 7, 90, 2, 7, 31, 3]


def ragged(jets):
    return RaggedJets.from_awkward(jets, VectorPFN.fields)


def build(kind, **options):
    torch.manual_seed(0)
    model = kind(**options).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.2)
    return model


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"features": 20, "latent": 7, "phi_layers": 1, "f_layers": 2, "mlp": (9,), "n_classes": 3},
        {"features": 8, "phi_layers": 3, "f_layers": 1, "mlp": (), "n_classes": 70},
        {"features": 16, "scalar_activation": "relu", "phi_layers": 1, "f_layers": 1},
        {"features": 16, "output": "vector"},
    ],
)
def test_agrees_with_the_layers(track_jets, kind, options):
    model, jets = build(kind, **options), ragged(track_jets(COUNTS))
    found = run(model, jets)
    assert found.dtype == torch.float32
    assert found.shape == (len(COUNTS), 3 if model.output == "vector" else model.n_classes)
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad():
        assert deviation(found.double(), model.double()(jets)) <= 1e-5


@BOTH
@pytest.mark.parametrize("counts", [[], [0], [1], [0, 0], [1, 30], [31, 0, 29], [0] * 40 + [2]])
def test_few_constituents(track_jets, kind, counts):
    model, jets = build(kind, features=16), track_jets(counts)
    torch.testing.assert_close(run(model, jets), run(model, jets, "reference"), rtol=1e-5, atol=1e-5)


@BOTH
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(track_jets, kind):
    counts = np.random.default_rng(5).integers(0, 70, 40).tolist()
    model, jets = build(kind, features=16), ragged(track_jets(counts))
    assert_own_jet_alone(model, jets)


def gradients(model, jets, mode):
    """Logits and gradients of all parameters, in training mode."""
    model.train().zero_grad(set_to_none=True)
    with kernels.use(mode):
        logits = model(jets)
    assert kernels.last_choice(model.kind).kernel == mode
    (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).sum().backward()
    return logits.detach(), {name: value.grad.double().clone() for name, value in model.named_parameters()}


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"features": 20, "latent": 7, "phi_layers": 1, "f_layers": 2, "n_classes": 3},
        {"features": 8, "phi_layers": 3, "f_layers": 1},
        {"features": 12, "scalar_activation": "relu", "f_layers": 1},
        {"features": 12, "output": "vector"},
    ],
)
def test_gradients_agree_with_the_layers(track_jets, kind, options):
    model, jets = build(kind, **options), ragged(track_jets(COUNTS))
    logits, found = gradients(model, jets, "cpu")
    assert logits.dtype == torch.float32
    exact, expected = gradients(model.double(), jets, "reference")
    assert deviation(logits, exact) <= 1e-5
    for name, gradient in expected.items():
        off = (found[name] - gradient).square().mean().sqrt()
        assert off <= 1e-4 * gradient.square().mean().sqrt() + 1e-12, name


@BOTH
@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 0], [31, 0, 29]])
def test_training_on_few_constituents(track_jets, kind, counts):
    model, jets = build(kind, features=8), track_jets(counts)
    logits, found = gradients(model, jets, "cpu")
    exact, expected = gradients(model.double(), jets, "reference")
    torch.testing.assert_close(logits.double(), exact, rtol=1e-5, atol=1e-5)
    for name, gradient in expected.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4 * scale + 1e-9)


def test_gradients_do_not_depend_on_threads(track_jets):
    counts = np.random.default_rng(5).integers(0, 40, 50).tolist()
    model, jets = build(TensorPFN, features=8), ragged(track_jets(counts))
    _, alone = gradients(model, jets, "cpu")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        _, together = gradients(model, jets, "cpu")
    finally:
        torch.set_num_threads(before)
    for name in [name for name in alone if name.startswith(("phi", "type"))]:
        assert torch.equal(alone[name], together[name]), name


def test_logits_with_gradients_are_those_without(track_jets):
    model, jets = build(TensorPFN, features=16), ragged(track_jets(COUNTS))
    logits, _ = gradients(model, jets, "cpu")
    assert deviation(logits, run(model, jets)) <= 1e-6


def test_gradients_of_momenta_run_on_the_layers(track_jets):
    model, jets = build(VectorPFN, features=8), ragged(track_jets([4]))
    jets.p4.requires_grad_()
    model(jets).sum().backward()
    assert kernels.last_choice("vector_pfn").reason == "gradients of momenta are recorded"
    assert jets.p4.grad.abs().sum() > 0


@BOTH
def test_symmetries(track_jets, kind):
    model, jets = build(kind), track_jets([20, 1, 0, 7, 35])
    assert_so3_equivariant(lambda jets: run(model, jets), jets)
    assert_permutation_invariant(lambda jets: run(model, jets), jets)


@BOTH
def test_every_parameter_is_seen(track_jets, kind):
    model, jets = build(kind, features=8), ragged(track_jets([9, 4, 0]))
    for value in model.parameters():
        kept = value.data
        value.data = kept + 0.1
        assert deviation(run(model, jets), run(model, jets, "reference")) <= 1e-5
        value.data = kept


def test_changed_weights_are_noticed(track_jets):
    model, jets = build(TensorPFN, features=16), ragged(track_jets([9, 4]))
    folded = weights_of(model)
    assert weights_of(model) is folded
    before = run(model, jets)
    model.phi[0].vectors.phi.data += 0.1
    assert weights_of(model) is not folded
    assert not torch.equal(run(model, jets), before)


@BOTH
def test_nan_stays_in_its_jet(track_jets, kind):
    model, jets = build(kind, features=16), ragged(track_jets([5, 5, 3, 0]))
    clean = run(model, jets)
    jets.p4[6] = torch.nan
    found = run(model, jets)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])


def test_without_hidden_layers_the_layers_run(track_jets):
    model = build(VectorPFN, features=8, phi_layers=0)
    with torch.no_grad():
        model(track_jets([3]))
    assert "no hidden layers" in kernels.last_choice("vector_pfn").reason
