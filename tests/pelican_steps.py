"""What all tests of PELICAN's kernels do: networks, one training step against the layers, dropout drawn elsewhere."""

from __future__ import annotations

import torch

from coffea_equitag.models.pelican import PELICAN
from gpu import device_of
from networks import enliven


def build(training=True, backend="cpu", **options):
    """A network in which statistics and the weights of broken symmetries are not the initial ones."""
    torch.manual_seed(5)
    model = enliven(PELICAN(**({"size": (12, 8, 4), "dropout": 0.0} | options)))
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model.train(training).to(device_of(backend))


class Masked(torch.nn.Module):
    """A dropout that was drawn elsewhere."""

    def __init__(self, kept, probability):
        super().__init__()
        self.factors = kept / (1 - probability)

    def forward(self, values):
        return values * self.factors.to(values)
