from __future__ import annotations

import numpy as np
import pytest
import torch

from coffea_equitag import kernels
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from kernel_forms import deviation, needs_vectors, run

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 90, 2, 7, 31, 3]


def gradients(model, jets, mode):
    """Logits and gradients of all parameters, in training mode."""
    model.train().zero_grad(set_to_none=True)
    with kernels.use(mode):
        logits = model(jets)
    assert kernels.last_choice(model.kind).kernel == mode
    (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).sum().backward()
    return logits.detach(), {name: value.grad.double().clone() for name, value in model.named_parameters()}


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
def test_gradients_agree_with_the_layers(track_jets, ragged, build, kind, options):
    model, jets = build(kind, **options), ragged(track_jets(COUNTS))
    logits, found = gradients(model, jets, "cpu")
    assert logits.dtype == torch.float32
    exact, expected = gradients(model.double(), jets, "reference")
    assert deviation(logits, exact) <= 1e-5
    for name, gradient in expected.items():
        off = (found[name] - gradient).square().mean().sqrt()
        assert off <= 1e-4 * gradient.square().mean().sqrt() + 1e-12, name


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 0], [31, 0, 29]])
def test_few_constituents(track_jets, build, kind, counts):
    model, jets = build(kind, features=8), track_jets(counts)
    logits, found = gradients(model, jets, "cpu")
    exact, expected = gradients(model.double(), jets, "reference")
    torch.testing.assert_close(logits.double(), exact, rtol=1e-5, atol=1e-5)
    for name, gradient in expected.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4 * scale + 1e-9)


def test_gradients_do_not_depend_on_threads(track_jets, ragged, build):
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


def test_logits_with_gradients_are_those_without(track_jets, ragged, build):
    model, jets = build(TensorPFN, features=16), ragged(track_jets(COUNTS))
    logits, _ = gradients(model, jets, "cpu")
    assert deviation(logits, run(model, jets)) <= 1e-6


def test_gradients_of_momenta_run_on_the_layers(track_jets, ragged, build):
    model, jets = build(VectorPFN, features=8), ragged(track_jets([4]))
    jets.p4.requires_grad_()
    model(jets).sum().backward()
    assert kernels.last_choice("vector_pfn").reason == "gradients of momenta are recorded"
    assert jets.p4.grad.abs().sum() > 0
