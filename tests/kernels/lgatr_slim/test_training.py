from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.lgatr_slim.cpu import training
from kernel_forms import needs_vectors, with_avx2
from networks import shaken
from training_steps import step

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 37, 2]
SMALL = {"vectors": 6, "scalars": 10, "n_layers": 2, "n_heads": 4, "mlp_ratio": 3}


def build(**options):
    torch.manual_seed(3)
    return shaken(eqt.models.build("lgatr_slim", **(SMALL | options)).train())


@pytest.mark.parametrize(
    "options",
    [
        {"vectors": 32, "scalars": 96, "n_heads": 8, "n_layers": 1, "output": "momentum"},
        {"n_layers": 1, "gains": False, "beams": None, "time": False, "activation": "silu"},
        {"mlp_layers": 3, "attention_ratio": 2, "output": "momentum", "vector_activation": "tanh"},
        {"inputs": "kinpid", "aggregation": "mean", "activation": "relu"},
    ],
)
def test_agrees_with_the_layers(track_jets, monkeypatch, options):
    monkeypatch.setattr(training, "_GROUP", 40)
    model = build(**options)

    def jets_of(seed):
        return RaggedJets.from_awkward(track_jets(COUNTS, seed=seed), model.fields)

    # a ReLU's edge moves gradients
    assert_step_agrees(step, model, jets_of, edges=2e-3 if options.get("activation") == "relu" else 0.0)


def test_no_jets(random_jets):
    model = build()
    logits = model(random_jets([]))
    assert kernels.last_choice("lgatr_slim").kernel == "cpu"
    logits.sum().backward()
    assert logits.shape == (0, 2)
    assert not any(parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("counts", [[0], [2, 1]])
def test_few_constituents(random_jets, counts):
    jets = RaggedJets.from_awkward(random_jets(counts))
    assert_step_agrees(step, build(), lambda seed: jets, zeros_for_none=True)


def test_gradients_of_nodes():
    model, offsets = build(output="momentum"), torch.tensor([0, 13, 13, 30])

    def step_of(model, inputs, mode):
        rows = [values.to(model.dtype, copy=True).requires_grad_() for values in inputs]
        with kernels.use(mode):
            vectors, scalars = model.features(*rows, offsets)
        assert kernels.last_choice("lgatr_slim").kernel == mode
        (vectors.square().mean() + scalars.square().mean()).backward()
        return scalars.detach(), {"vectors": rows[0].grad, "scalars": rows[1].grad}

    def inputs_of(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(30, 4, generator=generator), torch.rand(30, 1, generator=generator)

    assert_step_agrees(step_of, model, inputs_of)


def test_outputs_are_those_of_inference(random_jets):
    """To the last bit, with any number of threads."""
    model, jets = build(), RaggedJets.from_awkward(random_jets(np.random.default_rng(5).integers(0, 60, 20).tolist()))
    with torch.no_grad():
        expected = model(jets)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found = model(jets)
            assert found.requires_grad
            assert torch.equal(found, expected)
    finally:
        torch.set_num_threads(before)


def test_frozen_parameters_have_no_gradients(random_jets):
    model = build()
    model.blocks[0].requires_grad_(False)
    model(random_jets([5, 9])).sum().backward()
    assert kernels.last_choice("lgatr_slim").kernel == "cpu"
    assert all(parameter.grad is None for parameter in model.blocks[0].parameters())
    assert all(
        parameter.grad is not None for parameter in model.blocks[1].perceptron.gates[0].linear.scalars.parameters()
    )


def test_dropout_is_left_to_the_layers(random_jets):
    model, jets = build(dropout=0.1), random_jets([5, 9])
    model(jets)
    assert "dropout" in kernels.last_choice("lgatr_slim").reason
    model.eval()(jets)
    assert kernels.last_choice("lgatr_slim").kernel == "cpu"


def test_other_registers_give_the_same_features_and_gradients():
    """The vectors of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import deviation, rounding; from coffea_equitag import models, kernels\n"
        "from coffea_equitag.kernels.lgatr_slim.cpu import gate_rows; assert gate_rows.LANES == 8\n"
        "from coffea_equitag.kernels.lgatr_slim.cpu.activation import coefficients_of\n"
        "torch.manual_seed(0); offsets = torch.tensor([0, 17, 18, 30])\n"
        "model = models.build('lgatr_slim', n_layers=1, vectors=12, scalars=20, n_heads=4).eval()\n"
        "inputs = torch.randn(30, 4), torch.randn(30, 1), offsets; function = lambda *x: model.features(*x)[1]\n"
        "with torch.no_grad():\n"
        "    found = function(*inputs); assert kernels.last_choice('lgatr_slim').kernel == 'cpu'\n"
        "    with kernels.use('reference'): assert deviation(found, function(*inputs)) <= rounding(function, *inputs)\n"
        "x, arriving, activation = torch.randn(7, 48, requires_grad=True), torch.randn(7, 24), torch.nn.Sigmoid()\n"
        "expected = torch.autograd.grad(activation(x[:, 24:]) * x[:, :24], x, arriving)[0]\n"
        "given, grad = x.detach().numpy(), expected.clone().zero_()\n"
        "back = (coefficients_of(activation), arriving.numpy(), grad.numpy(), True, 0, 7)\n"
        "gate_rows.gate_scalar_rows(given, *back); torch.testing.assert_close(grad, expected)\n"
    )
    with_avx2(code)
