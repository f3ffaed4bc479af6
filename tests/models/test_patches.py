"""The Lorentz-symmetric patches in each network that has them."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers.patches import Patch
from coffea_equitag.models.lorentznet_base import LorentzNetBase
from coffea_equitag.models.particlenet import ParticleNet
from coffea_equitag.models.pfn import PFN
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_permutation_invariant,
    assert_so2_invariant,
)


def pfn(**options):
    return PFN(phi=(8, 8), f=(8,), **options)


def particlenet(**options):
    return ParticleNet(lite=True, **options)


def lorentznet_base(**options):
    return LorentzNetBase(hidden=8, n_layers=2, **options)


NODEWISE = [
    (network, {"nodewise": kind}) for network in (pfn, particlenet, lorentznet_base) for kind in ("mass", "energy")
]
PAIRWISE = [
    (network, {"pairwise": kind})
    for network in (particlenet, lorentznet_base)
    for kind in ("mass", "delta_r", "delta_r_pt", "energy")
]


@pytest.mark.parametrize(("network", "options"), NODEWISE + PAIRWISE)
def test_each_patch_on_each_network(random_jets, network, options):
    torch.manual_seed(1)
    jets = random_jets([20, 1, 0, 7, 2])
    model = network(**options).double().eval()

    def run(jets):
        with torch.no_grad():
            return model(jets)

    assert_permutation_invariant(run, jets, tolerance=1e-11)
    assert_batch_independent(run, jets, tolerance=1e-12)
    assert_so2_invariant(run, jets, (0, 0, 1), tolerance=1e-9)
    # the patch has an effect
    assert model.num_parameters() > network().num_parameters()
    before = run(jets)
    for name, parameter in model.named_parameters():
        if "patch" in name or "phi_e.0" in name:
            parameter.data *= 1.5
    assert not torch.allclose(run(jets)[[0, 3]], before[[0, 3]], rtol=1e-9, atol=0)


@pytest.mark.parametrize("network", [pfn, particlenet, lorentznet_base])
@pytest.mark.parametrize("sizes", [(1,), (3, 30)])
def test_sizes_of_friend_groups_are_an_option(random_jets, network, sizes):
    model = network(nodewise="mass", friends=sizes)
    assert isinstance(model.node_patch, Patch)
    assert model.node_patch.layers[0].in_features == len(sizes)
    logits = model(random_jets([5, 0, 1]))
    assert torch.isfinite(logits).all()
    assert model.options["friends"] == list(sizes)


def test_pfn_without_a_patch_is_the_published_one():
    plain = PFN()
    assert plain.node_patch is None
    assert not [name for name in plain.state_dict() if "patch" in name]
