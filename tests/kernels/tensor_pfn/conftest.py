"""Vector and Tensor PFN as their kernels' tests want them."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag import RaggedJets
from coffea_equitag.models.tensor_pfn import TensorPFN, VectorPFN
from gpu import device_of


@pytest.fixture(params=[VectorPFN, TensorPFN])
def kind(request):
    """Both networks."""
    return request.param


@pytest.fixture
def ragged():
    """A function that takes jets to `RaggedJets` with the networks' columns."""
    return lambda jets: RaggedJets.from_awkward(jets, VectorPFN.fields)


@pytest.fixture
def build():
    """A function of a network, a backend and options that makes one whose biases are not 0."""

    def network(kind, backend="cpu", **options):
        torch.manual_seed(0)
        model = kind(**options).eval()
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name.endswith("bias"):
                    value.normal_(std=0.2)
        return model.to(device_of(backend))

    return network
