"""What tests of training do: one step by a kernel, against the layers in double precision; LorentzNet's networks."""

from __future__ import annotations

import torch

import coffea_equitag as eqt
from coffea_equitag import kernels
from networks import enliven


def build(training=True, **options):
    """A network whose vectors really move, without dropout."""
    torch.manual_seed(3)
    model = eqt.models.build("lorentznet", **({"n_layers": 3, "dropout": 0.0} | options))
    return enliven(model, gain=100).train(training)


def step(model, jets, mode):
    """Logits, gradients and statistics of one forward and backward pass, on the CPU."""
    with kernels.use(mode):
        logits = model(jets)
    assert kernels.last_choice(model.kind).kernel == mode
    return results(model, logits)


def results(model, logits):
    """Those of a backward pass from logits."""
    model.zero_grad()
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).reshape(logits.shape).to(logits.device)
    (torch.log_softmax(logits, 1) * weights).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    gradients = {name: None if gradient is None else gradient.cpu() for name, gradient in gradients.items()}
    return logits.detach().cpu(), gradients, {name: buffer.cpu().clone() for name, buffer in model.named_buffers()}


def assert_same_step(found, expected, tolerance=1e-4):
    """Within 1e-5 of the logits' rms, and 1e-4 of each gradient's; biases before a BatchNorm have none but noise."""
    logits, gradients, statistics = found
    assert float((logits - expected[0]).abs().max()) <= 1e-5 * rms(expected[0])
    largest = max(map(rms, expected[1].values()))
    for name, gradient in expected[1].items():
        assert gradients[name].shape == gradient.shape
        scale = max(rms(gradient), 3e-3 * largest)
        assert rms(gradients[name] - gradient) <= tolerance * scale, name
        assert float((gradients[name] - gradient).abs().max()) <= 10 * tolerance * scale, name
    for name, statistic in expected[2].items():
        torch.testing.assert_close(statistics[name].double(), statistic.double(), rtol=2e-6, atol=1e-6, msg=name)


def rms(values):
    return float(values.square().mean().sqrt())
