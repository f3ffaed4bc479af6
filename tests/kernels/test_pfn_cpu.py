from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from coffea_equitag.testing import assert_permutation_invariant
from kernel_forms import assert_changes_noticed, assert_own_jet_alone, deviation, run, with_avx2
from networks import enliven

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

COUNTS = [20, 1, 0, 7, 200, 2, 0, 61, 3, 0]


def build(**options):
    torch.manual_seed(3)
    return enliven(eqt.models.build("pfn", **options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_norm": True},
        {"phi": (100, 100, 256), "f": (100, 30), "n_classes": 5},
        {"phi": (8,), "f": (), "n_classes": 70},
        {"nodewise": "mass"},
        {"nodewise": "energy", "batch_norm": True, "phi": (40, 72), "patch_width": 5},
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS))
    found = run(model, jets)
    assert found.dtype == torch.float32
    assert found.shape == (len(COUNTS), model.n_classes)
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad():
        assert deviation(found.double(), model.double()(jets)) <= 1e-5


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [1, 1]])
def test_few_constituents(random_jets, counts):
    model, jets = build(), random_jets(counts)
    torch.testing.assert_close(run(model, jets), run(model, jets, "reference"), rtol=1e-5, atol=1e-5)


def test_tracks(random_jets):
    model = build(inputs="btag")
    features, offsets = torch.randn(30, 12), torch.tensor([0, 13, 30])
    with torch.no_grad():
        found = model.network(features, offsets)
        assert kernels.last_choice("pfn").kernel == "cpu"
        with kernels.use("reference"):
            assert deviation(found, model.network(features, offsets)) <= 1e-5


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build(), RaggedJets.from_awkward(random_jets(counts))
    assert_own_jet_alone(model, jets)


def test_symmetry(random_jets):
    model, jets = build(), random_jets([20, 1, 7, 35, 2])
    assert_permutation_invariant(lambda jets: run(model, jets), jets)


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(batch_norm=True, phi=(16, 16), f=(16,)), random_jets([9, 4])
    assert_changes_noticed(model, jets, model.phi[1].running_mean, model.f[0].weight)


def test_nan_stays_in_its_jet():
    model, features = build(), torch.randn(13, 7)
    features[5] = torch.nan
    with torch.no_grad():
        logits = model.network(features, torch.tensor([0, 9, 13]))
    assert kernels.last_choice("pfn").kernel == "cpu"
    assert logits.isnan().tolist() == [[True, True], [False, False]]


def test_training_is_left_to_the_layers(random_jets):
    model = build()
    model(random_jets([5])).sum().backward()
    assert kernels.last_choice("pfn").kernel == "reference"
    model.train()
    with torch.no_grad():
        model(random_jets([5]))
    assert kernels.last_choice("pfn").kernel == "reference"


def test_replaced_layers_are_left_to_the_layers(random_jets):
    model = build()
    model.phi[2] = torch.nn.LeakyReLU()
    with torch.no_grad():
        model(random_jets([5]))
    assert kernels.last_choice("pfn").kernel == "reference"


def test_real_jets(shared_data):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:100]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
    model = build(batch_norm=True)
    found = run(model, jets)
    assert deviation(found, run(model, jets, "reference")) <= 1e-5
    with torch.no_grad():
        assert deviation(found.double(), model.double()(jets)) <= 1e-5


def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from coffea_equitag import models, kernels;"
        "from coffea_equitag.kernels.common.cpu import wide_dense as panels; assert panels.block_of(72) == 16;"
        "torch.manual_seed(0); model = models.build('pfn').eval(); torch.set_grad_enabled(False);"
        "arguments = torch.randn(30, 7), torch.tensor([0, 17, 18, 30]);"
        "a = model.network(*arguments); assert kernels.last_choice('pfn').kernel == 'cpu';"
        "kernels.use('reference').__enter__(); b = model.network(*arguments);"
        "assert (a - b).abs().max() <= 1e-5 * b.square().mean().sqrt(), (a, b)"
    )
    with_avx2(code)
