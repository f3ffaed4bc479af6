from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.testing import assert_permutation_invariant
from gpu import device_of
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    deviation,
    needs_vectors,
    run,
    with_avx2,
)
from networks import enliven

COUNTS = {"cpu": [20, 1, 0, 7, 200, 2, 0, 61, 3, 0], "gpu": [20, 1, 0, 7]}


def build(backend="cpu", **options):
    torch.manual_seed(3)
    return enliven(eqt.models.build("pfn", **options)).to(device_of(backend))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_norm": True},
        {"phi": (100, 100, 256), "f": (100, 30), "n_classes": 5},
        {"phi": (8,), "f": (), "n_classes": 70},
        {"phi": (10, 33), "f": (), "batch_norm": True},
        {"nodewise": "mass"},
        {"nodewise": "mass", "batch_norm": True, "n_classes": 5},
        {"nodewise": "energy", "batch_norm": True, "phi": (40, 72), "patch_width": 5},
    ],
)
def test_agrees_with_the_layers(random_jets, backend, options):
    counts = COUNTS[backend]
    model, jets = build(backend, **options), RaggedJets.from_awkward(random_jets(counts))
    found = run(model, jets, backend)
    assert found.shape == (len(counts), model.n_classes)
    assert_agrees(found, model, jets)


@needs_vectors
@pytest.mark.parametrize("phi", [(256, 128, 128), (128, 64, 64)])
def test_narrower_layers_after_wider_ones_where_few_activations_are_left(random_jets, phi):
    model, jets = build(phi=phi), RaggedJets.from_awkward(random_jets(COUNTS["cpu"]))
    for linear in model.phi[::3]:
        linear.bias.data -= 0.3
    assert_agrees(run(model, jets), model, jets)


@pytest.mark.parametrize("options", [{}, {"nodewise": "mass"}])
@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [0, 1], [1, 1]])
def test_few_constituents(random_jets, backend, counts, options):
    model, jets = build(backend, **options), random_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


@needs_vectors
def test_tracks(random_jets):
    model = build(inputs="btag")
    features, offsets = torch.randn(30, 12), torch.tensor([0, 13, 30])
    with torch.no_grad():
        found = model.network(features, offsets)
        assert kernels.last_choice("pfn").kernel == "cpu"
        with kernels.use("reference"):
            expected = model.network(features, offsets)
    assert deviation(found, expected) <= rounding(model.network, features, offsets)


@pytest.mark.parametrize(
    "options", [{}, {"nodewise": "mass"}, {"nodewise": "energy", "friends": (3,), "phi": (33, 64)}]
)
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, backend, options):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist() if backend == "cpu" else COUNTS[backend]
    model, jets = build(backend, **options), RaggedJets.from_awkward(random_jets(counts))
    assert_own_jet_alone(model, jets, backend)


@needs_vectors
def test_symmetry(random_jets):
    model, jets = build(), random_jets([20, 1, 7, 35, 2])
    assert_permutation_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


def test_changed_weights_are_noticed(random_jets, backend):
    model, jets = build(backend, batch_norm=True, phi=(16, 16), f=(16,)), random_jets([9, 4])
    assert_changes_noticed(model, jets, model.phi[1].running_mean, model.f[0].weight, backend)


def test_nan_stays_in_its_jet(backend):
    model, features = build(backend), torch.randn(13, 7)
    features[5] = torch.nan
    device = device_of(backend)
    with torch.no_grad(), kernels.use(backend):
        logits = model.network(features.to(device), torch.tensor([0, 9, 13], device=device))
    assert kernels.last_choice("pfn").kernel == backend
    assert logits.isnan().tolist() == [[True, True], [False, False]]


@needs_vectors
def test_replaced_layers_are_left_to_the_layers(random_jets):
    model = build()
    model.phi[2] = torch.nn.LeakyReLU()
    with torch.no_grad():
        model(random_jets([5]))
    assert kernels.last_choice("pfn").kernel == "reference"


@needs_vectors
def test_real_jets(shared_data):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:100]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
    model = build(batch_norm=True)
    assert_agrees(run(model, jets), model, jets, rounding(model, jets[:8]))


@needs_vectors
def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import deviation, rounding; from coffea_equitag import models, kernels;"
        "from coffea_equitag.kernels.common.cpu import wide_dense; assert wide_dense.block_of(72) == 16;"
        "torch.manual_seed(0); model = models.build('pfn').eval(); torch.set_grad_enabled(False);"
        "arguments = torch.randn(30, 7), torch.tensor([0, 17, 18, 30]);"
        "a = model.network(*arguments); assert kernels.last_choice('pfn').kernel == 'cpu';"
        "patched = models.build('pfn', nodewise='mass').eval(); groups = 100 * torch.rand(30, 3, dtype=torch.float64);"
        "c = patched.network(*arguments, groups); assert kernels.last_choice('pfn').kernel == 'cpu';"
        "kernels.use('reference').__enter__(); b, d = model.network(*arguments), patched.network(*arguments, groups);"
        "assert deviation(a, b) <= rounding(model.network, *arguments), (a, b);"
        "assert deviation(c, d) <= rounding(patched.network, *arguments, groups), (c, d)"
    )
    with_avx2(code)
