"""Folded weights are kept as long as the network's own are the same, and fold what its BatchNorms say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.kernels.common.folding import batch_norm, folded
from gpu import device_of
from kernel_forms import assert_agrees, run
from networks import enliven


def made(model):
    return object()


def made_otherwise(model):
    return object()


def test_kept_until_something_changes():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    first = folded(model, made)
    assert folded(model, made) is first
    assert folded(model, made_otherwise) is not first
    assert folded(model, made) is first
    for change in (
        lambda: model[0].weight.data.add_(1),
        lambda: model[1].running_var.mul_(2),
        lambda: model[1].num_batches_tracked.add_(1),
        lambda: model[0].bias.data.fill_(torch.nan),
        lambda: setattr(model[1], "eps", 0.3),
    ):
        before = folded(model, made)
        change()
        after = folded(model, made)
        assert after is not before
        assert folded(model, made) is after
    assert folded(nn.Linear(2, 3), made) is not folded(nn.Linear(2, 3), made)


def test_statistics_make_a_scale_and_a_shift():
    norm = enliven(nn.Sequential(nn.BatchNorm1d(4, eps=0.3)))[0]
    norm.weight.data.uniform_(0.5, 2)
    norm.bias.data.uniform_(-1, 1)
    scale, shift = batch_norm(norm)
    x = torch.randn(9, 4, dtype=torch.float64)
    torch.testing.assert_close(x * scale + shift, norm.double()(x))


@pytest.mark.parametrize(("kind", "options"), [("pfn", {"batch_norm": True}), ("particlenet", {"lite": True, "k": 40})])
def test_another_epsilon(random_jets, backend, kind, options):
    torch.manual_seed(3)
    model, jets = enliven(eqt.models.build(kind, **options)), RaggedJets.from_awkward(random_jets([17, 1, 0, 3]))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eps = 0.1
    model = model.to(device_of(backend))
    assert_agrees(run(model, jets, backend), model, jets)
