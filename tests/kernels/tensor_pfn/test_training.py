from __future__ import annotations

import numpy as np
import pytest
import torch

from arithmetic import assert_step_agrees, deviation, rounding
from coffea_equitag import kernels
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from kernel_forms import needs_vectors, run

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 90, 2, 7, 31, 3]


def gradients(model, jets, mode="cpu"):
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
        {"features": 12, "axis_map": False},
    ],
)
def test_gradients_agree_with_the_layers(track_jets, ragged, build, kind, options):
    model, jets = build(kind, **options), ragged(track_jets(COUNTS))
    assert gradients(model, jets)[0].dtype == torch.float32
    assert_step_agrees(gradients, model, lambda seed: ragged(track_jets(COUNTS, seed=seed)))


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 0], [31, 0, 29]])
def test_few_constituents(track_jets, build, kind, counts):
    assert_step_agrees(gradients, build(kind, features=8), lambda seed: track_jets(counts, seed=seed))


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
    assert deviation(logits, run(model, jets)) <= rounding(model, jets)


def test_gradients_of_momenta_run_on_the_layers(track_jets, ragged, build):
    model, jets = build(VectorPFN, features=8), ragged(track_jets([4]))
    jets.p4.requires_grad_()
    model(jets).sum().backward()
    assert kernels.last_choice("vector_pfn").reason == "gradients of momenta are recorded"
    assert jets.p4.grad.abs().sum() > 0
