"""PFN's GPU kernels, on a GPU where there is one, else in Triton's interpreter (see test_gpu_interpreter)."""

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
import kernel_forms as forms
from coffea_equitag import RaggedJets, kernels
from gpu import DEVICE, needs_gpu
from kernel_forms import deviation
from networks import enliven

pytestmark = needs_gpu

COUNTS = [20, 1, 0, 7]


def build(**options):
    torch.manual_seed(3)
    return enliven(eqt.models.build("pfn", **options)).to(DEVICE)


def run(model, jets, mode="gpu"):
    return forms.run(model, jets, mode).cpu()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_norm": True, "nodewise": "mass", "n_classes": 5},
        {"phi": (10, 33), "f": (), "batch_norm": True},
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS))
    found = run(model, jets)
    assert found.dtype == torch.float32
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad(), kernels.use("reference"):
        assert deviation(found.double(), model.double()(jets).cpu()) <= 1e-5


@pytest.mark.parametrize("counts", [[], [0], [0, 1]])
def test_few_constituents(random_jets, counts):
    model, jets = build(), random_jets(counts)
    torch.testing.assert_close(run(model, jets), run(model, jets, "reference"), rtol=1e-5, atol=1e-5)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets(COUNTS))
    together = run(model, jets)
    assert torch.equal(together, torch.cat([run(model, jets.slice(j, j + 1)) for j in range(len(COUNTS))]))
    order = torch.randperm(len(COUNTS), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order)), together[order])
