"""What all tests of PELICAN's kernels do: networks, one training step against the layers, dropout drawn elsewhere."""

from __future__ import annotations

import torch

from coffea_equitag.models.pelican import PELICAN
from gpu import device_of
from networks import enliven
from training_steps import rms


def build(training=True, backend="cpu", **options):
    """A network in which statistics and the weights of broken symmetries are not the initial ones."""
    torch.manual_seed(5)
    model = enliven(PELICAN(**({"size": (12, 8, 4), "dropout": 0.0} | options)))
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model.train(training).to(device_of(backend))


def assert_same_step(found, expected, tolerance=1e-4, *, zeros_for_none=False):
    """Within 2e-5 of the logits' rms, and 1e-4 of each gradient's; those that are nothing but noise left out.

    The layers in single precision are no better: statistics of few pairs amplify what rounding leaves. Where there
    is no gradient, there may be one of zeros if that is said.
    """
    logits, gradients, statistics = found
    assert rms(logits - expected[0]) <= 2e-5 * rms(expected[0])
    largest = max(rms(gradient) for gradient in expected[1].values() if gradient is not None)
    for name, gradient in expected[1].items():
        if gradient is None:
            assert gradients[name] is None or (zeros_for_none and not gradients[name].any()), name
            continue
        assert gradients[name].shape == gradient.shape
        scale = max(rms(gradient), 3e-2 * largest)
        assert rms(gradients[name] - gradient) <= tolerance * scale, name
    for name, statistic in expected[2].items():
        torch.testing.assert_close(statistics[name].double(), statistic.double(), rtol=3e-6, atol=3e-6, msg=name)


class Masked(torch.nn.Module):
    """A dropout that was drawn elsewhere."""

    def __init__(self, kept, probability):
        super().__init__()
        self.factors = kept / (1 - probability)

    def forward(self, values):
        return values * self.factors.to(values.device)
