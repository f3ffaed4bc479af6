from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import EPSILON, deviation, rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.invariants import kinematic_features
from coffea_equitag.invariants.kinematic import relative_angles
from coffea_equitag.testing import assert_permutation_invariant
from gpu import device_of, interpreted
from kernel_forms import assert_agrees, assert_changes_noticed, assert_own_jet_alone, needs_vectors, run, with_avx2
from networks import enliven

COUNTS = {"cpu": [20, 1, 0, 7, 90, 2, 17, 61, 3, 18, 0], "gpu": [17, 1, 0, 3]}


def build(backend="cpu", **options):
    torch.manual_seed(3)
    return enliven(eqt.models.build("particlenet", **options)).to(device_of(backend))


def clear_cut(model, jets):
    """Which jets' graphs hang on no rounding: distances of the last neighbour and the next differ by 100 ε or more."""
    clear = torch.ones(jets.num_jets, dtype=torch.bool)
    k, graphs = model.options["k"], []
    handles = [block.register_forward_hook(lambda _, __, x: graphs.append(x)) for block in model.blocks[:-1]]
    with torch.no_grad():
        model(jets)
    for handle in handles:
        handle.remove()
    for x in graphs:
        for jet in range(jets.num_jets):
            points = x[jets.offsets[jet] : jets.offsets[jet + 1]].double()
            if len(points) > k + 1:
                ranked = torch.cdist(points, points).sort(dim=1).values
                gap = (ranked[:, k + 1] - ranked[:, k]) / ranked[:, k + 1]
                clear[jet] &= bool((gap > 100 * EPSILON).all())
    return clear


def assert_agrees_where_clear(model, jets, backend="cpu"):
    found = run(model, jets, backend)
    assert found.dtype == torch.float32
    assert found.shape == (jets.num_jets, model.n_classes)
    expected, clear = run(model, jets, "reference"), torch.ones(jets.num_jets, dtype=torch.bool)
    if backend == "cpu":
        # in single precision another rounding may choose another one of two neighbours at equal distance
        clear = clear_cut(model, jets)
        assert clear.double().mean() > 0.8
    exact = run(model.double(), jets, "reference")
    allowed = rounding(lambda: model.float()(jets)[clear])
    assert deviation(found[clear], expected[clear]) <= allowed
    assert deviation(found[clear].double(), exact[clear]) <= allowed


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lite": True},
        {"lite": True, "k": 3, "n_classes": 5},
        {"lite": True, "k": 3, "n_classes": 5, "nodewise": "mass"},
        {"lite": True, "k": 60},
        {"nodewise": "mass"},
        {"lite": True, "nodewise": "energy", "patch_width": 5},
        {"lite": True, "nodewise": "mass", "patch_width": 32},
        {"lite": True, "pairwise": "mass"},
        {"lite": True, "pairwise": "delta_r"},
        {"lite": True, "pairwise": "delta_r_pt", "k": 3},
        {"lite": True, "pairwise": "energy", "patch_width": 5},
        {"pairwise": "mass", "nodewise": "mass", "patch_width": 9},
    ],
)
def test_agrees_with_the_layers(random_jets, backend, options):
    if interpreted(backend) and ("lite" not in options or options.get("k") == 60 or "patch_width" in options):
        pytest.skip("too slow in the interpreter")
    assert_agrees_where_clear(build(backend, **options), RaggedJets.from_awkward(random_jets(COUNTS[backend])), backend)


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [1, 1], [3], [2, 0, 1]])
@pytest.mark.parametrize("options", [{}, {"pairwise": "mass", "nodewise": "mass"}])
def test_few_constituents(random_jets, backend, counts, options):
    model, jets = build(backend, lite=True, **options), random_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


@pytest.mark.parametrize("options", [{}, {"lite": True, "pairwise": "mass", "nodewise": "mass"}])
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, backend, options):
    counts = np.random.default_rng(5).integers(0, 60, 30).tolist() if backend == "cpu" else COUNTS[backend]
    model, jets = (
        build(backend, **{"lite": interpreted(backend)} | options),
        RaggedJets.from_awkward(random_jets(counts)),
    )
    assert_own_jet_alone(model, jets, backend)


def test_changed_weights_are_noticed(random_jets, backend):
    model, jets = build(backend, lite=True), random_jets([9, 4] if backend == "cpu" else [4])
    assert_changes_noticed(model, jets, model.blocks[0].norms[1].running_mean, model.head[0].weight, backend)


@needs_vectors
def test_symmetry(random_jets):
    model, jets = build(lite=True), random_jets([20, 1, 7, 35, 2])
    assert_permutation_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


@needs_vectors
def test_not_a_number_stays_in_its_jet(random_jets):
    jets, model = RaggedJets.from_awkward(random_jets([5, 20, 9])), build(lite=True)
    features, points = kinematic_features(jets).float(), torch.stack(relative_angles(jets), dim=1)
    with torch.no_grad():
        expected = model.network(features, points, jets.offsets)
        features[7], points[9] = torch.nan, torch.nan
        found = model.network(features, points, jets.offsets)
    assert kernels.last_choice("particlenet").kernel == "cpu"
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
    assert torch.isnan(found[1]).all()


@needs_vectors
def test_replaced_layers_are_left_to_the_layers(random_jets):
    model = build(lite=True)
    model.head[1] = torch.nn.LeakyReLU()
    with torch.no_grad():
        model(random_jets([5]))
    assert kernels.last_choice("particlenet").kernel == "reference"


@needs_vectors
def test_real_jets(shared_data):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:60]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    assert_agrees_where_clear(
        build(), RaggedJets.from_awkward(eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()})))
    )


@needs_vectors
def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import deviation, rounding; from coffea_equitag import models, kernels;"
        "from coffea_equitag.kernels.common.cpu import wide_dense; assert wide_dense.block_of(72) == 16;"
        "torch.manual_seed(0); torch.set_grad_enabled(False); offsets = torch.tensor([0, 17, 18, 30])\n"
        "arguments = torch.randn(30, 7), torch.randn(30, 2), offsets\n"
        "gram = 100 * torch.rand(int(offsets.diff().square().sum()), dtype=torch.float64)\n"
        "pairs = {'p4_N4': torch.ones(30, 4, dtype=torch.float64), 'gram_Q': gram}\n"
        "for options in ({}, {'pairwise': 'mass'}):\n"
        "    model = models.build('particlenet', lite=True, **options).eval()\n"
        "    form = lambda: model.network(*arguments, **(pairs if options else {}))\n"
        "    a = form(); assert kernels.last_choice('particlenet').kernel == 'cpu'\n"
        "    with kernels.use('reference'): b = form()\n"
        "    assert deviation(a, b) <= rounding(form), (a, b)\n"
    )
    with_avx2(code)
