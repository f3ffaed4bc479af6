from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding
from coffea_equitag import RaggedJets
from coffea_equitag.invariants import gram, kinematic_features
from coffea_equitag.layers import psi
from coffea_equitag.models.lorentznet_base import LorentzNetBase
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    assert_so2_invariant,
)
from networks import enliven, run

COUNTS = [20, 1, 0, 7, 35, 2, 7]
SMALL = {"hidden": 16, "n_layers": 3}


def build(**options):
    """A network whose vectors really move, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(3)
    return enliven(LorentzNetBase(**(SMALL | options)), gain=100)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({}, 226_232), ({"pairwise": "mass"}, 226_664), ({"nodewise": "mass"}, 233_480)],
)
def test_sizes(options, parameters):
    assert LorentzNetBase(**options).num_parameters() == parameters


@pytest.mark.parametrize("pairwise", [None, "mass", "delta_r", "delta_r_pt", "energy"])
@pytest.mark.parametrize("nodewise", [None, "mass"])
def test_symmetries(random_jets, pairwise, nodewise):
    jets, model = random_jets(COUNTS), build(pairwise=pairwise, nodewise=nodewise)
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)
    assert_so2_invariant(run(model), jets, (0, 0, 1), tolerance=1e-9)


def test_invariant_but_for_its_node_scalars(random_jets):
    def function(pairwise, nodewise="mass"):
        model = build(pairwise=pairwise, nodewise=nodewise).double()

        def frozen(jets):
            # masses instead of the seven features
            ragged = RaggedJets.from_awkward(jets)
            scalars = psi(ragged.mass)[:, None].repeat(1, 8)
            groups = eqt.invariants.friends.friend_scalars(nodewise, ragged, (2, 4, 8))
            with torch.no_grad():
                return model.network(ragged.p4, scalars, ragged.offsets, gram(ragged), groups)

        return frozen

    jets = random_jets([12, 5, 1])
    assert_lorentz_invariant(function("mass"), jets, tolerance=1e-9)
    for options in (("energy",), ("mass", "energy"), ("delta_r",)):
        with pytest.raises(AssertionError, match="Lorentz"):
            assert_lorentz_invariant(function(*options), jets, gammas=(2,))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("pairwise", [None, "mass", "delta_r_pt"])
def test_empty_and_single_constituents_are_finite_and_train(random_jets, training, pairwise):
    model = build(pairwise=pairwise, nodewise="energy").train(training)
    for counts in ([], [0], [1], [0, 1, 0, 3]):
        logits = model(random_jets(counts))
        assert logits.shape == (len(counts), 2)
        assert torch.isfinite(logits).all()
        logits.sum().backward()


@pytest.mark.parametrize("pairwise", ["mass", "delta_r"])
def test_not_a_number_stays_in_its_jet(random_jets, pairwise):
    jets, model = RaggedJets.from_awkward(random_jets([5, 20, 9])), build(pairwise=pairwise)
    scalars = torch.cat([kinematic_features(jets), psi(jets.mass)[:, None]], dim=1).float()
    products, p4 = gram(jets), jets.p4.clone()
    with torch.no_grad():
        expected = model.network(p4, scalars, jets.offsets, products)
        scalars[7], products[30], p4[8] = torch.nan, torch.nan, torch.nan
        found = model.network(p4, scalars, jets.offsets, products)
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
    assert torch.isnan(found[1]).all()


def test_vectors_rest_where_nothing_sees_them(random_jets):
    for pairwise in (None, "mass"):
        model = build(pairwise=pairwise).train()
        torch.nn.functional.cross_entropy(model(random_jets([5, 9, 4])), torch.tensor([0, 1, 1])).backward()
        at_rest = {name for name, p in model.named_parameters() if p.grad is None}
        expected = {n for n, _ in model.named_parameters() if "phi_x" in n} if pairwise is None else set()
        assert at_rest == expected


@pytest.mark.parametrize("options", [{"n_layers": 0}, {"pairwise": "angle"}, {"nodewise": "pt"}])
def test_wrong_options(options):
    with pytest.raises(eqt.TaggerError, match=next(iter(options))):
        LorentzNetBase(**options)
