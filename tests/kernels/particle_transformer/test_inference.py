from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.particle_transformer.cpu.pair_features import pair_features
from coffea_equitag.testing import assert_permutation_invariant
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    needs_vectors,
    run,
)
from networks import SMALL_TRANSFORMER, enliven, shaken

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 90, 2, 0, 61, 3, 0]


def build(**options):
    torch.manual_seed(3)
    return shaken(enliven(eqt.models.build("particle_transformer", **SMALL_TRANSFORMER | options)))


def jets_of(random_jets, counts=COUNTS, **options):
    return RaggedJets.from_awkward(random_jets(counts, **options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"self_pairs": False, "activation": "relu"},
        {"pair_activation": False, "heads": 2, "class_layers": 2},
        {"pair_widths": None, "embed_widths": (7,), "heads": 1, "units": (9, 5), "n_classes": 3},
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), jets_of(random_jets)
    found = run(model, jets)
    assert found.shape == (len(COUNTS), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [0, 1], [1, 1]])
def test_few_constituents(random_jets, counts):
    model, jets = build(), random_jets(counts)
    assert_agrees(run(model, jets), model, jets)


def test_given_features_of_pairs(random_jets):
    """The network itself, in whatever order the jets come."""
    model, jets = build(), jets_of(random_jets)
    arguments = model.features(jets), jets.offsets, model.pair_features(jets)
    with torch.no_grad():
        found = model.network(*arguments)
    assert kernels.last_choice("particle_transformer").kernel == "cpu"
    assert deviation(found, run(model, jets)) <= rounding(model.network, *arguments)


@pytest.mark.parametrize("coordinates", ["cartesian", "polar"])
def test_features_of_pairs(random_jets, coordinates):
    jets = jets_of(random_jets, coordinates=coordinates)
    jets = replace(jets, p4=jets.p4 * torch.logspace(-12, 18, len(jets.p4), dtype=torch.float64)[:, None], polar=None)
    expected = build().double().pair_features(jets)
    found = torch.from_numpy(pair_features(jets, 1))
    assert torch.allclose(found.double(), expected, rtol=3e-7, atol=3e-7)


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(), jets_of(random_jets, [9, 4], coordinates="cartesian")
    jets.p4[5] = torch.nan
    assert run(model, jets).isnan().tolist() == [[True, True], [False, False]]
    assert torch.from_numpy(pair_features(jets, 1))[15:21].isnan().any(1).tolist() == [True] * 6


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    assert_own_jet_alone(build(), jets_of(random_jets, counts))


def test_symmetry(random_jets):
    model, jets = build(), random_jets([20, 1, 7, 35, 2])
    assert_permutation_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([9, 4])
    assert_changes_noticed(model, jets, model.pair_bias.embed[2].running_mean, model.blocks[0].head_scale)


def approximate(model):
    model.embedding[3].approximate = "tanh"


def with_another_epsilon(model):
    model.norm.eps = 1e-3


def with_another_layer(model):
    model.embedding[3] = torch.nn.SiLU()


@pytest.mark.parametrize(
    ("change", "reason"),
    [(approximate, "approximated"), (with_another_epsilon, "another ε"), (with_another_layer, "replaced")],
)
def test_what_the_kernels_do_not_know_is_left_to_the_layers(random_jets, change, reason):
    model = build()
    change(model)
    with torch.no_grad():
        model(random_jets([5]))
    choice = kernels.last_choice("particle_transformer")
    assert choice.kernel == "reference"
    assert reason in choice.reason


def test_the_default_network(random_jets):
    torch.manual_seed(0)
    model, jets = enliven(eqt.models.build("particle_transformer", n_classes=10)), random_jets([30, 8])
    assert_agrees(run(model, jets), model, jets)


def test_real_jets(shared_data):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:30]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
    model = build()
    assert_agrees(run(model, jets), model, jets, rounding(model, jets[:8]))
