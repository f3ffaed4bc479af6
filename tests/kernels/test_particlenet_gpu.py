"""ParticleNet's GPU kernels, on a GPU where there is one, else in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
import kernel_forms as forms
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.invariants.neighbours import nearest
from gpu import DEVICE, INTERPRETED, needs_gpu
from kernel_forms import deviation
from networks import enliven

pytestmark = needs_gpu
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")

COUNTS = [17, 1, 0, 3]


def build(**options):
    torch.manual_seed(3)
    return enliven(eqt.models.build("particlenet", **({"lite": True} | options))).to(DEVICE)


def run(model, jets, mode="gpu"):
    return forms.run(model, jets, mode).cpu()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nodewise": "mass", "n_classes": 5, "k": 3},
        pytest.param({"lite": False}, marks=on_hardware),
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS))
    found = run(model, jets)
    assert found.dtype == torch.float32
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad(), kernels.use("reference"):
        assert deviation(found.double(), model.double()(jets).cpu()) <= 1e-5


@pytest.mark.parametrize("counts", [[], [0], [2, 0, 1]])
def test_few_constituents(random_jets, counts):
    model, jets = build(), random_jets(counts)
    torch.testing.assert_close(run(model, jets), run(model, jets, "reference"), rtol=1e-5, atol=1e-5)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets(COUNTS))
    together = run(model, jets)
    assert torch.equal(together, torch.cat([run(model, jets.slice(j, j + 1)) for j in range(len(COUNTS))]))


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_with_ties(k):
    from coffea_equitag.kernels.common.gpu.tiles import Tiles
    from coffea_equitag.kernels.particlenet.gpu.nearest import nearest as on_device

    rng = np.random.default_rng(1)
    counts = torch.tensor([20, 1, 0, 4, 6])
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    points = torch.from_numpy(rng.integers(0, 3, (31, 2)).astype(np.float64))
    points[25] = torch.nan
    priority = torch.from_numpy(rng.integers(0, 2, 31).astype(np.float64))
    tiles = Tiles.of(offsets.to(DEVICE))
    found = on_device(points.to(DEVICE), priority.to(DEVICE), k, 20, tiles).cpu()
    expected = nearest(points, offsets, k, priority)
    start = torch.repeat_interleave(offsets[:-1], counts)
    assert torch.equal((found + start[:, None])[found >= 0], expected.sender)
    assert torch.equal((found >= 0).sum(1), expected.offsets.diff())
