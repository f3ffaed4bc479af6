"""Pair products on a GPU, or in Triton's interpreter (see test_gpu_interpreter), against those of the CPU."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag import RaggedJets, kernels
from gpu import DEVICE, needs_gpu

pytestmark = needs_gpu


@pytest.mark.parametrize("coordinates", ["polar", "cartesian"])
@pytest.mark.parametrize("counts", [[], [0], [1, 0, 35, 16, 3]])
def test_agrees_with_the_cpu(random_jets, coordinates, counts):
    jets = RaggedJets.from_awkward(random_jets(counts, coordinates=coordinates))
    with kernels.use("gpu"):
        found = kernels.gram(jets.to(DEVICE))
    assert kernels.last_choice("gram").kernel == "gpu"
    assert found.device.type == DEVICE
    with kernels.use("reference"):
        torch.testing.assert_close(found.cpu(), kernels.gram(jets), rtol=1e-13, atol=1e-300)


def test_nearly_collinear(random_jets):
    jets = RaggedJets.from_awkward(random_jets([6], coordinates="cartesian"))
    p = jets.p4[:, 1:]
    p[1], p[2], p[3] = p[0] * (1 + 1e-9), p[0] + p[4] * 1e-12, -p[0]
    size = (p * p).sum(1).sqrt()
    mass = torch.tensor([0.0, 0.0, 0.0, 0.1, 5.0, 0.1], dtype=torch.float64)
    p4 = torch.cat([torch.sqrt(size**2 + mass**2)[:, None], p], dim=1)
    jets = RaggedJets(p4=p4, mass=mass, offsets=jets.offsets, jet_p4=jets.jet_p4)
    with kernels.use("gpu"):
        found = kernels.gram(jets.to(DEVICE)).cpu()
    with kernels.use("reference"):
        expected = kernels.gram(jets)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-300)
    assert 0 < float(expected[2]) < 1e-15 * float(size[0] ** 2)
