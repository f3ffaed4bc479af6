"""Friend groups on a GPU, or in Triton's interpreter (see test_gpu_interpreter), against those of the CPU."""

from __future__ import annotations

import pytest
import torch

from coffea_equitag import RaggedJets, kernels, models
from gpu import DEVICE, needs_gpu

pytestmark = needs_gpu

SIZES = (2, 4, 8)


def scalars_of(jets, kind, sizes=SIZES):
    """On the GPU, and on the CPU, from the same products."""
    with kernels.use("reference"):
        products = kernels.gram(jets)
        expected = kernels.friend_scalars(kind, jets, sizes, products)
    with kernels.use("gpu"):
        found = kernels.friend_scalars(kind, jets.to(DEVICE), sizes, products.to(DEVICE))
    assert kernels.last_choice("friends").kernel == "gpu"
    assert found.device.type == DEVICE
    return found.cpu(), expected


@pytest.mark.parametrize("kind", ["mass", "energy"])
@pytest.mark.parametrize("counts", [[], [0], [1, 0, 35, 16, 3, 8]])
def test_agrees_with_the_cpu(random_jets, kind, counts):
    found, expected = scalars_of(RaggedJets.from_awkward(random_jets(counts)), kind)
    # at most 64 terms, all positive, in another order: 63 roundings of each side
    torch.testing.assert_close(found, expected, rtol=126 * 2.0**-53, atol=0.0)


@pytest.mark.parametrize("sizes", [(1,), (3, 1, 5)])
def test_any_sizes_in_any_order(random_jets, sizes):
    found, expected = scalars_of(RaggedJets.from_awkward(random_jets([12, 2])), "mass", sizes)
    torch.testing.assert_close(found, expected, rtol=126 * 2.0**-53, atol=0.0)


def test_ties_go_to_the_same_friends(random_jets):
    jets = RaggedJets.from_awkward(random_jets([6, 6]))
    with kernels.use("reference"):
        products = kernels.gram(jets)
    block = products[:36].view(6, 6)
    block[0, 1:] = block[1:, 0] = 7.0  # constituent 0 is equally near to all: the hardest ones are its friends
    block[4:, 4:] = block[4, 4]  # 4 and 5 are equal: the earlier row goes first
    block[5, :4], block[:4, 5] = block[4, :4], block[:4, 4]
    with kernels.use("reference"):
        expected = kernels.friend_scalars("energy", jets, (1, 2, 3), products)
    with kernels.use("gpu"):
        found = kernels.friend_scalars("energy", jets.to(DEVICE), (1, 2, 3), products.to(DEVICE)).cpu()
    torch.testing.assert_close(found, expected, rtol=126 * 2.0**-53, atol=0.0)


def test_a_jet_does_not_depend_on_its_batch(random_jets):
    jets = RaggedJets.from_awkward(random_jets([20, 7, 33]))
    whole, _ = scalars_of(jets, "mass")
    alone, _ = scalars_of(jets.slice(1, 2), "mass")
    assert torch.equal(whole[20:27], alone)


def test_nan_stays_with_its_jet_and_reaches_it(random_jets):
    jets = RaggedJets.from_awkward(random_jets([5, 9]))
    with kernels.use("reference"):
        products = kernels.gram(jets)
        expected = kernels.friend_scalars("mass", jets, SIZES, products)
    block = products[25:].view(9, 9)
    block[3] = block[:, 3] = float("nan")
    with kernels.use("gpu"):
        found = kernels.friend_scalars("mass", jets.to(DEVICE), SIZES, products.to(DEVICE)).cpu()
    torch.testing.assert_close(found[:5], expected[:5], rtol=126 * 2.0**-53, atol=0.0)
    assert found[8].isnan().any()


@pytest.mark.parametrize("kind", ["lorentznet_base", "particlenet", "pfn"])
def test_networks_take_them(random_jets, kind):
    model = models.build(kind, nodewise="mass").eval().to(DEVICE)
    jets = RaggedJets.from_awkward(random_jets([4, 9]), model.fields).to(DEVICE)
    with kernels.use("gpu"), torch.inference_mode():
        model(jets)
    assert kernels.last_choice("friends").kernel == "gpu"
