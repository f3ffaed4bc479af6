"""LorentzNet_base and its patches, which run on LorentzNet's kernels with other edge scalars."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from base_networks import PAIRWISE, directions, inputs
from coffea_equitag import RaggedJets, kernels
from gpu import device_of, interpreted
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    cases,
    deviation,
    run,
    skip_interpreter,
)
from networks import enliven


def counts_for(backend):
    # in the interpreter a pair takes a millisecond
    return [9, 1, 0, 3] if interpreted(backend) else [20, 1, 0, 7, 90, 2, 3]


def build(backend="cpu", **options):
    """A network whose vectors really move, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(3)
    given = {"n_layers": 2} if backend == "cpu" else {"n_layers": 2, "hidden": 24}
    model = eqt.models.build("lorentznet_base", **(given | {"c_weight": 1.0} | options))
    return enliven(model, gain=1e4).to(device_of(backend))


@pytest.mark.parametrize(
    ("backend", "options"),
    cases(
        cpu=[
            {},
            *({"pairwise": scalar} for scalar in PAIRWISE),
            {"nodewise": "mass", "n_layers": 4},
            {"nodewise": "mass", "pairwise": "delta_r", "friends": (3,), "patch_width": 90, "hidden": 40},
            {"pairwise": "delta_r_pt", "n_layers": 1, "hidden": 1},
            {"nodewise": "mass", "patch_width": 1, "hidden": 100, "n_classes": 5},
        ],
        gpu=[
            {},
            {"pairwise": "mass"},
            {"pairwise": "energy"},
            {"nodewise": "mass", "pairwise": "delta_r", "patch_width": 5, "hidden": 40, "n_classes": 5},
        ],
        large=[{"n_layers": 6, "hidden": 72, "nodewise": "mass", "pairwise": scalar} for scalar in PAIRWISE],
    ),
)
def test_agrees_with_the_layers(random_jets, backend, options):
    counts = counts_for(backend)
    model, jets = build(backend, **options), RaggedJets.from_awkward(random_jets(counts))
    found = run(model, jets, backend)
    assert found.shape == (len(counts), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_vectors_take_their_step(random_jets, backend, pairwise):
    jets = random_jets([5, 3])
    moved, still = (run(build(backend, pairwise=pairwise, c_weight=c), jets, backend) for c in (1.0, 0.0))
    assert deviation(moved, still) > 3e-4


@pytest.mark.parametrize(("backend", "counts"), cases(cpu=[[], [0, 0], [1], [2]], gpu=[[], [0], [1], [0, 2]]))
@pytest.mark.parametrize("pairwise", [None, "mass", "delta_r_pt"])
def test_few_constituents(random_jets, backend, counts, pairwise):
    if pairwise == "mass":
        skip_interpreter(backend)
    model, jets = build(backend, pairwise=pairwise, nodewise="mass", hidden=16), random_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_extreme_directions(backend, pairwise):
    if pairwise != "delta_r_pt":
        skip_interpreter(backend)
    model, jets = build(backend, pairwise=pairwise), directions(backend)
    assert_agrees(run(model, jets, backend), model, jets)


@pytest.mark.parametrize(
    "options", [{}, {"pairwise": "mass"}, {"pairwise": "delta_r_pt", "nodewise": "mass"}, {"pairwise": "energy"}]
)
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, backend, options):
    if not options.get("nodewise"):
        skip_interpreter(backend)
    counts = [9, 0, 1] if interpreted(backend) else np.random.default_rng(5).integers(0, 60, 25).tolist()
    assert_own_jet_alone(build(backend, **options), RaggedJets.from_awkward(random_jets(counts)), backend)


def test_changed_weights_are_noticed(random_jets, backend):
    small = {"n_layers": 1} if interpreted(backend) else {"hidden": 16}
    model = build(backend, pairwise="delta_r", nodewise="mass", **small)
    jets = random_jets([2, 1] if interpreted(backend) else [9, 4])
    statistic, weight = model.blocks[0].phi_e[1].running_mean, model.node_patch.layers[2].weight
    assert_changes_noticed(model, jets, statistic, weight, backend)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "scalars"),
        ({"pairwise": "mass"}, "products"),
        ({"pairwise": "delta_r"}, "vectors"),
        ({"pairwise": "energy"}, "vectors"),
        ({"nodewise": "mass"}, "groups"),
    ],
)
def test_nan_stays_in_its_jet(random_jets, backend, options, name):
    model = build(backend, hidden=16, **options)
    given = inputs(model, RaggedJets.from_awkward(random_jets([4, 3])).to(device_of(backend)))
    given[name] = given[name].clone()
    given[name][3] = torch.nan
    with torch.no_grad(), kernels.use(backend):
        logits = model.network(*given.values())
    assert kernels.last_choice("lorentznet_base").kernel == backend
    assert logits.isnan().tolist() == [[True, True], [False, False]]
