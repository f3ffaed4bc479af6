from __future__ import annotations

import numpy as np
import pytest
import torch

from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.convert.pelican import infer_options, translate
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from coffea_equitag.models.pelican import PELICAN
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant
from kernel_forms import assert_agrees, assert_changes_noticed, assert_own_jet_alone, deviation, run, with_avx2
from networks import enliven

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

COUNTS = [20, 1, 0, 7, 90, 2, 7, 31, 3]


def build(**options):
    """A network as after training: statistics and the weights of broken symmetries are not the initial ones."""
    torch.manual_seed(3)
    model = enliven(PELICAN(**({"size": (12, 8, 4)} | options)))
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": "11k"},
        {"method": "input"},
        {"symmetry": "so13"},
        {"symmetry": "1", "factorize": False, "n_classes": 5},
        {"symmetry": "so2_0", "fields": ["pdgId"], "aggregation": "sum", "mean_count": 20.0},
        {"method": "input", "fields": ["pdgId"], "diagonal": False},
        {"irc_safe": True},
        {"irc_safe": True, "symmetry": "so13", "diagonal": True},
        {"size": (100, 11, 40)},
    ],
)
def test_agrees_with_the_layers(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS), ("pdgId",))
    found = run(model, jets)
    assert found.shape == (len(COUNTS), model.n_classes)
    assert_agrees(found, model, jets)


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [1, 1]])
@pytest.mark.parametrize("options", [{}, {"symmetry": "so13"}, {"irc_safe": True}])
def test_few_constituents(random_jets, counts, options):
    model, jets = build(**options), random_jets(counts)
    assert_agrees(run(model, jets), model, jets)


def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build(), RaggedJets.from_awkward(random_jets(counts))
    assert_own_jet_alone(model, jets)


def test_symmetries(random_jets):
    model, jets = build(symmetry="so13"), random_jets([20, 1, 7, 35, 2])
    assert_lorentz_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))
    assert_permutation_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([9, 4])
    assert_changes_noticed(model, jets, model.messages[0].norm.running_mean, model.head[1].weight)


@pytest.mark.parametrize("at", [0, 5, 40, 52])
@pytest.mark.parametrize("options", [{}, {"irc_safe": True}])
def test_nan_stays_in_its_jet(random_jets, at, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets([4, 6, 3]))
    products, scalars, offsets = model.products(jets), model.scalars(jets), boundaries(jets.counts + 2)
    with torch.no_grad():
        clean = model.network(products, scalars, offsets)
        products[at] = torch.nan
        spoilt = model.network(products, scalars, offsets)
    assert kernels.last_choice("pelican").kernel == "cpu"
    which = int(at >= 36)
    assert spoilt[which].isnan().all()
    assert torch.equal(spoilt[[1 - which, 2]], clean[[1 - which, 2]])


def test_products_that_are_not_symmetric(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([4, 6]))
    products = model.products(jets)
    products += torch.rand_like(products)
    arguments = products, model.scalars(jets), boundaries(jets.counts + 2)
    with torch.no_grad():
        found = model.network(*arguments)
        with kernels.use("reference"):
            expected = model.network(*arguments)
    assert deviation(found, expected) <= rounding(model.network, *arguments)


def test_falls_back(random_jets):
    jets = random_jets([4])
    model = build(output="momentum")
    with torch.no_grad(), kernels.use("cpu"):
        model(jets)
    assert kernels.last_choice("pelican") == kernels.Choice("reference", "it gives momenta")
    model = build()
    model.head[1] = torch.nn.Sequential(torch.nn.Identity(), model.head[1])
    with torch.no_grad():
        model(jets)
    assert kernels.last_choice("pelican").reason == "layers were replaced"


@pytest.mark.parametrize(
    ("key", "symmetry"),
    [("cls_11k_so2_0_spurions", "so2_0"), ("cls_11k_so13_input", "so13"), ("cls_11k_so2_input", "so2")],
)
def test_official_checkpoints(shared_data, key, symmetry):
    with np.load(shared_data / "parity" / "pelican.npz") as arrays:
        jets = RaggedJets.from_momenta(torch.from_numpy(arrays["p4"]), torch.from_numpy(arrays["offsets"]))
        expected = torch.from_numpy(arrays[f"{key}__predict"])
    state = torch.load(shared_data / "parity" / "pelican_official.pt", weights_only=True)[key]
    model = PELICAN(**({"symmetry": symmetry} | infer_options(state))).eval()
    model.load_state_dict(translate(state))
    assert deviation(run(model, jets).double(), expected) <= rounding(model, jets.slice(0, 8))


def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import os; import torch; from arithmetic import deviation, rounding;"
        "from coffea_equitag import models, RaggedJets, kernels;"
        "from coffea_equitag.kernels.pelican.cpu import pair_shapes as s;"
        "assert (s.HALF, s.columns_for(25)) == (4, ((0,) * 4,) * 2);"
        "torch.manual_seed(0); model = models.build('pelican', size='11k').eval();"
        "p = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p.norm(dim=1, keepdim=True) * 1.01, p], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "torch.set_grad_enabled(False); a = model(jets); assert kernels.last_choice('pelican').kernel == 'cpu';"
        "os.environ['EQUITAG_KERNELS'] = 'reference'; b = model(jets);"
        "assert deviation(a, b) <= rounding(model, jets), (a, b)"
    )
    with_avx2(code)
