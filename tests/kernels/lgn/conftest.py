"""LGN as its kernels' tests want it."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag.models.lgn import LGN
from gpu import device_of


@pytest.fixture
def build():
    """A function of a backend and options that makes a network in which the tensors matter as much as the scalars."""

    def network(backend="cpu", **given):
        torch.manual_seed(3)
        model = LGN(**({"scale": 0.05} | given))
        for level in model.levels:
            for name, factor in (("v", 3.0), ("F", 2.0), ("dual", 2.0), ("S", 10.0)):
                if name in level.mixing.weight:
                    level.mixing.weight[name].data *= factor
        return model.to(device_of(backend))

    return network
